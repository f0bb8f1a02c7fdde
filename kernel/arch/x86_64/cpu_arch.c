/* Start-up of one CPU: descriptor tables, SYSCALL, protections. */
#include <arch/x86_64/cpu_arch.h>

#include <arch/x86_64/console.h>
#include <arch/x86_64/entry.h>
#include <arch/x86_64/memory.h>
#include <arch/x86_64/segments.h>
#include <arch/x86_64/stacks.h>
#include <arch/x86_64/x86.h>
#include <lib/string.h>

#define DESCRIPTOR_CODE(dpl) (0x00af9b000000fffful | (uint64_t)(dpl) << 45)
#define DESCRIPTOR_DATA(dpl) (0x00cf93000000fffful | (uint64_t)(dpl) << 45)

#define GATE_PRESENT   (1u << 15)
#define GATE_INTERRUPT (14u << 8)
#define GATE_DPL_SHIFT 13

/* Vectors that ring 3 may name in an INT instruction: breakpoints, and those that mean "unknown system call". */
#define VECTOR_BREAKPOINT 3

/* Write back, write through, uncached-, uncacheable, then write combining for seL4_X86_WriteCombining. */
#define PAT_VALUE 0x0007040100070406ul

/* Flags that SYSCALL clears. TF, IF, DF, NT and AC have to be; all that user mode can set makes it the number that Linux
 * has in IA32_FMASK, which then need not be switched at the entries and exits of such guests. */
#define SYSCALL_FLAGS 0x257fd5

_Static_assert((SYSCALL_FLAGS & (RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC)) ==
                   (RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC),
               "what the kernel cannot run with");

#define CLAC { 0x0f, 0x01, 0xca }

#define LEAF7_EBX_FSGSBASE (1u << 0)
#define LEAF7_EBX_SMEP     (1u << 7)
#define LEAF7_EBX_SMAP     (1u << 20)
#define LEAF7_ECX_UMIP     (1u << 2)

struct idt_gate {
    uint16_t offset_low, selector;
    uint16_t ist_and_type, offset_middle;
    uint32_t offset_high, reserved;
};

_Static_assert(sizeof(struct idt_gate) == 16, "SDM 3A figure 6-8");

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* The same for all CPUs. */
static struct idt_gate idt[VECTOR_COUNT] __attribute__((aligned(16)));

static unsigned ist_of(unsigned vector)
{
    switch (vector) {
    case 1:
        return IST_DEBUG;
    case 2:
        return IST_NMI;
    case 8:
        return IST_DOUBLE_FAULT;
    case 18:
        return IST_MACHINE_CHECK;
    default:
        return IST_NONE;
    }
}

static void fill_idt(void)
{
    for (unsigned vector = 0; vector < VECTOR_COUNT; vector++) {
        uint64_t stub = (uint64_t)vector_stubs + vector * 16;
        unsigned dpl = vector == VECTOR_BREAKPOINT || vector >= VECTOR_TRAP_FIRST ? 3 : 0;

        idt[vector] = (struct idt_gate) {
            .offset_low = (uint16_t)stub,
            .selector = SELECTOR_KERNEL_CODE,
            .ist_and_type = (uint16_t)(ist_of(vector) | GATE_PRESENT | GATE_INTERRUPT | dpl << GATE_DPL_SHIFT),
            .offset_middle = (uint16_t)(stub >> 16),
            .offset_high = (uint32_t)(stub >> 32),
        };
    }
}

static void fill_gdt(struct cpu_arch *cpu)
{
    uint64_t tss = (uint64_t)&cpu->tss;

    cpu->gdt[0] = 0;
    cpu->gdt[SELECTOR_KERNEL_CODE / 8] = DESCRIPTOR_CODE(0);
    cpu->gdt[SELECTOR_KERNEL_DATA / 8] = DESCRIPTOR_DATA(0);
    cpu->gdt[SELECTOR_USER_DATA / 8] = DESCRIPTOR_DATA(3);
    cpu->gdt[SELECTOR_USER_CODE / 8] = DESCRIPTOR_CODE(3);
    cpu->gdt[SELECTOR_TSS / 8] = (sizeof cpu->tss - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 | (tss >> 24 & 0xff) << 56;
    cpu->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
}

static void enable_protections(void)
{
    struct cpuid_result leaf = cpuid_checked(7, 0);
    uint64_t cr4 = read_cr4() | CR4_MCE;

    if (leaf.ecx & LEAF7_ECX_UMIP)
        cr4 |= CR4_UMIP;
    if (leaf.ebx & LEAF7_EBX_FSGSBASE)
        cr4 |= CR4_FSGSBASE;
    else
        kernel_log("the processor has no FSGSBASE instructions, as the API promises; programs that use them fault");
    if (leaf.ebx & LEAF7_EBX_SMEP)
        cr4 |= CR4_SMEP;
    if (leaf.ebx & LEAF7_EBX_SMAP)
        cr4 |= CR4_SMAP;
    write_cr4(cr4);
    segments_init(leaf.ebx & LEAF7_EBX_FSGSBASE);
    write_cr0((read_cr0() | CR0_WP | CR0_NE | CR0_MP) & ~CR0_EM);
}

void cpu_patch_code(void)
{
    static const uint8_t clac[] = CLAC;

    if (cpuid_checked(7, 0).ebx & LEAF7_EBX_SMAP)
        memcpy(entry_clac, clac, sizeof clac);
}

void cpu_arch_init(struct cpu_arch *cpu, unsigned index)
{
    memset(cpu, 0, sizeof *cpu);
    cpu->self = cpu;
    cpu->stack_top = stack_top(index, STACK_MAIN);
    cpu->tss.rsp0 = cpu->stack_top;
    for (unsigned ist = 1; ist <= IST_COUNT; ist++)
        cpu->tss.ist[ist - 1] = stack_top(index, ist);
    cpu->tss.iomap_base = sizeof cpu->tss;
    if (index == 0)
        fill_idt();
    fill_gdt(cpu);

    struct table_pointer gdt_pointer = { sizeof cpu->gdt - 1, (uint64_t)cpu->gdt };
    struct table_pointer idt_pointer = { sizeof idt - 1, (uint64_t)idt };
    cpu_load_segments(&gdt_pointer, &idt_pointer);
    wrmsr(MSR_FS_BASE, 0);
    wrmsr(MSR_GS_BASE, (uint64_t)cpu);
    wrmsr(MSR_KERNEL_GS_BASE, 0);

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
    wrmsr(MSR_STAR, (uint64_t)SELECTOR_SYSRET_BASE << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
    wrmsr(MSR_LSTAR, (uint64_t)entry_syscall);
    wrmsr(MSR_FMASK, SYSCALL_FLAGS);
    wrmsr(MSR_PAT, PAT_VALUE);

    enable_protections();
    fpu_init_cpu(cpu);
}
