#include "tests/kernel/svm_guest.h"

#define SEGMENTS 6u /* ES to GS; GDTR, LDTR, IDTR and TR follow */

#define DR6_RESET 0xffff0ff0ul
#define PAT_RESET 0x0007040600070406ul

/* Rights as VT-x has them, without the gap (APM 2 appendix B). */
static seL4_Word attributes(seL4_Word rights)
{
    return (rights & 0xff) | (rights >> 4 & 0xf00);
}

static void set_segment(struct guest *g, seL4_Word segment, seL4_Word selector, seL4_Word limit, seL4_Word rights,
                        seL4_Word base)
{
    struct env *e = g->env;
    seL4_Word words[] = {
        segment + VMCB_SELECTOR, selector, segment + VMCB_ATTRIBUTES, attributes(rights),
        segment + VMCB_LIMIT, limit, segment + VMCB_BASE, base,
    };

    EXPECT_OK(sel4_vcpu_write_vmcb(g->vcpu, sizeof words / sizeof *words, words));
}

/* The two have the same length. */
static void replace_calls(uint8_t *code, size_t bytes)
{
    for (size_t i = 0; i + 2 < bytes; i++)
        if (code[i] == 0x0f && code[i + 1] == 0x01 && code[i + 2] == 0xc1)
            code[i + 2] = 0xd9;
}

void svm_load(struct guest *g, enum guest_mode mode, size_t bytes)
{
    struct env *e = g->env;
    struct guest_start start = guest_start(mode);
    seL4_Word words[] = {
        VMCB_INTERCEPT_CR, 0, VMCB_INTERCEPT_DR, 0, VMCB_INTERCEPT_EXCEPTIONS, 0,
        VMCB_INTERCEPT_1, SVM_INTERCEPT_CPUID | SVM_INTERCEPT_HLT, VMCB_INTERCEPT_2, 0, VMCB_INTERRUPT_SHADOW, 0,
        VMCB_CPL, 0, VMCB_CR0, start.cr0, VMCB_CR3, start.cr3, VMCB_CR4, start.cr4, VMCB_EFER, start.efer,
        VMCB_RSP, GUEST_STACK, VMCB_RFLAGS, 2, VMCB_DR7, 0x400, VMCB_DR6, DR6_RESET, VMCB_PAT, PAT_RESET,
    };

    replace_calls(g->memory + GUEST_CODE, bytes);
    for (unsigned i = 0; i < SEGMENTS; i++)
        set_segment(g, VMCB_ES + 16 * i, start.data_selector, start.limit, start.data_rights, 0);
    set_segment(g, VMCB_CS, start.code_selector, start.limit, start.code_rights, 0);
    set_segment(g, VMCB_GDTR, 0, GUEST_GDT_LIMIT, 0, GUEST_GDT);
    set_segment(g, VMCB_LDTR, 0, 0, 0, 0);
    set_segment(g, VMCB_IDTR, 0, start.idt_limit, 0, start.idt_base);
    set_segment(g, VMCB_TR, GUEST_TASK, GUEST_TASK_LIMIT, GUEST_TASK_RIGHTS, GUEST_TSS);
    EXPECT_OK(sel4_vcpu_write_vmcb(g->vcpu, sizeof words / sizeof *words, words));
    g->controls = 0;
}

struct guest new_svm_guest(struct env *e)
{
    if (!e->has_svm)
        skip(e, "no AMD-V");
    return new_guest(e, seL4_CapInitThreadTCB, 0);
}

seL4_Word svm_instruction_length(const struct guest *g)
{
    switch (g->word[SEL4_VMENTER_FAULT_REASON_MR]) {
    case SVM_EXIT_HLT:
        return 1;
    case SVM_EXIT_CPUID:
    case SVM_EXIT_INVD:
    case SVM_EXIT_MSR:
    case SVM_EXIT_RDTSC:
    case SVM_EXIT_RDPMC:
    case SVM_EXIT_WBINVD:
    case SVM_EXIT_PAUSE:
        return 2;
    case SVM_EXIT_IO:
        return g->word[SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR] - g->rip;
    default:
        return 3; /* VMMCALL, moves of control registers, and SVM's own */
    }
}
