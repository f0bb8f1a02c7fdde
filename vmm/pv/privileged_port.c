/* Who may access ports (SDM 1 19.5): IN, OUT, INS, OUTS; the access itself is vmm/port_io's. */
#include "vmm/pv/privileged_parts.h"

#define TSS_IO_MAP_BASE 0x66u
#define PAGE_BYTES      4096u

/* The bits of all bytes of the access must be 0; two bytes of the map are read whatever its size. */
static enum privileged_step check_map(struct privileged *p, uint16_t port, unsigned size)
{
    uint64_t base = vcpu_get(p->vcpu, VCPU_SEGMENT(VCPU_TR, VCPU_BASE));
    uint64_t limit = vcpu_get(p->vcpu, VCPU_SEGMENT(VCPU_TR, VCPU_LIMIT)), map, bits;

    if (limit < TSS_IO_MAP_BASE + 1)
        return step_gp(p);
    if (!pv_read(p->cpu, base + TSS_IO_MAP_BASE, 2, PV_SUPERVISOR, &map, &p->fault))
        return STEP_FAULT;
    if (map + port / 8 + 1 > limit)
        return step_gp(p);
    if (!pv_read(p->cpu, base + map + port / 8, 2, PV_SUPERVISOR, &bits, &p->fault))
        return STEP_FAULT;
    return bits >> port % 8 & ((1u << size) - 1) ? step_gp(p) : STEP_NEXT;
}

/* What INS is going to write, as far as one exit goes: the page that it begins in and those beside it. */
static void tell_of_string(struct privileged *p)
{
    uint64_t address = vcpu_get(p->vcpu, VCPU_RDI), physical;

    if (p->instruction->address_size == 4)
        address &= UINT32_MAX;
    for (int i = -1; i <= 1 && p->cpu->written; i++)
        if (pv_writable_address(p->cpu, (address & ~UINT64_C(0xfff)) + (uint64_t)(i * (int)PAGE_BYTES), &physical))
            p->cpu->written(p->cpu->context, physical, PAGE_BYTES);
}

enum privileged_step privileged_port(struct privileged *p)
{
    const struct privileged_instruction *i = p->instruction;
    uint16_t port = (uint16_t)(i->has_immediate ? i->immediate : vcpu_get(p->vcpu, VCPU_RDX));

    if (p->cpl > (vcpu_get(p->vcpu, VCPU_RFLAGS) & RFLAGS_IOPL) >> 12) {
        enum privileged_step step = check_map(p, port, i->operand_size);
        if (step != STEP_NEXT)
            return step;
    }
    p->exit->io.port = port;
    p->exit->io.size = i->operand_size;
    p->exit->io.in = i->operation == PRIVILEGED_IN || i->operation == PRIVILEGED_INS;
    p->exit->io.string = i->operation == PRIVILEGED_INS || i->operation == PRIVILEGED_OUTS;
    p->exit->io.repeated = i->repeated;
    p->exit->io.address_size = i->address_size;
    p->exit->io.segment = i->operation == PRIVILEGED_INS ? VCPU_ES : i->segment;
    if (i->operation == PRIVILEGED_INS)
        tell_of_string(p);
    return step_exit(p, VCPU_EXIT_IO);
}
