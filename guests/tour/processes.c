/* Several programs at once, each with an address space and an FPU of its own, changed by the timer. */
#include "guests/tour/tour.h"

#define PROCESSES 4u
#define VECTOR_TIMER 0x71
#define SLICE 50000   /* of the timer's ticks */
#define ROUNDS 40u

/* Fills every register from its number (rbx), and looks again and again whether they are still so: general
 * registers, x87, SSE; in its data page it counts how often, and whether something was wrong. */
USER_CODE(worker,
    "   movq %rbx, %rax; imulq $0x1234567, %rax; movq %rax, %r8; notq %rax; movq %rax, %r15\n"
    "   movq %r8, %xmm0; punpcklqdq %xmm0, %xmm0; movdqa %xmm0, %xmm5; movq %r15, %xmm15\n"
    "   movq %rbx, 16(%rsi); fninit; fildq 16(%rsi)\n"
    "1: movq %xmm5, %rax; cmpq %r8, %rax; jne 2f\n"
    "   movq %xmm15, %rax; cmpq %r15, %rax; jne 2f\n"
    "   movq %r8, %rax; notq %rax; cmpq %r15, %rax; jne 2f\n"
    "   fld %st(0); fistpq 24(%rsi); cmpq 24(%rsi), %rbx; jne 2f\n"
    "   movq %rbx, %rax; imulq $0x1234567, %rax; cmpq %r8, %rax; jne 2f\n"
    "   cmpq %rbx, 16(%rsi); jne 2f\n"
    "   incq (%rsi); jmp 1b\n"
    "2: incq 8(%rsi); movl $99, %eax; syscall; jmp 2b\n");
/* Counts, and gives the processor away each time. */
USER_CODE(yielder, "1: incq (%rsi); movl $1, %eax; syscall; jmp 1b");
USER_CODE(look_at_fpu, "movq %xmm5, %rax; movq %xmm15, %rdx; syscall");

static struct user process[PROCESSES];
static uint8_t *state[PROCESSES];
static volatile uint64_t *data_of[PROCESSES];

static void save(uint8_t *area)
{
    if (READ_CR(4) & CR4_OSXSAVE)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static void restore(const uint8_t *area)
{
    if (READ_CR(4) & CR4_OSXSAVE)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static void make_processes(const char *start, const char *end)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        make_program(&process[i], start, end);
        process[i].frame.rbx = i + 1;
        data_of[i] = VIRTUAL(*find_entry(process[i].root, USER_DATA, 1) & PTE_ADDRESS);
        /* The initial state, as either kind of instruction takes it. (SDM 1 10.5.1, 13.4) */
        state[i] = page_new();
        *(uint16_t *)state[i] = 0x37f;
        *(uint32_t *)(state[i] + 24) = 0x1f80;
    }
}

static void end_processes(void)
{
    WRITE_CR(3, kernel_root);
    for (unsigned i = 0; i < PROCESSES; i++) {
        space_free(process[i].root);
        page_free(state[i]);
    }
}

static bool is_back_by_timer(unsigned i, uint64_t vector)
{
    if (vector == VECTOR_TIMER) {
        apic_write(APIC_EOI, 0);
        return true;
    }
    print("# process %u: vector %lu, error %lx, rip %lx, rax %lx, cr2 %lx\n", i, vector, process[i].frame.error,
          process[i].frame.rip, process[i].frame.rax, READ_CR(2));
    return false;
}

static void report(unsigned failures, const char *kept, const char *all)
{
    uint64_t wrong = failures, least = ~0ul;

    for (unsigned i = 0; i < PROCESSES; i++) {
        wrong += data_of[i][1];
        if (data_of[i][0] < least)
            least = data_of[i][0];
    }
    check_equal(wrong, 0, kept);
    check(least > 0, all);
}

static void start_timer(void)
{
    apic_write(APIC_DIVIDE, 0xb);
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_PERIODIC);
    apic_write(APIC_INITIAL, SLICE);
}

static void stop_timer(void)
{
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_MASKED);
    apic_write(APIC_INITIAL, 0);
    sti();
    __asm__ volatile("nop; nop" : : : "memory");
    cli();
}

static void check_eager(void)
{
    unsigned failures = 0;

    make_processes(worker, worker_end);
    start_timer();
    for (unsigned round = 0; round < ROUNDS * PROCESSES; round++) {
        unsigned i = round % PROCESSES;

        restore(state[i]);
        failures += !is_back_by_timer(i, run_user(&process[i]));
        save(state[i]);
    }
    stop_timer();
    report(failures, "processes that the timer interrupts keep their registers, FPU, and memory",
           "and all of them run");
    end_processes();
}

/* The FPU changes its owner when another process touches it. */
static void check_lazy(void)
{
    unsigned owner = PROCESSES, failures = 0, taken = 0;

    make_processes(worker, worker_end);
    start_timer();
    for (unsigned round = 0; round < ROUNDS * PROCESSES; round++) {
        unsigned i = round * 7 / 3 % PROCESSES;
        uint64_t vector;

        if (owner == i)
            __asm__ volatile("clts");
        else
            WRITE_CR(0, READ_CR(0) | CR0_TS);
        vector = run_user(&process[i]);
        if (vector == VECTOR_NM) {
            __asm__ volatile("clts");
            if (owner < PROCESSES)
                save(state[owner]);
            restore(state[i]);
            owner = i;
            taken++;
            vector = run_user(&process[i]);
        }
        failures += !is_back_by_timer(i, vector);
    }
    __asm__ volatile("clts");
    stop_timer();
    report(failures, "also when the FPU changes its owner only when it is used", "and all of these run");
    check(taken >= PROCESSES, "by the exception that CR0.TS is for");
    end_processes();
}

static void check_yielding(void)
{
    unsigned failures = 0;
    uint64_t least = ~0ul;

    make_processes(yielder, yielder_end);
    for (unsigned round = 0; round < 1000; round++)
        failures += run_user(&process[round % PROCESSES]) != VECTOR_SYSCALL;
    for (unsigned i = 0; i < PROCESSES; i++)
        if (data_of[i][0] < least)
            least = data_of[i][0];
    check_equal(failures, 0, "processes that give the processor away");
    check_equal(least, 1000 / PROCESSES, "each gets it as often as the others");
    end_processes();
}

/* What one process has in its FPU, another sees only where the kernel lets it: it gets exactly what the kernel
 * loads. */
static void check_secrets(void)
{
    unsigned failures;

    make_processes(worker, worker_end);
    start_timer();
    restore(state[0]);
    failures = !is_back_by_timer(0, run_user(&process[0]));
    save(state[0]);
    stop_timer();
    load_program(&process[1], look_at_fpu, look_at_fpu_end);
    restore(state[1]);
    failures += run_user(&process[1]) != VECTOR_SYSCALL;
    check(!failures && process[1].frame.rax == 0 && process[1].frame.rdx == 0,
          "a process does not see another one's FPU");
    end_processes();
}

/* The same address means different pages in different spaces, over many changes between them. */
static void check_spaces(void)
{
    USER_CODE(reader, "movq (%rsi), %rax; addq $1, (%rsi); syscall");
    unsigned wrong = 0;

    make_processes(reader, reader_end);
    for (unsigned i = 0; i < PROCESSES; i++)
        data_of[i][0] = i * 1000;
    for (unsigned round = 0; round < 400; round++) {
        unsigned i = round % PROCESSES;

        load_program(&process[i], reader, reader_end);
        wrong += run_user(&process[i]) != VECTOR_SYSCALL || process[i].frame.rax != i * 1000 + round / PROCESSES;
    }
    check_equal(wrong, 0, "one address, four spaces, 400 changes between them");
    uint64_t *first = find_entry(process[0].root, USER_DATA, 1), *second = find_entry(process[1].root, USER_DATA, 1),
        kept = *first;
    *first = *second;
    *second = kept;
    for (unsigned i = 0; i < 2; i++) {
        load_program(&process[i], reader, reader_end);
        run_user(&process[i]);
        wrong += process[i].frame.rax != (1 - i) * 1000u + 100;
    }
    check_equal(wrong, 0, "pages exchanged between spaces that are not active");
    end_processes();
}

static void check_balance(void)
{
    uint64_t before = memory.free;

    make_processes(yielder, yielder_end);
    end_processes();
    check_equal(memory.free, before, "spaces that end give all of their pages back");
    for (unsigned i = 0; i < 200; i++) {
        make_program(&process[0], yielder, yielder_end);
        if (run_user(&process[0]) != VECTOR_SYSCALL)
            break;
        WRITE_CR(3, kernel_root);
        space_free(process[0].root);
    }
    check_equal(process[0].frame.rax, 1, "200 spaces, one after the other, in the same pages");
}

void process_checks(void)
{
    check_eager();
    check_lazy();
    check_yielding();
    check_secrets();
    check_spaces();
    check_balance();
}
