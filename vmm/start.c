#include "vmm/start.h"

/* Access rights (SDM 3C 25.4.1): type and S, present, and the flags of code. */
#define ACCESS_PRESENT     0x80u
#define ACCESS_CODE        (ACCESS_PRESENT | 0x1bu) /* execute, read, accessed */
#define ACCESS_DATA        (ACCESS_PRESENT | 0x13u) /* read, write, accessed */
#define ACCESS_TSS         (ACCESS_PRESENT | 0x0bu) /* busy */
#define ACCESS_GRANULARITY 0x8000u
#define ACCESS_UNUSABLE    0x10000u

#define RFLAGS_FIXED   2u
#define PAT_AT_RESET   UINT64_C(0x0007040600070406)
#define DR7_AT_RESET   0x400u
#define TSS_LIMIT      0x67u

/* Selectors of the boot protocols: Linux wants them in its table; PVH leaves the numbers to the monitor. */
#define SELECTOR_CODE 0x10u
#define SELECTOR_DATA 0x18u

static void set_segment(struct vcpu *vcpu, enum vcpu_segment segment, uint64_t selector, uint64_t limit,
                        uint64_t access)
{
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_SELECTOR), selector);
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_BASE), 0);
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_LIMIT), limit);
    vcpu_set(vcpu, VCPU_SEGMENT(segment, VCPU_ACCESS), access);
}

static void set_flat_segments(struct vcpu *vcpu, uint64_t code_flags)
{
    static const enum vcpu_segment data[] = { VCPU_ES, VCPU_SS, VCPU_DS, VCPU_FS, VCPU_GS };

    set_segment(vcpu, VCPU_CS, SELECTOR_CODE, UINT32_MAX, ACCESS_CODE | ACCESS_GRANULARITY | code_flags);
    for (unsigned i = 0; i < sizeof data / sizeof data[0]; i++)
        set_segment(vcpu, data[i], SELECTOR_DATA, UINT32_MAX, ACCESS_DATA | ACCESS_GRANULARITY | ACCESS_DB);
    set_segment(vcpu, VCPU_LDTR, 0, 0, ACCESS_UNUSABLE);
    set_segment(vcpu, VCPU_TR, 0, TSS_LIMIT, ACCESS_TSS);
}

static void set_common(struct vcpu *vcpu)
{
    static const enum vcpu_register zero[] = {
        VCPU_RAX, VCPU_RBX, VCPU_RCX, VCPU_RDX, VCPU_RSI, VCPU_RDI, VCPU_RBP, VCPU_RSP, VCPU_R8, VCPU_R9, VCPU_R10,
        VCPU_R11, VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15, VCPU_CR3, VCPU_STAR, VCPU_LSTAR, VCPU_CSTAR, VCPU_FMASK,
        VCPU_SYSENTER_CS, VCPU_SYSENTER_ESP, VCPU_SYSENTER_EIP, VCPU_GDTR_BASE, VCPU_GDTR_LIMIT, VCPU_IDTR_BASE,
        VCPU_IDTR_LIMIT, VCPU_INTERRUPTIBILITY, VCPU_PENDING_DEBUG,
    };

    for (unsigned i = 0; i < sizeof zero / sizeof zero[0]; i++)
        vcpu_set(vcpu, zero[i], 0);
    vcpu_set(vcpu, VCPU_RFLAGS, RFLAGS_FIXED);
    vcpu_set(vcpu, VCPU_XCR0, 1);
    vcpu_set(vcpu, VCPU_DR7, DR7_AT_RESET);
    vcpu_set(vcpu, VCPU_PAT, PAT_AT_RESET);
}

/* Xen, docs/misc/pvh.pandoc: 32-bit protected mode, paging off, flat segments, ebx: start information. */
static void start_pvh(struct vcpu *vcpu, const struct boot_state *state)
{
    set_flat_segments(vcpu, ACCESS_DB);
    vcpu_set(vcpu, VCPU_CR0, CR0_PE | CR0_ET);
    vcpu_set(vcpu, VCPU_CR4, 0);
    vcpu_set(vcpu, VCPU_EFER, 0);
    vcpu_set(vcpu, VCPU_RBX, state->information);
}

/* Linux, Documentation/x86/boot.rst, "64-bit Boot Protocol": long mode with identity mapping, rsi: boot parameters. */
static void start_linux64(struct vcpu *vcpu, const struct boot_state *state)
{
    set_flat_segments(vcpu, ACCESS_LONG);
    vcpu_set(vcpu, VCPU_GDTR_BASE, state->gdt);
    vcpu_set(vcpu, VCPU_GDTR_LIMIT, state->gdt_limit);
    vcpu_set(vcpu, VCPU_CR0, CR0_PG | CR0_PE | CR0_ET);
    vcpu_set(vcpu, VCPU_CR3, state->page_tables);
    vcpu_set(vcpu, VCPU_CR4, CR4_PAE);
    vcpu_set(vcpu, VCPU_EFER, EFER_LME | EFER_LMA);
    vcpu_set(vcpu, VCPU_RSI, state->information);
    vcpu_set(vcpu, VCPU_RSP, state->stack);
}

void start_vcpu(struct vcpu *vcpu, const struct boot_state *state)
{
    set_common(vcpu);
    if (state->protocol == BOOT_PVH)
        start_pvh(vcpu, state);
    else
        start_linux64(vcpu, state);
    vcpu_set(vcpu, VCPU_RIP, state->entry);
}
