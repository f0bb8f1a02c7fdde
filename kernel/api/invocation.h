/* One invocation of a kernel object: what the caller said, and what it will be told.
 *
 * An object's ..._invoke function decodes first, changing nothing; from the point where it does change something, it
 * cannot fail. It calls one of the fail_ functions and returns, or sets results, or says that it was preempted.
 */
#pragma once

#include <core/cpu.h>
#include <core/fault.h>
#include <object/cap.h>
#include <object/tcb.h>
#include <sel4/types.h>

#define INVOCATION_RESULTS 32

enum invocation_outcome { INVOCATION_DONE, INVOCATION_FAILED, INVOCATION_PREEMPTED };

struct invocation {
    struct cpu *cpu;
    struct tcb *caller;
    struct slot *slot; /* of the capability invoked */
    struct cap cap;
    uint64_t label;
    unsigned length;        /* message registers that were sent */
    const uint64_t *buffer; /* the caller's IPC buffer, or NULL */
    unsigned extra_count;
    struct slot *extra[seL4_MsgMaxExtraCaps];
    bool is_call, blocking;

    enum invocation_outcome outcome;
    seL4_Error error;
    unsigned result_count; /* words of the answer, also of an error's details */
    uint64_t results[INVOCATION_RESULTS];
    uint64_t result_label; /* normally 0 */
    bool no_reply; /* the invocation itself has set up what the caller gets */
};

/* Message register INDEX, which must be below call->length. */
static inline uint64_t argument(const struct invocation *call, unsigned index)
{
    return tcb_get_mr(call->caller, call->buffer, index);
}

/* Answers with that error; further words are the ones that upstream gives with it. */
void fail(struct invocation *call, seL4_Error error);
void fail_argument(struct invocation *call, unsigned number);     /* seL4_InvalidArgument */
void fail_capability(struct invocation *call, unsigned number);   /* seL4_InvalidCapability; 0 is the invoked one */
void fail_range(struct invocation *call, uint64_t min, uint64_t max); /* seL4_RangeError */
void fail_memory(struct invocation *call, uint64_t available);    /* seL4_NotEnoughMemory, bytes */
void fail_lookup(struct invocation *call, bool source, const struct lookup_failure *failure); /* seL4_FailedLookup */

/* A paging structure is missing: seL4_FailedLookup with a MissingCapability of that many bits. */
static inline void fail_missing_table(struct invocation *call, unsigned bits_left)
{
    struct lookup_failure failure = { .type = seL4_MissingCapability, .bits_left = (uint8_t)bits_left };
    fail_lookup(call, false, &failure);
}

static inline void result(struct invocation *call, uint64_t word)
{
    call->results[call->result_count++] = word;
}

static inline void preempted(struct invocation *call)
{
    call->outcome = INVOCATION_PREEMPTED;
}

/* Whether the caller's CSpace capability argument number INDEX (0 …) was sent. */
static inline bool has_extra(const struct invocation *call, unsigned count)
{
    return call->extra_count >= count;
}
