/* The last exits of a virtual CPU, and how many there were of each kind. Pure. */
#pragma once

#include "algorithms/vcpu.h"

#include <stdint.h>

#define TRACE_RECORDS 64u

struct exit_record {
    uint64_t rip, qualification, address; /* guest physical, of a memory access */
    uint32_t raw_reason;
    uint8_t kind;
};

struct exit_trace {
    uint64_t seen; /* in all */
    uint64_t by_kind[VCPU_EXIT_KIND_COUNT];
    struct exit_record record[TRACE_RECORDS];
};

static inline void trace_exit(struct exit_trace *trace, const struct vcpu_exit *exit, uint64_t rip)
{
    struct exit_record *record = &trace->record[trace->seen++ % TRACE_RECORDS];

    trace->by_kind[exit->kind]++;
    record->rip = rip;
    record->qualification = exit->qualification;
    record->address = exit->guest_physical;
    record->raw_reason = exit->raw_reason;
    record->kind = (uint8_t)exit->kind;
}

/* Each gives LINE lines of text without their ends. Exits: the oldest first, repetitions folded. */
typedef void trace_line(void *context, const char *text);

void trace_write_exits(const struct exit_trace *trace, trace_line *line, void *context);
void trace_write_counts(const struct exit_trace *trace, trace_line *line, void *context);
void trace_write_registers(struct vcpu *vcpu, trace_line *line, void *context);
