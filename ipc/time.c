#include "ipc/time.h"

#include <sel4/sel4.h>

static enum time_status call(uint64_t time, enum time_operation operation, seL4_Word words, seL4_Word *first,
                             seL4_Word *second)
{
    seL4_MessageInfo_t request = seL4_MessageInfo_new(operation, 0, 0, words);

    return (enum time_status)seL4_MessageInfo_get_label(seL4_CallWithMRs(time, request, first, second, NULL, NULL));
}

enum time_status time_arm(uint64_t time, uint64_t deadline)
{
    return call(time, TIME_ARM, IPC_WORDS(struct time_arm_request), &deadline, NULL);
}

enum time_status time_cancel(uint64_t time)
{
    return call(time, TIME_CANCEL, 0, NULL, NULL);
}

enum time_status time_start(uint64_t time, uint64_t deadline, unsigned signal, struct time_token *token)
{
    seL4_Word words[2] = { deadline, signal };
    enum time_status status = call(time, TIME_START, IPC_WORDS(struct time_start_request), &words[0], &words[1]);

    *token = (struct time_token) { { words[0], words[1] } };
    return status;
}

enum time_status time_stop(uint64_t time, const struct time_token *token)
{
    seL4_Word words[2] = { token->token[0], token->token[1] };

    return call(time, TIME_STOP, IPC_WORDS(struct time_token), &words[0], &words[1]);
}

enum time_status time_signal(uint64_t time, unsigned signal, uint64_t notification)
{
    seL4_SetMR(0, signal);
    seL4_SetCap(0, notification);
    return (enum time_status)seL4_MessageInfo_get_label(
        seL4_Call(time, seL4_MessageInfo_new(TIME_SIGNAL, 0, notification != 0, IPC_WORDS(struct time_signal_request))));
}
