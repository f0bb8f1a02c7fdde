/* Exceptions in the kernel: vector, error code, saved rip, and what a handler sees of the machine. (SDM 3A chapter
 * 6) */
#include "guests/tour/tour.h"

#define VECTOR_FREE 0x90 /* nothing else uses it */
#define DR6_BS (1ul << 14)

static volatile uint64_t handler_rflags, handler_rsp, handled;
static struct frame seen;

static void look_around(struct frame *frame)
{
    handler_rflags = read_rflags();
    __asm__ volatile("movq %%rsp, %0" : "=r"(handler_rsp));
    seen = *frame;
    handled++;
}

static void check_instructions(void)
{
    TRY("ud2", : : );
    check_fault(VECTOR_UD, 0, "ud2");
    TRY("divl %k0", : : "r"(0), "a"(1), "d"(0) : "cc");
    check_fault(VECTOR_DE, 0, "a division by zero");
    TRY("idivq %0", : : "r"(-1l), "a"(0), "d"(1ul << 63) : "cc");
    check_fault(VECTOR_DE, 0, "a quotient that is too large");
    TRY(".byte 0x0f, 0x0b, 0x90", : : );
    check_fault(VECTOR_UD, 0, "ud2, as bytes");
    TRY(".byte 0xf0; nop", : : );
    check_fault(VECTOR_UD, 0, "a lock prefix where none may be");
    TRY("jmp *%0", : : "r"(0x0000900000000000));
    check(caught.vector == VECTOR_GP && caught.error == 0, "a jump to an address that is not canonical");
    TRY("movaps (%0), %%xmm0", : : "r"((uint64_t)gdt + 8));
    check_fault(VECTOR_GP, 0, "an operand of SSE that is not aligned");
}

/* QEMU's own processor lets them through. */
static void check_reserved_bits(void)
{
    if (on_bare_qemu)
        return;
    TRY("mov %0, %%cr4", : : "r"(READ_CR(4) | 1ul << 31));
    check_fault(VECTOR_GP, 0, "a reserved bit of CR4");
    TRY("mov %0, %%cr4", : : "r"(READ_CR(4) & ~CR4_PAE));
    check_fault(VECTOR_GP, 0, "long mode without CR4.PAE");
    TRY("wrmsr", : : "c"(MSR_EFER), "a"(0x40000), "d"(0));
    check_fault(VECTOR_GP, 0, "a reserved bit of EFER");
    TRY("wrmsr", : : "c"(MSR_EFER), "a"((uint32_t)rdmsr(MSR_EFER) & ~(uint32_t)EFER_LME), "d"(0));
    check_fault(VECTOR_GP, 0, "leaving long mode with paging enabled");
}

static void check_software_interrupts(void)
{
    uint64_t rsp, after;

    on_trap(VECTOR_BP, look_around);
    __asm__ volatile("movq %%rsp, %0\n\tint3\n1:\tleaq 1b(%%rip), %1" : "=&r"(rsp), "=&r"(after) : : "memory");
    check(handled == 1 && seen.rip == after, "int3 arrives with the rip behind it");
    check_equal(seen.rsp, rsp, "with the rsp before it");
    check(seen.cs == SELECTOR_CODE && seen.ss == SELECTOR_DATA, "and the kernel's selectors");
    check(!(handler_rflags & RFLAGS_IF), "a handler behind an interrupt gate has interrupts disabled");
    on_trap(VECTOR_BP, NULL);

    on_trap(VECTOR_FREE, look_around);
    __asm__ volatile("int %1\n1:\tleaq 1b(%%rip), %0" : "=&r"(after) : "i"(VECTOR_FREE) : "memory");
    check(handled == 2 && seen.rip == after && seen.error == 0, "int n arrives, with the rip behind it");
    set_gate(VECTOR_FREE, (uint64_t)vectors + VECTOR_FREE * 16, GATE_TRAP, 0);
    sti();
    __asm__ volatile("int %0" : : "i"(VECTOR_FREE) : "memory");
    cli();
    check(handled == 3 && (handler_rflags & RFLAGS_IF), "a handler behind a trap gate keeps interrupts enabled");
    check(seen.rflags & RFLAGS_IF, "the flags of the frame have IF");
    set_gate(VECTOR_FREE, (uint64_t)vectors + VECTOR_FREE * 16, GATE_INTERRUPT, IST_SPARE);
    __asm__ volatile("int %0" : : "i"(VECTOR_FREE) : "memory");
    check(handler_rsp > (uint64_t)ist_stack[IST_SPARE - 1] && handler_rsp < (uint64_t)ist_stack[IST_SPARE],
          "a gate with a stack of its own is taken there");
    set_gate(VECTOR_FREE, (uint64_t)vectors + VECTOR_FREE * 16, GATE_INTERRUPT, 0);
    __asm__ volatile("movq %%rsp, %%rbx; andq $-16, %%rsp; subq $8, %%rsp; int %0; movq %%rbx, %%rsp"
                     : : "i"(VECTOR_FREE) : "rbx", "memory");
    check_equal(seen.rsp & 15, 8, "a stack that is not aligned comes back as it was");
    on_trap(VECTOR_FREE, NULL);

    idt[VECTOR_FREE].type &= 0x7f;
    TRY("int %0", : : "i"(VECTOR_FREE));
    check_fault(VECTOR_NP, gate_error(VECTOR_FREE), "int n whose gate is not present");
    idt[VECTOR_FREE].type = 0;
    TRY("int %0", : : "i"(VECTOR_FREE));
    check_fault(VECTOR_GP, gate_error(VECTOR_FREE), "int n without a gate");
    set_gate(VECTOR_FREE, (uint64_t)vectors + VECTOR_FREE * 16, GATE_INTERRUPT, 0);
    idt[VECTOR_FREE].selector = SELECTOR_DATA;
    TRY("int %0", : : "i"(VECTOR_FREE));
    check_fault(VECTOR_GP, SELECTOR_DATA, "int n whose gate leads to data");
    set_gate(VECTOR_FREE, (uint64_t)vectors + VECTOR_FREE * 16, GATE_INTERRUPT, 0);

    struct table_pointer small = { VECTOR_FREE * 16 - 1, (uint64_t)idt }, whole = { sizeof idt - 1, (uint64_t)idt };
    __asm__ volatile("lidt %0" : : "m"(small));
    TRY("int %0", : : "i"(VECTOR_FREE));
    __asm__ volatile("lidt %0" : : "m"(whole));
    check_fault(VECTOR_GP, gate_error(VECTOR_FREE), "int n beyond the table's limit");
}

/* Each step ends behind an instruction; those that leave the guest are instructions like any others. */
#define STEPS_MAX 16
static volatile uint64_t step_rip[STEPS_MAX], step_dr6, step_flags;
static volatile unsigned steps;

static void take_step(struct frame *frame)
{
    step_dr6 = READ_DR(6);
    if (steps == 0)
        step_flags = frame->rflags;
    handler_rflags = read_rflags();
    if (steps < STEPS_MAX)
        step_rip[steps] = frame->rip;
    steps++;
    WRITE_DR(6, 0);
}

extern const char step_0[], step_1[], step_2[], step_3[], step_4[], step_5[], step_6[], step_7[];

static void check_single_steps(void)
{
    const char *const expected[] = { step_0, step_1, step_2, step_3, step_4, step_5, step_6, step_7 };
    unsigned wrong = 0;

    on_trap(VECTOR_DB, take_step);
    steps = 0;
    __asm__ volatile("pushfq; orq %0, (%%rsp); popfq\n\t"
                     "nop\n"
                     ".globl step_0, step_1, step_2, step_3, step_4, step_5, step_6, step_7\n"
                     ".hidden step_0, step_1, step_2, step_3, step_4, step_5, step_6, step_7\n"
                     "step_0:\tcpuid\n"
                     "step_1:\tmovq %%cr3, %%rax\n"
                     "step_2:\tmovq %%rax, %%cr3\n"
                     "step_3:\tinb $0x80, %%al\n"
                     "step_4:\tpushfq\n"
                     "step_5:\tpopq %%rax\n"
                     "step_6:\trdtsc\n"
                     "step_7:\tpushfq; andq %1, (%%rsp); popfq"
                     : : "i"(RFLAGS_TF), "i"(~(int)RFLAGS_TF) : "rax", "rbx", "rcx", "rdx", "memory", "cc");
    on_trap(VECTOR_DB, NULL);
    for (unsigned i = 0; i < 8; i++)
        if (i >= steps || step_rip[i] != (uint64_t)expected[i]) {
            print("# step %u ended at %lx, expected %lx\n", i, step_rip[i], (uint64_t)expected[i]);
            wrong++;
        }
    check_equal(wrong, 0, "single steps end behind each instruction");
    check(step_dr6 & DR6_BS, "DR6 says that it was a step");
    check(step_flags & RFLAGS_TF, "the flags of the frame have TF");
    check(!(handler_rflags & RFLAGS_TF), "the handler is not stepped through");
    check(steps >= 10 && steps <= 11, "and they end with TF");
}

/* A handler that maps what is missing: the instruction goes on as if nothing had been. */
#define AREA (TEST_BASE + 16 * GIB)
#define AREA_PAGES 8u
static volatile unsigned demanded;

static void map_on_demand(struct frame *frame)
{
    uint64_t address = READ_CR(2);

    if (address < AREA || address >= AREA + AREA_PAGES * PAGE || demanded > 2 * AREA_PAGES) {
        print("Bail out! page fault at %lx, address %lx\n", frame->rip, address);
        power_off();
    }
    demanded++;
    map_page(kernel_root, address & ~(PAGE - 1), PHYSICAL(page_new()), KERNEL_PAGE);
}

static void check_demand_paging(void)
{
    uint8_t *to = (void *)(AREA + 100);
    uint64_t count = 3 * PAGE, before = count;
    unsigned wrong = 0;

    on_trap(VECTOR_PF, map_on_demand);
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0x5a) : "memory");
    check(demanded == 4 && count == 0, "rep stosb over pages that come as they are needed");
    for (const uint8_t *p = (void *)(AREA + 100); p < (uint8_t *)AREA + 100 + before; p++)
        wrong += *p != 0x5a;
    check_equal(wrong, 0, "writes them all");
    uint64_t rax = 0x1234;
    set_gate(VECTOR_PF, (uint64_t)vectors + VECTOR_PF * 16, GATE_INTERRUPT, IST_SPARE);
    __asm__ volatile("movq %%rsp, %%rbx; leaq 8(%1), %%rsp; pushq %0; popq %0; movq %%rbx, %%rsp"
                     : "+r"(rax) : "r"(AREA + 6 * PAGE) : "rbx", "memory");
    check(demanded == 5 && *(uint64_t *)(AREA + 6 * PAGE) == 0x1234, "push to a page that comes when it is needed");
    set_gate(VECTOR_PF, (uint64_t)vectors + VECTOR_PF * 16, GATE_INTERRUPT, 0);
    on_trap(VECTOR_PF, NULL);
    for (unsigned i = 0; i < AREA_PAGES; i++) {
        uint64_t *entry = find_entry(kernel_root, AREA + i * PAGE, 1);

        if (entry && *entry)
            page_free(VIRTUAL(*entry & PTE_ADDRESS));
        if (entry)
            *entry = 0;
        invlpg((void *)(AREA + i * PAGE));
    }
}

/* CR2 keeps what the last page fault left, over other exceptions. */
static void check_cr2(void)
{
    TRY("movb (%0), %%al", : : "r"(AREA + 77) : "rax");
    TRY("ud2", : : );
    check_equal(caught.cr2, AREA + 77, "an exception of another kind leaves CR2 alone");
    WRITE_CR(2, 0x123456789);
    check_equal(READ_CR(2), 0x123456789, "CR2 can be written");
}

void exception_checks(void)
{
    check_instructions();
    check_reserved_bits();
    check_software_interrupts();
    check_single_steps();
    check_demand_paging();
    check_cr2();
}
