#include "vmm/trace.h"

#include <stdbool.h>
#include <stdio.h>

static bool is_same(const struct exit_record *a, const struct exit_record *b)
{
    return a->rip == b->rip && a->qualification == b->qualification && a->address == b->address &&
           a->raw_reason == b->raw_reason;
}

void trace_write_exits(const struct exit_trace *trace, trace_line *line)
{
    uint64_t first = trace->seen > TRACE_RECORDS ? trace->seen - TRACE_RECORDS : 0;
    char text[160];

    for (uint64_t i = first; i < trace->seen;) {
        const struct exit_record *record = &trace->record[i % TRACE_RECORDS];
        unsigned times = 0;
        int length;

        for (; i < trace->seen && is_same(record, &trace->record[i % TRACE_RECORDS]); i++)
            times++;
        length = snprintf(text, sizeof text, "  %s (%u) at %lx, qualification %lx",
                          vcpu_exit_name((enum vcpu_exit_kind)record->kind), record->raw_reason, record->rip,
                          record->qualification);
        if (record->kind == VCPU_EXIT_MEMORY && length > 0 && (size_t)length < sizeof text)
            length += snprintf(text + length, sizeof text - (size_t)length, ", guest physical %lx", record->address);
        if (times > 1 && length > 0 && (size_t)length < sizeof text)
            snprintf(text + length, sizeof text - (size_t)length, ", %u times", times);
        line(text);
    }
}

void trace_write_counts(const struct exit_trace *trace, trace_line *line)
{
    char text[256];
    int length = snprintf(text, sizeof text, "%lu exits", trace->seen);

    for (unsigned kind = 0; kind < VCPU_EXIT_KIND_COUNT; kind++)
        if (trace->by_kind[kind] != 0 && length > 0 && (size_t)length < sizeof text)
            length += snprintf(text + length, sizeof text - (size_t)length, ", %s %lu",
                               vcpu_exit_name((enum vcpu_exit_kind)kind), trace->by_kind[kind]);
    line(text);
}

/* COUNT registers in one line. */
static void write_row(struct vcpu *vcpu, trace_line *line, const enum vcpu_register *registers, unsigned count)
{
    char text[160];
    int length = 0;

    for (unsigned i = 0; i < count && length >= 0 && (size_t)length < sizeof text; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, "  %s %016lx",
                           vcpu_register_name(registers[i]), vcpu_get(vcpu, registers[i]));
    line(text);
}

void trace_write_registers(struct vcpu *vcpu, trace_line *line)
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
        write_row(vcpu, line, rows[row], 4);
    for (unsigned segment = VCPU_ES; segment <= VCPU_TR; segment++) {
        snprintf(text, sizeof text, "  %-4s %04lx  base %016lx  limit %08lx  access %05lx",
                 vcpu_register_name(VCPU_SEGMENT(segment, VCPU_SELECTOR)),
                 vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_SELECTOR)), vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_BASE)),
                 vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_LIMIT)), vcpu_get(vcpu, VCPU_SEGMENT(segment, VCPU_ACCESS)));
        line(text);
    }
}
