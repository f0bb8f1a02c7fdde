#include "vmm/trace.h"

#include <stdbool.h>
#include <stdio.h>

/* The longest pattern of exits that is recognised where it repeats: a guest that waits for a device takes a few. */
#define PERIOD_MAX 4u

static const struct exit_record *record_at(const struct exit_trace *trace, uint64_t i)
{
    return &trace->record[i % TRACE_RECORDS];
}

static bool is_same(const struct exit_record *a, const struct exit_record *b)
{
    return a->rip == b->rip && a->qualification == b->qualification && a->address == b->address &&
           a->raw_reason == b->raw_reason;
}

/* How often the PERIOD exits from FIRST on come in a row. */
static uint64_t repetitions(const struct exit_trace *trace, uint64_t first, unsigned period)
{
    uint64_t i = first + period;

    while (i < trace->seen && is_same(record_at(trace, i), record_at(trace, i - period)))
        i++;
    return (i - first) / period;
}

static void write_exit(const struct exit_record *record, uint64_t times, trace_line *line, void *context)
{
    char text[160], repeated[32] = "";

    if (times > 1)
        snprintf(repeated, sizeof repeated, ", %lu times", times);
    if (record->kind == VCPU_EXIT_MEMORY)
        snprintf(text, sizeof text, "  %s (%u) at %lx, qualification %lx, guest physical %lx%s",
                 vcpu_exit_name((enum vcpu_exit_kind)record->kind), record->raw_reason, record->rip,
                 record->qualification, record->address, repeated);
    else
        snprintf(text, sizeof text, "  %s (%u) at %lx, qualification %lx%s",
                 vcpu_exit_name((enum vcpu_exit_kind)record->kind), record->raw_reason, record->rip,
                 record->qualification, repeated);
    line(context, text);
}

void trace_write_exits(const struct exit_trace *trace, trace_line *line, void *context)
{
    uint64_t i = trace->seen > TRACE_RECORDS ? trace->seen - TRACE_RECORDS : 0;
    char text[80];

    while (i < trace->seen) {
        unsigned best = 1;
        uint64_t times = repetitions(trace, i, 1);

        for (unsigned period = 2; period <= PERIOD_MAX && i + period <= trace->seen; period++) {
            uint64_t found = repetitions(trace, i, period);
            if (found > 1 && found * period > times * best) {
                best = period;
                times = found;
            }
        }
        for (unsigned k = 0; k < best; k++)
            write_exit(record_at(trace, i + k), best == 1 ? times : 1, line, context);
        if (best > 1) {
            snprintf(text, sizeof text, "  these %u, %lu times", best, times);
            line(context, text);
        }
        i += best * times;
    }
}

void trace_write_counts(const struct exit_trace *trace, trace_line *line, void *context)
{
    char text[480];
    int length = snprintf(text, sizeof text, "%lu exits", trace->seen);

    for (unsigned kind = 0; kind < VCPU_EXIT_KIND_COUNT; kind++)
        if (trace->by_kind[kind] != 0 && length > 0 && (size_t)length < sizeof text)
            length += snprintf(text + length, sizeof text - (size_t)length, ", %s %lu",
                               vcpu_exit_name((enum vcpu_exit_kind)kind), trace->by_kind[kind]);
    line(context, text);
}

/* COUNT registers in one line. */
static void write_row(struct vcpu *vcpu, const enum vcpu_register *registers, unsigned count, trace_line *line,
                      void *context)
{
    char text[160];
    int length = 0;

    for (unsigned i = 0; i < count && length >= 0 && (size_t)length < sizeof text; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, "  %s %016lx",
                           vcpu_register_name(registers[i]), vcpu_get(vcpu, registers[i]));
    line(context, text);
}

void trace_write_registers(struct vcpu *vcpu, trace_line *line, void *context)
{
    static const enum vcpu_register rows[][4] = {
        { VCPU_RAX, VCPU_RBX, VCPU_RCX, VCPU_RDX },
        { VCPU_RSI, VCPU_RDI, VCPU_RBP, VCPU_RSP },
        { VCPU_R8, VCPU_R9, VCPU_R10, VCPU_R11 },
        { VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15 },
        { VCPU_RIP, VCPU_RFLAGS, VCPU_INTERRUPTIBILITY, VCPU_EFER },
        { VCPU_CR0, VCPU_CR3, VCPU_CR4, VCPU_XCR0 },
        { VCPU_GDTR_BASE, VCPU_GDTR_LIMIT, VCPU_IDTR_BASE, VCPU_IDTR_LIMIT },
    };
    char text[160];

    for (unsigned row = 0; row < sizeof rows / sizeof rows[0]; row++)
        write_row(vcpu, rows[row], 4, line, context);
    for (unsigned segment = VCPU_ES; segment <= VCPU_TR; segment++) {
        snprintf(text, sizeof text, "  %-4s %04lx  base %016lx  limit %08lx  access %05lx",
                 vcpu_register_name(VCPU_SEGMENT(segment, VCPU_SELECTOR)),
                 vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_SELECTOR)), vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_BASE)),
                 vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_LIMIT)), vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_ACCESS)));
        line(context, text);
    }
}
