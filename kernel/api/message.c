/* seL4 reference manual, chapter 4 (message passing). */
#include <api/message.h>

#include <core/lookup.h>
#include <object/derive.h>

#define BUFFER_WORD(member) (offsetof(seL4_IPCBuffer, member) / sizeof(uint64_t))

/* Whoever can write to the buffer may do so while the kernel looks: every word is read once. */
static uint64_t buffer_word(const uint64_t *buffer, size_t index)
{
    return *(const volatile uint64_t *)&buffer[index];
}

bool message_extra_slots(const struct tcb *thread, const uint64_t *buffer, seL4_MessageInfo_t info,
                         struct slot *slots[static seL4_MsgMaxExtraCaps], unsigned *count, struct fault *fault)
{
    unsigned wanted = buffer ? (unsigned)seL4_MessageInfo_get_extraCaps(info) : 0;

    *count = 0;
    for (unsigned i = 0; i < wanted; i++) {
        uint64_t pointer = buffer_word(buffer, BUFFER_WORD(caps_or_badges) + i);
        struct lookup_failure failure;

        slots[i] = lookup_slot(thread, pointer, &failure);
        if (!slots[i]) {
            *fault = (struct fault) { .type = seL4_Fault_CapFault, .address = pointer, .lookup = failure };
            return false;
        }
        *count = i + 1;
    }
    return true;
}

/* The empty slot that the receiver has named for a capability, or NULL. */
static struct slot *receive_slot(const struct tcb *receiver, const uint64_t *buffer)
{
    uint64_t root = buffer_word(buffer, BUFFER_WORD(receiveCNode));
    uint64_t index = buffer_word(buffer, BUFFER_WORD(receiveIndex));
    uint64_t depth = buffer_word(buffer, BUFFER_WORD(receiveDepth));
    struct lookup_failure failure;
    struct slot *slot = lookup_slot(receiver, root, &failure);

    if (slot)
        slot = lookup_target(slot->cap, index, depth, &failure);
    return slot && slot->cap.type == CAP_NULL ? slot : NULL;
}

/* Hands over capabilities: one at most goes into the receive slot; those to the endpoint that the message comes through
 * are unwrapped, which means that the receiver gets their badges. From the first that cannot be handed over, all are
 * left out. Answers the part of the message tag that says what came. */
static uint64_t transfer_caps(struct slot *const *slots, unsigned count, const struct endpoint *endpoint,
                              const struct tcb *receiver, uint64_t *buffer)
{
    struct slot *to = receive_slot(receiver, buffer);
    uint64_t unwrapped = 0;
    unsigned done;

    for (done = 0; done < count; done++) {
        struct cap cap = slots[done]->cap;

        if (cap.type == CAP_ENDPOINT && endpoint && cap_object(cap) == endpoint) {
            buffer[BUFFER_WORD(caps_or_badges) + done] = cap.data;
            unwrapped |= 1ul << done;
            continue;
        }

        struct invocation nobody; /* is told about a failure */
        struct cap derived;
        if (!to || !cap_derive(&nobody, slots[done], cap, &derived) || derived.type == CAP_NULL)
            break;
        slot_insert(derived, slots[done], to);
        to = NULL;
    }
    return seL4_MessageInfo_new(0, unwrapped, done, 0).words[0];
}

static unsigned copy_words(const struct tcb *sender, const uint64_t *from, struct tcb *receiver, uint64_t *to,
                           unsigned length)
{
    const struct context *source = &sender->context;
    struct context *target = &receiver->context;

    switch (length) {
    default:
        target->r15 = source->r15;
        __attribute__((fallthrough));
    case 3:
        target->r9 = source->r9;
        __attribute__((fallthrough));
    case 2:
        target->r8 = source->r8;
        __attribute__((fallthrough));
    case 1:
        target->r10 = source->r10;
        __attribute__((fallthrough));
    case 0:
        break;
    }
    if (length <= seL4_FastMessageRegisters)
        return length;
    if (!from || !to)
        return seL4_FastMessageRegisters;
    for (size_t i = seL4_FastMessageRegisters; i < length; i++)
        to[BUFFER_WORD(msg) + i] = from[BUFFER_WORD(msg) + i];
    return length;
}

static void transfer_message(struct tcb *sender, const struct endpoint *endpoint, bool grant, struct tcb *receiver)
{
    seL4_MessageInfo_t info = message_info(sender->context.rsi);
    unsigned length = (unsigned)seL4_MessageInfo_get_length(info), extra_count = 0;
    bool sends_caps = grant && seL4_MessageInfo_get_extraCaps(info) > 0;
    uint64_t caps = 0;

    if (length > seL4_FastMessageRegisters || sends_caps) {
        const uint64_t *from = tcb_ipc_buffer(sender, false);
        uint64_t *to = tcb_ipc_buffer(receiver, true);
        struct slot *extra[seL4_MsgMaxExtraCaps];
        struct fault fault;

        if (sends_caps && !message_extra_slots(sender, from, info, extra, &extra_count, &fault))
            extra_count = 0;
        length = copy_words(sender, from, receiver, to, length);
        if (extra_count > 0 && to)
            caps = transfer_caps(extra, extra_count, endpoint, receiver, to);
    } else {
        copy_words(sender, NULL, receiver, NULL, length);
    }
    receiver->context.rsi = seL4_MessageInfo_new(seL4_MessageInfo_get_label(info), 0, 0, length).words[0] | caps;
}

void message_transfer(struct tcb *sender, const struct endpoint *endpoint, uint64_t badge, bool grant,
                      struct tcb *receiver)
{
    if (sender->fault.type == seL4_Fault_NullFault) {
        transfer_message(sender, endpoint, grant, receiver);
    } else {
        unsigned length = fault_set_message(sender, receiver, tcb_ipc_buffer(receiver, true));

        receiver->context.rsi = seL4_MessageInfo_new(sender->fault.type, 0, 0, length).words[0];
    }
    receiver->context.rdi = badge;
}
