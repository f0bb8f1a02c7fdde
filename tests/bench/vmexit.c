/* A root task that measures what an exit costs: out of a guest, through the kernel to a user-level monitor, and back.
 *
 *   cpuid       CPUID answered: the monitor reads the exit and gives the guest new registers
 *   cpuid-skip  CPUID left without an answer: the monitor only goes on behind it
 *   out         a port write: the monitor reads the exit and goes on behind it
 */
#include "tests/kernel/guest.h"

#include <sel4/beaml4.h>
#include <sel4/vmcb.h>
#include <stdio.h>

#define EXITS 10000u

#define CPUID_BYTES 2u
#define OUT_BYTES   1u /* to the port in dx */

/* How the machine's way of running guests names the exits. */
struct reasons {
    seL4_Word cpuid, port;
};

static const struct reasons vtx_reasons = { VMX_REASON_CPUID, VMX_REASON_IO };
static const struct reasons svm_reasons = { SVM_EXIT_CPUID, SVM_EXIT_IO };

static struct env environment;

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static bool kernel_has(struct env *e, seL4_Uint32 feature)
{
    const seL4_BootInfoHeader *record = sel4_bootinfo_find(e->bootinfo, SEL4_BOOTINFO_HEADER_BEAML4);

    return record && ((const seL4_BootInfo_beaml4_t *)record)->features & feature;
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

/* LENGTH: where the processor does not tell, as some with AMD-V. */
static void skip_instruction(seL4_Word length)
{
    seL4_Word told = seL4_GetMR(SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR);

    if (told != 0)
        length = told;
    seL4_SetMR(SEL4_VMENTER_CALL_EIP_MR, seL4_GetMR(SEL4_VMENTER_CALL_EIP_MR) + length);
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

static void measure_skipped(struct guest *g, const char *name, seL4_Word reason, seL4_Word length)
{
    begin(g, reason);
    uint64_t start = read_tsc();
    for (unsigned i = 0; i < EXITS; i++) {
        skip_instruction(length);
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
    skip_instruction(CPUID_BYTES);
}

/* With the registers in seL4_VMEnter's own message. */
static void measure_answered(struct guest *g, seL4_Word reason)
{
    seL4_Word info = seL4_MessageInfo_new(0, 0, 0, SEL4_VMENTER_RESULT_FAULT_LEN).words[0];

    begin(g, reason);
    uint64_t start = read_tsc();
    for (unsigned i = 0; i < EXITS; i++) {
        answer_cpuid();
        enter(g->env, info, reason);
    }
    report("cpuid", read_tsc() - start);
}

/* With a system call of its own for them, which takes the place of the message. */
static void measure_answered_by_writing_registers(struct guest *g, seL4_Word reason)
{
    begin(g, reason);
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
        enter(g->env, 0, reason);
    }
    report("cpuid", read_tsc() - start);
}

/* As Linux has them: different from the kernel's. */
#define GUEST_STAR  0x0023001000000000
#define GUEST_LSTAR 0xffffffff81800000
#define GUEST_FMASK 0x257fd5

static void set_system_call_registers(struct guest *g)
{
    struct env *e = g->env;

    if (e->has_svm) {
        guest_write(g, VMCB_STAR, GUEST_STAR);
        guest_write(g, VMCB_LSTAR, GUEST_LSTAR);
        guest_write(g, VMCB_FMASK, GUEST_FMASK);
    } else {
        EXPECT_OK(seL4_X86_VCPU_WriteMSR(g->vcpu, 0xc0000081, GUEST_STAR).error);
        EXPECT_OK(seL4_X86_VCPU_WriteMSR(g->vcpu, 0xc0000082, GUEST_LSTAR).error);
        EXPECT_OK(seL4_X86_VCPU_WriteMSR(g->vcpu, 0xc0000084, GUEST_FMASK).error);
    }
}

static void run(struct env *e)
{
    const struct reasons *reasons = e->has_svm ? &svm_reasons : &vtx_reasons;

    /* As monitors are: compiled without vector registers, which then stay the guest's. */
    EXPECT_OK(seL4_TCB_SetFlags(seL4_CapInitThreadTCB, 0, seL4_TCBFlag_fpuDisabled).error);
    struct guest g = new_guest(e, seL4_CapInitThreadTCB, 0);
    set_system_call_registers(&g);

    GUEST_LOAD(&g, GUEST_LONG, guest_cpuid_loop);
    if (kernel_has(e, SEL4_BEAML4_VMENTER_REGISTERS))
        measure_answered(&g, reasons->cpuid);
    else
        measure_answered_by_writing_registers(&g, reasons->cpuid);
    measure_skipped(&g, "cpuid-skip", reasons->cpuid, CPUID_BYTES);
    GUEST_LOAD(&g, GUEST_LONG, guest_out_loop);
    measure_skipped(&g, "out", reasons->port, OUT_BYTES);
}

void root_main(const seL4_BootInfo *bootinfo)
{
    struct env *e = &environment;

    *e = (struct env) { .bootinfo = bootinfo, .first_slot = bootinfo->empty.start, .next_slot = bootinfo->empty.start };
    e->is_ours = sel4_bootinfo_find(bootinfo, SEL4_BOOTINFO_HEADER_BEAML4) != NULL;
    e->has_svm = kernel_has(e, SEL4_BEAML4_SVM);
    e->has_vtx = !e->has_svm && (!e->is_ours || kernel_has(e, SEL4_BEAML4_VTX));
    e->has_vcpu = e->has_svm || e->has_vtx;
    choose_memory(e);
    if (setjmp(e->back) == 0)
        run(e);
    else
        note("not measured: %s (%s:%d)", e->message, e->file ? e->file : "skipped", e->line);
    seL4_DebugPutString("# done\n");
    for (;;)
        seL4_DebugHalt();
}
