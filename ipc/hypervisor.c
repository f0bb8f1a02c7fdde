#include "ipc/hypervisor.h"

#include <sel4/sel4.h>

enum hypervisor_status hypervisor_call(uint64_t hypervisor, enum hypervisor_operation operation)
{
    seL4_MessageInfo_t reply = seL4_Call(hypervisor, seL4_MessageInfo_new(operation, 0, 0, 0));

    return (enum hypervisor_status)seL4_MessageInfo_get_label(reply);
}
