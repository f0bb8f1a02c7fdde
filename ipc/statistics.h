/* What a monitor tells of its guest's exits while it runs: a page that it writes and init reads. Whoever reads it takes
 * nothing of it for granted. */
#pragma once

#include <stdint.h>

#define TRACE_RECORDS 64u
#define TRACE_KINDS   32u /* room for every enum vcpu_exit_kind */

struct exit_record {
    uint64_t rip, qualification, address; /* guest physical, of a memory access */
    uint32_t raw_reason;
    uint32_t kind;
};

struct exit_trace {
    uint64_t seen;           /* in all */
    uint64_t waited;         /* ticks of the time-stamp counter in which the guest had nothing to do */
    uint64_t waiting_since;  /* 0: it has something to do */
    uint64_t left_at;        /* when the last exit was */
    uint64_t by_kind[TRACE_KINDS];
    uint64_t ticks[TRACE_KINDS]; /* from an exit of that kind to the next entry */
    struct exit_record record[TRACE_RECORDS];
};

_Static_assert(sizeof(struct exit_trace) <= 4096, "it is one page");
