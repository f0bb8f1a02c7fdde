/* Interrupts: priorities, masks, where they may come, and what wakes a processor that halts. (SDM 3A chapters 6 and
 * 10) */
#include "guests/tour/tour.h"

#define VECTOR_TIMER   0x71
#define VECTOR_SERIAL  0x74
#define SERIAL_PIN     4
#define COM1           0x3f8
#define INTERRUPT_ENABLE (COM1 + 1)
#define INTERRUPT_ID     (COM1 + 2)
#define MODEM_CONTROL    (COM1 + 4)
#define TRANSMITTER_INTERRUPT 2
#define OUT2 8
#define C1_TSC_DEADLINE (1u << 24)
#define TIMER_DEADLINE (2u << 17)
#define DIVIDE_BY_1    0xb
#define DELIVER_NMI    (4u << 8)
#define ASSERT         (1u << 14)
#define A_WHILE        200000 /* of the timer's ticks */

static volatile uint64_t interrupted_rip, interrupted_rflags;

static void take_and_look(struct frame *frame)
{
    interrupted_rip = frame->rip;
    interrupted_rflags = frame->rflags;
    interrupt_vector[interrupts++ % INTERRUPTS_KEPT] = (uint8_t)frame->vector;
    apic_write(APIC_EOI, 0);
}

static void start_timer(uint32_t how, uint32_t count)
{
    apic_write(APIC_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_TIMER, VECTOR_TIMER | how);
    apic_write(APIC_INITIAL, count);
}

static void check_priorities(void)
{
    interrupts = 0;
    apic_self(0x41);
    apic_self(0x61);
    apic_self(0x51);
    check_equal(interrupts, 0, "no interrupt comes while they are disabled");
    check_equal(apic_read(APIC_IRR + 2) >> 1 & 1, 1, "but the APIC has it");
    sti();
    __asm__ volatile("nop; nop" : : : "memory");
    cli();
    check(interrupts == 3 && interrupt_vector[0] == 0x61 && interrupt_vector[1] == 0x51 && interrupt_vector[2] == 0x41,
          "then they come by priority");
    interrupts = 0;
    WRITE_CR(8, 5);
    apic_self(0x51);
    apic_self(0x61);
    sti();
    __asm__ volatile("nop; nop" : : : "memory");
    cli();
    check(interrupts == 1 && interrupt_vector[0] == 0x61, "the task priority holds lower ones back");
    sti();
    WRITE_CR(8, 0);
    __asm__ volatile("nop; nop" : : : "memory");
    cli();
    check(interrupts == 2 && interrupt_vector[1] == 0x51, "until it is lowered");
}

/* A handler that lets higher priorities in before it ends, but not its own. */
static volatile unsigned order[4], ordered;

static void take_slowly(struct frame *frame)
{
    (void)frame;
    order[ordered++ & 3] = 1;
    apic_self(0x91);
    apic_self(0x81);
    sti();
    __asm__ volatile("nop; nop" : : : "memory");
    cli();
    order[ordered++ & 3] = 2;
    apic_write(APIC_EOI, 0);
}

static void take_high(struct frame *frame)
{
    (void)frame;
    order[ordered++ & 3] = 3;
    apic_write(APIC_EOI, 0);
}

static void check_nesting(void)
{
    on_trap(0x82, take_slowly);
    on_trap(0x91, take_high);
    on_trap(0x81, take_high);
    ordered = 0;
    apic_self(0x82);
    sti();
    __asm__ volatile("nop; nop" : : : "memory");
    cli();
    check(ordered == 4 && order[0] == 1 && order[1] == 3 && order[2] == 2 && order[3] == 3,
          "within a handler come higher priorities, and its own class when it has ended");
    on_trap(0x82, NULL);
    on_trap(0x91, NULL);
    on_trap(0x81, NULL);
}

/* Each way of enabling interrupts lets a pending one in, behind the instruction that the manual says. */
static void check_windows(void)
{
    uint64_t behind;

    on_trap(0x61, take_and_look);
    interrupts = 0;
    apic_self(0x61);
    __asm__ volatile("pushq %1; popfq\n1:\tnop; nop; cli; leaq 1b(%%rip), %0" : "=r"(behind) : "i"(RFLAGS_IF | 2)
                     : "memory", "cc");
    check_equal(interrupts, 1, "popf lets an interrupt in");
    if (!on_qemu)
        check_equal(interrupted_rip, behind, "right behind it");
    check(interrupted_rflags & RFLAGS_IF, "whose frame has IF");
    apic_self(0x61);
    __asm__ volatile("movl %%ss, %%eax; movq %%rsp, %%rcx; pushq %%rax; pushq %%rcx; pushq %1; movl %%cs, %%eax; "
                     "pushq %%rax\n\t"
                     "leaq 1f(%%rip), %%rax; pushq %%rax; iretq\n1:\tnop; nop; cli; leaq 1b(%%rip), %0"
                     : "=r"(behind) : "i"(RFLAGS_IF | 2) : "rax", "rcx", "memory", "cc");
    check_equal(interrupts, 2, "iret does");
    if (!on_qemu)
        check_equal(interrupted_rip, behind, "where it returns to");
    apic_self(0x61);
    __asm__ volatile("sti\n\tnop\n1:\tnop; nop; cli; leaq 1b(%%rip), %0" : "=r"(behind) : : "memory");
    check_equal(interrupts, 3, "sti does");
    if (!on_qemu)
        check_equal(interrupted_rip, behind, "behind the instruction after it");
    if (!on_qemu) {
        apic_self(0x61);
        __asm__ volatile("sti; cli" : : : "memory");
        check_equal(interrupts, 3, "so that nothing comes between sti and cli");
        sti();
        __asm__ volatile("nop" : : : "memory");
        cli();
        apic_self(0x61);
        start_timer(0, 50 * A_WHILE); /* to get on in any case */
        __asm__ volatile("sti; hlt\n1:\tcli; leaq 1b(%%rip), %0" : "=r"(behind) : : "memory");
        check(interrupts == 5 && interrupted_rip == behind, "sti; hlt does not sleep over a pending interrupt");
        start_timer(TIMER_MASKED, 0);
    }
    on_trap(0x61, NULL);
}

static void halt_until(unsigned count)
{
    while (interrupts < count)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
}

static void check_timer(void)
{
    uint64_t begin, ticks;

    interrupts = 0;
    start_timer(0, A_WHILE);
    check(apic_read(APIC_COUNT) <= A_WHILE, "the timer counts down");
    halt_until(1);
    check(interrupts == 1 && interrupt_vector[0] == VECTOR_TIMER, "the timer wakes a processor that halts");
    check_equal(apic_read(APIC_COUNT), 0, "once");
    interrupts = 0;
    start_timer(0, A_WHILE);
    check(wait_for_interrupts(1), "and comes into a loop");
    interrupts = 0;
    start_timer(TIMER_PERIODIC, A_WHILE);
    halt_until(5);
    check(interrupts >= 5, "a periodic one comes again and again");
    start_timer(TIMER_MASKED, 0);
    sti();
    __asm__ volatile("nop; nop" : : : "memory");
    cli();
    interrupts = 0;
    start_timer(TIMER_MASKED, 1000);
    begin = rdtsc();
    while (rdtsc() - begin < 10000000) {
        sti();
        __asm__ volatile("nop; nop" : : : "memory");
        cli();
    }
    check_equal(interrupts, 0, "a timer that is masked does not");
    if (!(cpuid(1, 0).c & C1_TSC_DEADLINE)) {
        skip("a deadline of the time-stamp counter", "the processor has none");
        return;
    }
    interrupts = 0;
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_DEADLINE);
    begin = rdtsc();
    wrmsr(MSR_TSC_DEADLINE, begin + 1000000);
    halt_until(1);
    ticks = rdtsc() - begin;
    check(ticks >= 1000000 && interrupt_vector[0] == VECTOR_TIMER, "a deadline of the time-stamp counter");
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_MASKED);
}

static void check_serial(void)
{
    interrupts = 0;
    route_pin(SERIAL_PIN, VECTOR_SERIAL, false);
    out8(MODEM_CONTROL, OUT2);
    (void)in8(INTERRUPT_ID);
    out8(INTERRUPT_ENABLE, TRANSMITTER_INTERRUPT);
    check(wait_for_interrupts(1) && interrupt_vector[0] == VECTOR_SERIAL,
          "the serial port's interrupt, by the I/O APIC");
    out8(INTERRUPT_ENABLE, 0);
    route_pin(SERIAL_PIN, VECTOR_SERIAL, true);
    interrupts = 0;
    out8(INTERRUPT_ENABLE, TRANSMITTER_INTERRUPT);
    sti();
    __asm__ volatile("nop; nop" : : : "memory");
    cli();
    check_equal(interrupts, 0, "not where its pin is masked");
    out8(INTERRUPT_ENABLE, 0);
    out8(MODEM_CONTROL, 0);
}

static volatile unsigned nmis;

static void take_nmi(struct frame *frame)
{
    interrupted_rflags = frame->rflags;
    nmis++;
}

static void check_nmi(void)
{
    uint32_t id = apic_read(APIC_ID);

    nmis = 0;
    on_trap(2, take_nmi);
    if (x2apic) {
        wrmsr(MSR_X2APIC + APIC_ICR, (uint64_t)id << 32 | DELIVER_NMI | ASSERT);
    } else {
        apic_write(APIC_ICR + 1, id);
        apic_write(APIC_ICR, DELIVER_NMI | ASSERT);
    }
    __asm__ volatile("nop; nop" : : : "memory");
    check(nmis == 1 && !(interrupted_rflags & RFLAGS_IF), "an NMI comes while interrupts are disabled");
    on_trap(2, NULL);
}

static void check_all(void)
{
    check_priorities();
    check_nesting();
    check_windows();
    check_timer();
    check_serial();
    check_nmi();
}

void interrupt_checks(void)
{
    check_all();
    if (x2apic || !(cpuid(1, 0).c & C1_X2APIC))
        return;
    print("# as an x2APIC\n");
    apic_use_x2apic();
    check_all();
}
