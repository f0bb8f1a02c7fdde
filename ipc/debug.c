#include "ipc/debug.h"

#include "ipc/slots.h"

#include <sel4/sel4.h>

#define DEBUG_FITS(name, number, request, reply, caps, text)                                                      \
    _Static_assert(IPC_WORDS(struct request) <= seL4_MsgMaxLength && IPC_WORDS(struct reply) <= seL4_MsgMaxLength, \
                   #name " fits into a message");
DEBUG_PROTOCOL(DEBUG_FITS)

enum hypervisor_status debug_call(enum debug_operation operation, const void *request, void *reply)
{
    const struct ipc_shape *shape = debug_shape(operation);
    const uint64_t *asked = request;
    uint64_t *word = reply;

    if (!shape)
        return HV_INVALID;
    for (unsigned i = 0; i < shape->request_words; i++)
        seL4_SetMR((int)i, asked[i]);
    seL4_MessageInfo_t answer = seL4_Call(SLOT_HYPERVISOR, seL4_MessageInfo_new(operation, 0, 0, shape->request_words));
    if (seL4_MessageInfo_get_label(answer) != HV_OK)
        return (enum hypervisor_status)seL4_MessageInfo_get_label(answer);
    if (seL4_MessageInfo_get_length(answer) != shape->reply_words)
        return HV_INVALID;
    for (unsigned i = 0; i < shape->reply_words; i++)
        word[i] = seL4_GetMR((int)i);
    return HV_OK;
}
