/* A root task that measures what an exit costs: out of a guest, through the kernel to a user-level monitor, and back.
 *
 *   cpuid       CPUID answered: the monitor reads the exit and gives the guest new registers
 *   cpuid-skip  CPUID left without an answer: the monitor only goes on behind it
 *   out         a port write: the monitor reads the exit and goes on behind it
 */
#include "tests/kernel/guest.h"

#include <sel4/beaml4.h>
#include <stdio.h>

#define EXITS 10000u

static struct env environment;

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* The largest untyped of RAM. */
static void choose_memory(struct env *e)
{
    const seL4_BootInfo *info = e->bootinfo;

    for (seL4_Word i = 0; i < info->untyped.end - info->untyped.start; i++) {
        const seL4_UntypedDesc *u = &info->untypedList[i];
        if (!u->isDevice && u->sizeBits > e->untyped_bits) {
            e->untyped = info->untyped.start + i;
            e->untyped_bits = u->sizeBits;
        }
    }
}

static bool kernel_loads_registers(struct env *e)
{
    const seL4_BootInfoHeader *record = sel4_bootinfo_find(e->bootinfo, SEL4_BOOTINFO_HEADER_BEAML4);

    return record && ((const seL4_BootInfo_beaml4_t *)record)->features & SEL4_BEAML4_VMENTER_REGISTERS;
}

/* The message registers are those of the last exit, or the first entry's. INFO: what goes with them. */
static void enter(struct env *e, seL4_Word info, seL4_Word reason)
{
    struct sel4_registers io = sel4_syscall_buffered(seL4_SysVMEnter, 0, info, 1, 1);

    if (io.info != SEL4_VMENTER_RESULT_FAULT || seL4_GetMR(SEL4_VMENTER_FAULT_REASON_MR) != reason)
        fail(e, __FILE__, __LINE__, "result %lu, reason %lu, qualification %lx at %lx", io.info,
             seL4_GetMR(SEL4_VMENTER_FAULT_REASON_MR), seL4_GetMR(SEL4_VMENTER_FAULT_QUALIFICATION_MR),
             seL4_GetMR(SEL4_VMENTER_CALL_EIP_MR));
}

static void skip_instruction(void)
{
    seL4_SetMR(SEL4_VMENTER_CALL_EIP_MR, seL4_GetMR(SEL4_VMENTER_CALL_EIP_MR) +
                                             seL4_GetMR(SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR));
}

/* Up to the first exit, which is not measured. */
static void begin(struct guest *g, seL4_Word reason)
{
    seL4_SetMR(SEL4_VMENTER_CALL_EIP_MR, g->rip);
    seL4_SetMR(SEL4_VMENTER_CALL_CONTROL_PPC_MR, g->controls);
    seL4_SetMR(SEL4_VMENTER_CALL_INTERRUPT_INFO_MR, 0);
    enter(g->env, 0, reason);
}

static void report(const char *name, uint64_t ticks)
{
    char line[80];

    snprintf(line, sizeof line, "bench %s: %lu ticks\n", name, ticks / EXITS);
    seL4_DebugPutString(line);
}

static void measure_skipped(struct guest *g, const char *name, seL4_Word reason)
{
    begin(g, reason);
    uint64_t start = read_tsc();
    for (unsigned i = 0; i < EXITS; i++) {
        skip_instruction();
        enter(g->env, 0, reason);
    }
    report(name, read_tsc() - start);
}

static void answer_cpuid(void)
{
    seL4_Word leaf = seL4_GetMR(SEL4_VMENTER_FAULT_EAX);

    seL4_SetMR(SEL4_VMENTER_FAULT_EAX, leaf + 1);
    seL4_SetMR(SEL4_VMENTER_FAULT_EBX, 0x756e6547);
    seL4_SetMR(SEL4_VMENTER_FAULT_ECX, 0x6c65746e);
    seL4_SetMR(SEL4_VMENTER_FAULT_EDX, 0x49656e69);
    skip_instruction();
}

/* With the registers in seL4_VMEnter's own message. */
static void measure_answered(struct guest *g)
{
    seL4_Word info = seL4_MessageInfo_new(0, 0, 0, SEL4_VMENTER_RESULT_FAULT_LEN).words[0];

    begin(g, VMX_REASON_CPUID);
    uint64_t start = read_tsc();
    for (unsigned i = 0; i < EXITS; i++) {
        answer_cpuid();
        enter(g->env, info, VMX_REASON_CPUID);
    }
    report("cpuid", read_tsc() - start);
}

/* With a system call of its own for them, which takes the place of the message. */
static void measure_answered_by_writing_registers(struct guest *g)
{
    begin(g, VMX_REASON_CPUID);
    uint64_t start = read_tsc();
    for (unsigned i = 0; i < EXITS; i++) {
        seL4_Word position[3];
        seL4_VCPUContext registers;

        answer_cpuid();
        for (int word = 0; word < 3; word++)
            position[word] = seL4_GetMR(word);
        for (int word = 0; word < 15; word++)
            ((seL4_Word *)&registers)[word] = seL4_GetMR(SEL4_VMENTER_FAULT_EAX + word);
        seL4_X86_VCPU_WriteRegisters(g->vcpu, &registers);
        for (int word = 0; word < 3; word++)
            seL4_SetMR(word, position[word]);
        enter(g->env, 0, VMX_REASON_CPUID);
    }
    report("cpuid", read_tsc() - start);
}

static void run(struct env *e)
{
    e->has_vtx = true;
    /* As monitors are: compiled without vector registers, which then stay the guest's. */
    EXPECT_OK(seL4_TCB_SetFlags(seL4_CapInitThreadTCB, 0, seL4_TCBFlag_fpuDisabled).error);
    struct guest g = new_guest(e, seL4_CapInitThreadTCB, 0);
    /* As Linux has them: different from the kernel's. */
    EXPECT_OK(seL4_X86_VCPU_WriteMSR(g.vcpu, 0xc0000081, 0x0023001000000000).error);
    EXPECT_OK(seL4_X86_VCPU_WriteMSR(g.vcpu, 0xc0000082, 0xffffffff81800000).error);
    EXPECT_OK(seL4_X86_VCPU_WriteMSR(g.vcpu, 0xc0000084, 0x257fd5).error);

    GUEST_LOAD(&g, GUEST_LONG, guest_cpuid_loop);
    if (kernel_loads_registers(e))
        measure_answered(&g);
    else
        measure_answered_by_writing_registers(&g);
    measure_skipped(&g, "cpuid-skip", VMX_REASON_CPUID);
    GUEST_LOAD(&g, GUEST_LONG, guest_out_loop);
    measure_skipped(&g, "out", VMX_REASON_IO);
}

void root_main(const seL4_BootInfo *bootinfo)
{
    struct env *e = &environment;

    *e = (struct env) { .bootinfo = bootinfo, .first_slot = bootinfo->empty.start, .next_slot = bootinfo->empty.start };
    choose_memory(e);
    if (setjmp(e->back) == 0)
        run(e);
    else
        note("%s:%d: %s", e->file, e->line, e->message);
    seL4_DebugPutString("# done\n");
    for (;;)
        seL4_DebugHalt();
}
