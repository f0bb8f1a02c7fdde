/* Results, and exceptions that checks cause. */
#include "guests/tour/tour.h"

#define BEAML4_EBX 0x6d616562 /* leaf 0x40000000 in a virtual machine of beaml4's */
#define PATIENCE 20000000000ul /* ticks; longer than any timer here runs on the slowest emulator */

volatile struct caught caught;
volatile uint64_t resume, attempt;
bool on_tcg, on_qemu, on_bare_qemu, on_vtx, on_bochs;
volatile unsigned interrupts;
volatile uint8_t interrupt_vector[INTERRUPTS_KEPT];

static void (*handlers[256])(struct frame *frame);
static unsigned checks, failures;

void check(bool passed, const char *name)
{
    print("%sok %u - %s\n", passed ? "" : "not ", ++checks, name);
    if (!passed)
        failures++;
}

void check_equal(uint64_t found, uint64_t expected, const char *name)
{
    if (found != expected)
        print("# found %lx, expected %lx\n", found, expected);
    check(found == expected, name);
}

void skip(const char *name, const char *reason)
{
    print("ok %u - %s # SKIP %s\n", ++checks, name, reason);
}

void check_done(const char *name)
{
    if (caught.vector != NO_VECTOR)
        print("# exception %lu, error %lx, at %lx, cr2 %lx\n", caught.vector, caught.error, caught.rip, caught.cr2);
    check(caught.vector == NO_VECTOR, name);
}

static bool faulted(uint64_t vector, uint64_t error, uint64_t rip)
{
    /* QEMU's processor leaves P clear, though only an entry that is present can have reserved bits set (SDM 3A 4.7). */
    if (on_qemu && vector == VECTOR_PF && (caught.error & PF_RESERVED))
        caught.error |= PF_PRESENT;

    bool as_expected = caught.vector == vector && caught.error == error && caught.rip == rip;

    if (!as_expected)
        print("# exception %lu, error %lx, at %lx; expected %lu, %lx, %lx; cr2 %lx\n", caught.vector, caught.error,
              caught.rip, vector, error, rip, caught.cr2);
    return as_expected;
}

void check_fault(uint64_t vector, uint64_t error, const char *name)
{
    check(faulted(vector, error, attempt), name);
}

void check_page_fault(uint64_t error, uint64_t address, const char *name)
{
    bool as_expected = faulted(VECTOR_PF, error, error & PF_FETCH ? address : attempt);

    if (as_expected && caught.cr2 != address)
        print("# cr2 %lx, expected %lx\n", caught.cr2, address);
    check(as_expected && caught.cr2 == address, name);
}

/* QEMU's processor takes the gate's offset for its number. */
uint64_t gate_error(unsigned vector)
{
    return vector * (on_qemu ? 16u : 8u) + 2;
}

void on_trap(unsigned vector, void (*handler)(struct frame *frame))
{
    handlers[vector] = handler;
}

static void take(struct frame *frame)
{
    uint64_t vector = frame->vector;

    if (handlers[vector]) {
        handlers[vector](frame);
        return;
    }
    if (vector >= 32) {
        interrupt_vector[interrupts++ % INTERRUPTS_KEPT] = (uint8_t)vector;
        apic_write(APIC_EOI, 0);
        return;
    }
    caught.vector = vector;
    caught.error = frame->error;
    caught.rip = frame->rip;
    caught.cr2 = READ_CR(2);
    caught.rflags = frame->rflags;
    caught.rsp = frame->rsp;
    caught.cs = frame->cs;
    caught.ss = frame->ss;
    caught.count++;
    if (!resume) {
        print("Bail out! exception %lu, error %lx, at %lx, rsp %lx, cr2 %lx\n", vector, frame->error, frame->rip,
              frame->rsp,
              READ_CR(2));
        power_off();
    }
    frame->rip = resume;
}

bool wait_for_interrupts(unsigned count)
{
    uint64_t begin = rdtsc();

    while (interrupts < count && rdtsc() - begin < PATIENCE) {
        sti();
        __asm__ volatile("nop; nop" : : : "memory");
        cli();
    }
    return interrupts >= count;
}

void kernel_main(const char *cmdline)
{
    static const struct { const char *name; void (*run)(void); } topics[] = {
        { "paging", paging_checks }, { "edits", paging_edit_checks },
#ifdef SPEAKS_PVM
        { "pvm", pvm_checks },
#else
        { "descriptors", descriptor_checks }, { "exceptions", exception_checks }, { "nested", nested_checks },
        { "flags", flags_checks }, { "cpu", cpu_checks },
        { "state", extended_state_checks }, { "code", code_checks }, { "devices", device_checks },
        { "interrupts", interrupt_checks }, { "syscalls", syscall_checks }, { "users", user_checks },
        { "processes", process_checks },
#endif
    };
    const char *wanted = NULL;

    for (; *cmdline; cmdline++) {
        if (starts_with(cmdline, "only="))
            wanted = cmdline + 5;
        if (starts_with(cmdline, "qemu"))
            on_qemu = on_tcg = true;
        if (starts_with(cmdline, "bochs"))
            on_bochs = true;
        if (starts_with(cmdline, "vtx"))
            on_vtx = true;
        if (starts_with(cmdline, "tcg"))
            on_tcg = true;
    }
    on_bare_qemu = on_qemu && cpuid(0x40000000, 0).b != BEAML4_EBX;
    print("TAP version 13\n");
    trap_handler = take;
    apic_init();
    for (unsigned i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        if (wanted && !starts_with(wanted, topics[i].name))
            continue;
        print("# topic %s\n", topics[i].name);
        topics[i].run();
    }
    print("1..%u\n# %u failed\n# done\n", checks, failures);
}
