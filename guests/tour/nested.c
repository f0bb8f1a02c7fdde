/* Exceptions within exceptions, and those of IRET. (SDM 3A 6.15, table 6-5) */
#include "guests/tour/tour.h"

#define AREA (TEST_BASE + 20 * GIB)
#define EXTERNAL 1u

static volatile unsigned depth, deepest;

static void nest(struct frame *frame)
{
    uint64_t kept = resume;

    (void)frame;
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (depth < 10)
        __asm__ volatile("int3" : : : "memory");
    TRY("ud2", : : );
    resume = kept;
    depth--;
}

/* A fault in the kernel, or a fault of its delivery: goes on where the check wants. */
static volatile uint64_t recovery_rip, recovery_rsp;
static volatile struct frame double_fault;
static volatile unsigned double_faults;

static void take_double_fault(struct frame *frame)
{
    uint64_t here;

    __asm__ volatile("movq %%rsp, %0" : "=r"(here));
    double_fault = *frame;
    double_faults += here > (uint64_t)ist_stack[IST_DOUBLE_FAULT - 1] && here < (uint64_t)ist_stack[IST_DOUBLE_FAULT];
    frame->rip = recovery_rip;
    frame->rsp = recovery_rsp;
}

/* Runs INSTRUCTION with the stack at STACK; expects that a double fault brings it back. */
#define RUN_TO_DOUBLE_FAULT(stack, instruction) \
    __asm__ volatile("movq $1f, recovery_rip(%%rip); movq %%rsp, recovery_rsp(%%rip); movq $98f, attempt(%%rip)\n\t" \
                     "movq %0, %%rsp\n98:\t" instruction "\n1:" \
                     : : "r"(stack), "r"(AREA) : "rax", "rdx", "memory", "cc")

static void check_double_fault(unsigned count, uint64_t stack, const char *name)
{
    bool passed = double_faults == count && double_fault.rip == attempt && double_fault.error == 0
        && double_fault.rsp == stack
                  && double_fault.ss == SELECTOR_DATA;

    if (!passed)
        print("# %u double faults, rip %lx, error %lx, rsp %lx, ss %lx; expected %u, %lx, 0, %lx\n", double_faults,
              double_fault.rip, double_fault.error, double_fault.rsp, double_fault.ss, count, attempt, stack);
    check(passed, name);
}

static void check_double_faults(void)
{
    static uint8_t small_stack[4096] __attribute__((aligned(16)));
    uint64_t good = (uint64_t)small_stack + sizeof small_stack, bad = AREA + PAGE;

    on_trap(VECTOR_DF, take_double_fault);
    RUN_TO_DOUBLE_FAULT(bad, "ud2");
    check_double_fault(1, bad, "an exception without a stack is a double fault, on a stack of its own");
    check_equal(READ_CR(2) & ~0xfful, (bad - 1) & ~0xfful, "and CR2 says where the stack was not");
    RUN_TO_DOUBLE_FAULT(bad, "int3");
    check_double_fault(2, bad, "int3 without a stack");
    RUN_TO_DOUBLE_FAULT(bad, "pushq $1");
    check_double_fault(3, bad, "a push to a stack that is not there");
    RUN_TO_DOUBLE_FAULT(bad, "movb (%1), %%al");
    check_double_fault(4, bad, "a page fault without a stack");
    RUN_TO_DOUBLE_FAULT(0x0000900000000000ul, "ud2");
    check_double_fault(5, 0x0000900000000000ul, "a stack at an address that is not canonical");

    idt[VECTOR_DE].type &= 0x7f;
    RUN_TO_DOUBLE_FAULT(good, "xorl %%edx, %%edx; divl %%edx");
    idt[VECTOR_DE].type |= 0x80;
    check(double_faults == 6 && double_fault.error == 0 && double_fault.rsp == good,
          "a division error whose gate is not present is a double fault");
    idt[VECTOR_PF].type &= 0x7f;
    RUN_TO_DOUBLE_FAULT(good, "movb (%1), %%al");
    idt[VECTOR_PF].type |= 0x80;
    check_double_fault(7, good, "a page fault whose gate is not present is one as well");
    on_trap(VECTOR_DF, NULL);
}

/* The first exception is a benign one: the second is delivered as itself. */
static void check_benign(void)
{
    idt[VECTOR_UD].type &= 0x7f;
    TRY("ud2", : : );
    idt[VECTOR_UD].type |= 0x80;
    if (on_qemu)
        caught.error |= EXTERNAL;
    check_fault(VECTOR_NP, gate_error(VECTOR_UD) + EXTERNAL, "an invalid opcode whose gate is not present");
}

#define PUSH_FRAME(ss, rsp, flags, cs, rip) \
    "movq %%rsp, %%rbx; pushq " ss "; pushq " rsp "; pushq " flags "; pushq " cs "; pushq " rip

static void check_iret(void)
{
    uint64_t flags, rsp, after;

    __asm__ volatile("movq %%rsp, %%rbx; pushq %3; leaq -256(%%rbx), %%rax; pushq %%rax; pushq %4; pushq %5\n\t"
                     "leaq 1f(%%rip), %%rax; pushq %%rax; iretq\n"
                     "1:\tpushfq; popq %0; movq %%rsp, %1; leaq 256(%%rsp), %2; movq %%rbx, %%rsp; subq %%rbx, %2"
                     : "=&r"(flags), "=&r"(rsp), "=&r"(after)
                     : "i"(SELECTOR_DATA), "r"(RFLAGS_FIXED | RFLAGS_CF | RFLAGS_ID), "i"(SELECTOR_CODE)
                     : "rax", "rbx", "memory", "cc");
    check_equal(flags & (RFLAGS_CF | RFLAGS_ZF | RFLAGS_IF | RFLAGS_ID), RFLAGS_CF | RFLAGS_ID,
                "iretq loads the flags");
    check_equal(after, 0, "and the stack, in the kernel as well");

    TRY_WITH(PUSH_FRAME("%0", "%%rbx", "$2", "%1", "%2"), "iretq", "movq %%rbx, %%rsp",
             : : "i"(SELECTOR_DATA), "i"(0x78), "i"(0) : "rbx", "memory");
    check_fault(VECTOR_GP, 0x78, "iretq to a selector of nothing");
    TRY_WITH(PUSH_FRAME("%0", "%%rbx", "$2", "%1", "%2"), "iretq", "movq %%rbx, %%rsp",
             : : "i"(SELECTOR_DATA), "i"(0), "i"(0) : "rbx", "memory");
    check_fault(VECTOR_GP, 0, "iretq to a null selector");
    TRY_WITH(PUSH_FRAME("%0", "%%rbx", "$2", "%1", "%2"), "iretq", "movq %%rbx, %%rsp",
             : : "i"(SELECTOR_DATA), "i"(SELECTOR_DATA), "i"(0) : "rbx", "memory");
    check_fault(VECTOR_GP, SELECTOR_DATA, "iretq to data");
    TRY_WITH(PUSH_FRAME("%0", "%%rbx", "$2", "%1", "%2"), "iretq", "movq %%rbx, %%rsp",
             : : "i"(SELECTOR_DATA), "i"(SELECTOR_USER_CODE), "r"(USER_TEXT) : "rbx", "memory");
    check_fault(VECTOR_GP, SELECTOR_DATA, "iretq to a user program with the kernel's stack segment");
    TRY_WITH("pushfq; popq %%rax; movq %%rax, %%rcx; orl %0, %%ecx; pushq %%rcx; popfq\n\t"
             PUSH_FRAME("%1", "%%rbx", "$2", "%2", "$99f"), "iretq",
             "movq %%rbx, %%rsp; pushq %%rax; popfq",
             : : "i"(RFLAGS_NT), "i"(SELECTOR_DATA), "i"(SELECTOR_CODE) : "rax", "rbx", "rcx", "memory", "cc");
    check_fault(VECTOR_GP, 0, "iretq with NT set");
}

void nested_checks(void)
{
    on_trap(VECTOR_BP, nest);
    __asm__ volatile("int3" : : : "memory");
    check(depth == 0 && deepest == 10 && caught.vector == VECTOR_UD, "ten exceptions within each other");
    on_trap(VECTOR_BP, NULL);
    check_double_faults();
    check_benign();
    check_iret();
}
