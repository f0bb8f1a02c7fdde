#include "ipc/hypervisor.h"

#include <sel4/sel4.h>
#include <stddef.h>

enum hypervisor_status hypervisor_call(uint64_t hypervisor, enum hypervisor_operation operation)
{
    seL4_MessageInfo_t reply = seL4_Call(hypervisor, seL4_MessageInfo_new(operation, 0, 0, 0));

    return (enum hypervisor_status)seL4_MessageInfo_get_label(reply);
}

enum hypervisor_status hypervisor_balloon(uint64_t hypervisor, uint64_t physical)
{
    seL4_MessageInfo_t request = seL4_MessageInfo_new(HV_VM_BALLOON, 0, 0, IPC_WORDS(struct hypervisor_page));

    return (enum hypervisor_status)seL4_MessageInfo_get_label(
        seL4_CallWithMRs(hypervisor, request, &physical, NULL, NULL, NULL));
}
