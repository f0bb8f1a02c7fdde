/* Messages that libsel4's stubs would not send: too short, without capabilities, with labels of other objects. */
#pragma once

#include "tests/kernel/harness.h"

/* Calls SERVICE with LABEL, LENGTH message registers and EXTRA_CAPS capabilities of what the IPC buffer holds. */
static inline seL4_Error short_call(seL4_CPtr service, seL4_Word label, seL4_Word length, seL4_Word extra_caps)
{
    return (seL4_Error)seL4_MessageInfo_get_label(
        seL4_Call(service, seL4_MessageInfo_new(label, 0, extra_caps, length)));
}

struct shortage {
    seL4_Word label, length, extra_caps;
};

/* Each of these messages misses something that its invocation needs. The IPC buffer's capabilities all name CAP. */
static inline void expect_truncated(struct env *e, seL4_CPtr service, seL4_CPtr cap, const struct shortage *messages,
                                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int slot = 0; slot < seL4_MsgMaxExtraCaps; slot++)
            seL4_SetCap(slot, cap);
        for (int word = 0; word < 8; word++)
            seL4_SetMR(word, 1);
        seL4_Error error = short_call(service, messages[i].label, messages[i].length, messages[i].extra_caps);
        if (error != seL4_TruncatedMessage)
            fail(e, __FILE__, __LINE__, "label %lu with %lu words and %lu capabilities: error %d", messages[i].label,
                 messages[i].length, messages[i].extra_caps, (int)error);
    }
}

#define EXPECT_TRUNCATED(service, cap, ...)                                                                       \
    do {                                                                                                          \
        static const struct shortage messages_[] = { __VA_ARGS__ };                                               \
        expect_truncated(e, service, cap, messages_, sizeof messages_ / sizeof messages_[0]);                     \
    } while (0)
