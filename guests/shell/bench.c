/* What things cost, in ticks of the time-stamp counter. */
#include "guests/shell/shell.h"

#define CALLS     2000u
#define FRESH     512u
#define SWITCHES  2000u
#define PAIRS     20000u
#define WRITES    2000u
#define LOOPS     10000000u
#define TIMER_HZ  1000u
#define DELAY_PORT 0x80

PROGRAM(call, "1: movl $5, %eax; syscall; decl %ebx; jnz 1b; movl $1, %eax; syscall");
PROGRAM(touch, "1: movb $1, (%rdi); addq $4096, %rdi; decl %ebx; jnz 1b; movl $1, %eax; syscall");
PROGRAM(yield, "1: movl $4, %eax; syscall; jmp 1b");
PROGRAM(compute, "1: imulq $1234567, %rax; addq $89, %rax; decl %ebx; jnz 1b; movl $1, %eax; syscall");

static struct process first, second;

static void report(const char *name, uint64_t count, uint64_t ticks)
{
    print("bench: %-32s %8lu times, %8lu.%02lu ticks each\n", name, count, ticks / count, ticks % count * 100 / count);
}

static bool load(struct process *p, const char *start, const char *end, uint64_t count)
{
    if (!process_load(p, "bench", start, end)) {
        print("bench: no memory\n");
        return false;
    }
    p->user.frame.rbx = count;
    p->user.frame.rdi = USER_FRESH;
    return true;
}

/* Runs the first program to its end; how often it came back. */
static uint64_t run_to_end(uint64_t *ticks)
{
    uint64_t begin = rdtsc(), returns = 0;

    for (;;) {
        uint64_t vector = run_user(&first.user);

        returns++;
        first.user.by_sysret = vector == VECTOR_SYSCALL;
        if (vector == VECTOR_SYSCALL) {
            if (first.user.frame.rax == CALL_EXIT)
                break;
        } else if (!take_interrupt(vector) && (vector != VECTOR_PF || !process_fresh_page(&first))) {
            print("bench: exception %lu at %lx\n", vector, first.user.frame.rip);
            break;
        }
    }
    *ticks = rdtsc() - begin;
    process_end(&first);
    return returns - 1;
}

static void bench_programs(void)
{
    uint64_t ticks, returns, undisturbed;

    if (!load(&first, call_code, call_code_end, CALLS))
        return;
    returns = run_to_end(&ticks);
    report("null system call", returns, ticks);
    if (!load(&first, touch_code, touch_code_end, FRESH))
        return;
    returns = run_to_end(&ticks);
    report("page fault on a fresh page", returns, ticks);
    if (!load(&first, compute_code, compute_code_end, LOOPS))
        return;
    run_to_end(&undisturbed);
    report("round of a compute loop", LOOPS, undisturbed);
    if (!load(&first, compute_code, compute_code_end, LOOPS))
        return;
    apic_write(APIC_TIMER, VECTOR_TIMER | TIMER_PERIODIC);
    apic_write(APIC_INITIAL, (uint32_t)(timer_hz / TIMER_HZ));
    returns = run_to_end(&ticks);
    time_stop();
    if (returns > 0)
        report("timer interrupt", returns, ticks > undisturbed ? ticks - undisturbed : 0);
    else
        print("bench: no timer interrupt came\n");
}

/* Until it makes a system call; interrupts, one left over from the timer among them, must be answered. */
static void run_to_call(struct process *p)
{
    uint64_t vector;

    while (take_interrupt(vector = run_user(&p->user)))
        p->user.by_sysret = false;
    p->user.by_sysret = vector == VECTOR_SYSCALL;
}

static void bench_switches(void)
{
    uint64_t begin, ticks;

    if (!load(&first, yield_code, yield_code_end, 0) || !load(&second, yield_code, yield_code_end, 0))
        return;
    run_to_call(&first);
    run_to_call(&second);
    begin = rdtsc();
    for (unsigned i = 0; i < SWITCHES; i += 2) {
        run_to_call(&first);
        run_to_call(&second);
    }
    ticks = rdtsc() - begin;
    report("change between two processes", SWITCHES, ticks);
    process_end(&first);
    process_end(&second);
}

static void bench_kernel(void)
{
    uint64_t begin = rdtsc();

    for (unsigned i = 0; i < PAIRS; i++)
        __asm__ volatile("sti; cli" : : : "memory");
    report("sti and cli", PAIRS, rdtsc() - begin);
    begin = rdtsc();
    for (unsigned i = 0; i < WRITES; i++)
        out8(DELAY_PORT, 0);
    report("write to a port", WRITES, rdtsc() - begin);
}

void bench(void)
{
    time_stop();
    bench_kernel();
    bench_programs();
    bench_switches();
    print("bench: done\n");
}
