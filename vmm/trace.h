/* The last exits of a virtual CPU, and how many there were of each kind. Pure. */
#pragma once

#include "algorithms/vcpu.h"
#include "ipc/statistics.h"

_Static_assert((unsigned)VCPU_EXIT_KIND_COUNT <= TRACE_KINDS, "there is room for every kind of exit");

static inline void trace_exit(struct exit_trace *trace, const struct vcpu_exit *exit, uint64_t rip, uint64_t now)
{
    struct exit_record *record = &trace->record[trace->seen++ % TRACE_RECORDS];

    trace->by_kind[exit->kind]++;
    trace->left_at = now;
    record->rip = rip;
    record->qualification = exit->qualification;
    record->address = exit->guest_physical;
    record->raw_reason = exit->raw_reason;
    record->kind = exit->kind;
}

/* The monitor has done with the last exit: the guest is entered, or waits. */
static inline void trace_served(struct exit_trace *trace, uint64_t now)
{
    if (trace->seen == 0)
        return;
    trace->ticks[trace->record[(trace->seen - 1) % TRACE_RECORDS].kind % TRACE_KINDS] += now - trace->left_at;
    trace->left_at = now;
}

static inline void trace_waits(struct exit_trace *trace, uint64_t now)
{
    trace_served(trace, now);
    trace->waiting_since = now;
}

static inline void trace_woke(struct exit_trace *trace, uint64_t now)
{
    trace->waited += now - trace->waiting_since;
    trace->waiting_since = 0;
    trace->left_at = now;
}

/* Each gives LINE lines of text without their ends. Exits: the oldest first, repetitions folded. */
typedef void trace_line(void *context, const char *text);

void trace_write_exits(const struct exit_trace *trace, trace_line *line, void *context);
void trace_write_counts(const struct exit_trace *trace, trace_line *line, void *context);
void trace_write_registers(struct vcpu *vcpu, trace_line *line, void *context);
