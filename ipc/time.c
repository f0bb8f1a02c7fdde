#include "ipc/time.h"

#include <sel4/sel4.h>
#include <stddef.h>

static enum time_status call(uint64_t time, enum time_operation operation, seL4_Word words, seL4_Word argument)
{
    seL4_MessageInfo_t request = seL4_MessageInfo_new(operation, 0, 0, words);

    return (enum time_status)seL4_MessageInfo_get_label(seL4_CallWithMRs(time, request, &argument, NULL, NULL, NULL));
}

enum time_status time_arm(uint64_t time, uint64_t deadline)
{
    return call(time, TIME_ARM, 1, deadline);
}

enum time_status time_cancel(uint64_t time)
{
    return call(time, TIME_CANCEL, 0, 0);
}
