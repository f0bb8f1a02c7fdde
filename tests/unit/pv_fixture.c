#include "tests/unit/pv_fixture.h"

#include <stdlib.h>
#include <string.h>

#define USER 4u

static void set_segment(struct vcpu *vcpu, enum vcpu_segment segment, uint16_t selector, uint64_t access)
{
    vcpu->value[VCPU_SEGMENT(segment, VCPU_SELECTOR)] = selector;
    vcpu->value[VCPU_SEGMENT(segment, VCPU_BASE)] = 0;
    vcpu->value[VCPU_SEGMENT(segment, VCPU_LIMIT)] = UINT32_MAX;
    vcpu->value[VCPU_SEGMENT(segment, VCPU_ACCESS)] = access;
}

static void fill_gdt(struct pv_fixture *pv)
{
    static const struct { unsigned selector; uint64_t low, high; } rows[] = {
        { PV_KERNEL_CODE, 0x00af9b000000ffff, 0 },
        { PV_KERNEL_DATA, 0x00cf93000000ffff, 0 },
        { PV_USER_DATA, 0x00cff3000000ffff, 0 },
        { PV_USER_CODE_64, 0x00affb000000ffff, 0 },
        { PV_TSS_BUSY, 0x00008b0000000067 | PV_TSS << 16, 0 },
        { PV_CONFORMING, 0x00af9f000000ffff, 0 },
        { PV_CODE_32, 0x00cf9b000000ffff, 0 },
        { PV_ABSENT, 0x00cf13000000ffff, 0 },
        { PV_LDT, 0x0000820000000017 | (PV_TSS + 0x400) << 16, 0 },
        { PV_TSS_FREE, 0x0000890000000067 | PV_TSS << 16, 0xffffffff },
        { PV_READ_ONLY, 0x00cf91000000ffff, 0 },
        { PV_CALL_GATE, 0x0000ec0000080000, 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t *entry = pv_descriptor(pv, rows[i].selector);
        entry[0] = rows[i].low;
        if (rows[i].high)
            entry[1] = rows[i].high;
    }
}

static void written(void *context, uint64_t physical, unsigned length)
{
    struct pv_fixture *pv = context;

    (void)length;
    if (pv->written_count < sizeof pv->written / sizeof pv->written[0])
        pv->written[pv->written_count++] = physical;
}

static bool is_patched(void *context, uint64_t physical)
{
    struct pv_fixture *pv = context;

    (void)physical;
    return pv->is_patched;
}

static void fill_idt(struct pv_fixture *pv)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t *gate = pv_gate(pv, i), rip = PV_HANDLER(i);

        gate[0] = (rip & 0xffff) | PV_KERNEL_CODE << 16 | UINT64_C(0x8e00) << 32 | (rip >> 16 & 0xffff) << 48;
        gate[1] = rip >> 32;
    }
}

struct pv_fixture *pv_create(void)
{
    struct pv_fixture *pv = calloc(1, sizeof *pv);

    if (!pv)
        abort();
    pv->guest = guest_create();
    pv->vcpu = &pv->guest->cpu.vcpu;
    pv_cpu_init(&pv->cpu, pv->vcpu, &pv->guest->memory, &pv->guest->bus);
    pv->cpu.context = pv;
    pv->cpu.written = written;
    pv->cpu.is_patched = is_patched;
    fill_gdt(pv);
    fill_idt(pv);
    pv->guest->page_table[PV_USER_CODE >> 12] |= USER;
    pv->guest->page_table[PV_USER_STACK >> 12] |= USER;
    pv_set_word(pv, PV_TSS + 4, KERNEL_BASE + PV_RSP0);
    pv_set_word(pv, PV_TSS + 0x24, KERNEL_BASE + PV_IST);
    vcpu_set(pv->vcpu, VCPU_GDTR_BASE, KERNEL_BASE + PV_GDT);
    vcpu_set(pv->vcpu, VCPU_GDTR_LIMIT, PV_GDT_END - 1);
    vcpu_set(pv->vcpu, VCPU_IDTR_BASE, KERNEL_BASE + PV_IDT);
    vcpu_set(pv->vcpu, VCPU_IDTR_LIMIT, 0xfff);
    set_segment(pv->vcpu, VCPU_TR, PV_TSS_BUSY, 0x8b);
    vcpu_set(pv->vcpu, VCPU_SEGMENT(VCPU_TR, VCPU_BASE), KERNEL_BASE + PV_TSS);
    vcpu_set(pv->vcpu, VCPU_SEGMENT(VCPU_TR, VCPU_LIMIT), 0x67);
    set_segment(pv->vcpu, VCPU_LDTR, 0, 0x10000);
    vcpu_set(pv->vcpu, VCPU_EFER, EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE);
    vcpu_set(pv->vcpu, VCPU_STAR, UINT64_C(0x0010000800000000));
    vcpu_set(pv->vcpu, VCPU_LSTAR, KERNEL_BASE + 0x6800);
    pv_enter_kernel(pv);
    return pv;
}

void pv_destroy(struct pv_fixture *pv)
{
    guest_destroy(pv->guest);
    free(pv);
}

void pv_enter_kernel(struct pv_fixture *pv)
{
    set_segment(pv->vcpu, VCPU_CS, PV_KERNEL_CODE, 0xa09b);
    set_segment(pv->vcpu, VCPU_SS, PV_KERNEL_DATA, 0xc093);
    vcpu_set(pv->vcpu, VCPU_RIP, KERNEL_BASE + GUEST_CODE);
    vcpu_set(pv->vcpu, VCPU_RSP, KERNEL_BASE + PV_KERNEL_STACK);
}

void pv_enter_user(struct pv_fixture *pv)
{
    set_segment(pv->vcpu, VCPU_CS, PV_USER_CODE_64, 0xa0fb);
    set_segment(pv->vcpu, VCPU_SS, PV_USER_DATA, 0xc0f3);
    vcpu_set(pv->vcpu, VCPU_RIP, PV_USER_CODE);
    vcpu_set(pv->vcpu, VCPU_RSP, PV_USER_STACK);
}

uint64_t pv_word(struct pv_fixture *pv, uint64_t physical)
{
    uint64_t value;

    memcpy(&value, pv->guest->ram + physical, sizeof value);
    return value;
}

void pv_set_word(struct pv_fixture *pv, uint64_t physical, uint64_t value)
{
    memcpy(pv->guest->ram + physical, &value, sizeof value);
}

uint64_t *pv_gate(struct pv_fixture *pv, unsigned vector)
{
    return (uint64_t *)(pv->guest->ram + PV_IDT + vector * 16);
}

uint64_t *pv_descriptor(struct pv_fixture *pv, unsigned selector)
{
    return (uint64_t *)(pv->guest->ram + PV_GDT + (selector & ~7u));
}

enum privileged_result pv_execute(struct pv_fixture *pv, const void *code, unsigned length)
{
    uint64_t rip = vcpu_get(pv->vcpu, VCPU_RIP);

    memcpy(pv->guest->ram + (rip & 0xffff), code, length);
    return privileged_exception(&pv->cpu, VECTOR_GP, 0, 0, &pv->exit);
}
