/* How a message gets from one thread to another. */
#pragma once

#include <core/fault.h>
#include <object/tcb.h>
#include <sel4/types.h>

struct endpoint;

/* A message tag as a thread gave it; no message is longer than the IPC buffer. */
static inline seL4_MessageInfo_t message_info(uint64_t word)
{
    seL4_MessageInfo_t info = { { word } };

    if (seL4_MessageInfo_get_length(info) > seL4_MsgMaxLength)
        info.words[0] = (word & ~127ul) | seL4_MsgMaxLength;
    return info;
}

/* The slots of the capabilities that THREAD sends along by its IPC buffer; NULL: sends none. False, with *FAULT filled,
 * where one of them cannot be found. */
bool message_extra_slots(const struct tcb *thread, const uint64_t *buffer, seL4_MessageInfo_t info,
                         struct slot *slots[static seL4_MsgMaxExtraCaps], unsigned *count, struct fault *fault);

/* Gives RECEIVER what SENDER sends, a message or a fault, through ENDPOINT (NULL: as a reply). GRANT: capabilities
 * too. */
void message_transfer(struct tcb *sender, const struct endpoint *endpoint, uint64_t badge, bool grant,
                      struct tcb *receiver);

/* Puts the words of SENDER's fault into RECEIVER's message registers; answers how many. */
unsigned fault_set_message(const struct tcb *sender, struct tcb *receiver, uint64_t *buffer);

/* Changes the registers of THREAD, which has reported a fault, as the reply in HANDLER's message registers says.
 * Answers whether the thread shall go on. */
bool fault_take_answer(struct tcb *thread, struct tcb *handler);
