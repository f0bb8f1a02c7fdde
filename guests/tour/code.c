/* Code that is copied, made, and changed while it runs: processors need nothing for that but a jump. (SDM 3A 8.1.3) */
#include "guests/tour/tour.h"

#define AREA (TEST_BASE + 24 * GIB)

static volatile uint8_t *code;  /* two pages, to write to */
static uint64_t text;           /* the same pages, to execute */

static uint64_t call(uint64_t address)
{
    uint64_t result;

    __asm__ volatile("call *%1" : "=a"(result) : "r"(address) : "rbx", "rcx", "rdx", "memory", "cc");
    return result;
}

static void put_code(uint64_t offset, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;

    for (size_t i = 0; i < count; i++)
        code[offset + i] = from[i];
}

#define PUT(offset, ...) put_code(offset, (const uint8_t[]) { __VA_ARGS__ }, sizeof (const uint8_t[]) { __VA_ARGS__ })

/* What the kernel copies of itself: every instruction whose meaning depends on who executes it. */
extern const char copied_flags[], copied_flags_end[], copied_cpuid[], copied_cpuid_end[], copied_tables[],
        copied_tables_end[];
__asm__(".pushsection .text\n"
        "copied_flags:\tcli; pushfq; popq %rax; andl $0x200, %eax; sti; pushfq; popq %rcx; cli; andl $0x200, %ecx\n"
        "\tleaq 1(%rax,%rcx), %rax; pushq $0x203; popfq; pushfw; popw %cx; cli; andl $0x200, %ecx; addq %rcx, %rax; "
        "ret\n"
        "copied_flags_end:\n"
        "copied_cpuid:\tmovl $0x40000000, %eax; xorl %ecx, %ecx; cpuid; movl %ebx, %eax; ret\n"
        "copied_cpuid_end:\n"
        "copied_tables:\tsubq $16, %rsp; sgdt (%rsp); movq 2(%rsp), %rbx; sidt (%rsp); addq 2(%rsp), %rbx; "
        "addq $16, %rsp\n"
        "\tstr %eax; addq %rax, %rbx; movl %cs, %eax; addq %rax, %rbx; smsw %eax; andl $0xffff, %eax; addq %rbx, %rax\n"
        "\tpushq $0x08; leaq 1f(%rip), %rbx; pushq %rbx; lretq\n1:\tret\n"
        "copied_tables_end:\n"
        ".popsection");

static void check_copies(void)
{
    put_code(0, copied_flags, (size_t)(copied_flags_end - copied_flags));
    check_equal(call(text), 0x401, "copied code that works with the interrupt flag");
    check_equal(call((uint64_t)copied_flags), 0x401, "as it does where it was linked");
    put_code(0x100, copied_cpuid, (size_t)(copied_cpuid_end - copied_cpuid));
    check_equal(call(text + 0x100), cpuid(0x40000000, 0).b, "copied code with cpuid");
    put_code(0x205, copied_tables, (size_t)(copied_tables_end - copied_tables));
    check_equal(call(text + 0x205),
                (uint64_t)gdt + (uint64_t)idt + SELECTOR_TSS + SELECTOR_CODE + (READ_CR(0) & 0xffff),
                "copied code with sgdt, sidt, str, smsw, mov from cs, and a far return");
}

static void check_made(void)
{
    sti();
    PUT(0x400, 0x9c, 0x58, 0xc3); /* pushfq; pop %rax; ret */
    uint64_t flags = call(text + 0x400);
    cli();
    check((flags & RFLAGS_IF) && !(call(text + 0x400) & RFLAGS_IF), "pushf that was made while the kernel runs");
    PUT(0x400, 0x8c, 0xc8, 0xc3); /* mov %cs, %eax; ret */
    check_equal(call(text + 0x400), SELECTOR_CODE, "in its place, mov from cs");
    PUT(0x400, 0xb8, 0x40, 0, 0, 0, 0xc3); /* mov $0x40, %eax; ret */
    check_equal(call(text + 0x400), 0x40, "in its place, an ordinary instruction");
    unsigned wrong = 0;
    for (unsigned i = 0; i < 200; i++) {
        code[0x401] = (uint8_t)i;
        wrong += call(text + 0x400) != i;
    }
    check_equal(wrong, 0, "an operand that is changed 200 times");
    for (unsigned i = 0; i < 50; i++) {
        if (i % 2 == 0)
            PUT(0x400, 0x9c, 0x58, 0xc3, 0x90);
        else
            PUT(0x400, 0x31, 0xc0, 0x90, 0xc3); /* xor %eax, %eax; nop; ret */
        wrong += (call(text + 0x400) != 0) != (i % 2 == 0);
    }
    check_equal(wrong, 0, "pushf and another instruction in turn, 50 times");
}

static void check_across_pages(void)
{
    PUT(PAGE - 1, 0x9c, 0x58, 0xc3);
    check(call(text + PAGE - 1) & RFLAGS_FIXED, "pushf in the last byte of a page");
    PUT(PAGE - 1, 0x66, 0x9c, 0x66, 0x58, 0xc3);
    check(call(text + PAGE - 1) & RFLAGS_FIXED, "pushfw across two pages");
    PUT(PAGE - 8, 0x53, 0xb8, 0, 0, 0, 0x40, 0x90, 0x0f, 0xa2, 0x89, 0xd8, 0x5b, 0xc3);
    check_equal(call(text + PAGE - 8), cpuid(0x40000000, 0).b, "cpuid across two pages");
    PUT(PAGE - 4, 0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xc3);
    check_equal(call(text + PAGE - 4), 0x1122334455667788, "a long constant across two pages");
    uint64_t *entry = find_entry(kernel_root, text + PAGE, 1), kept = *entry;
    *entry = 0;
    invlpg((void *)(text + PAGE));
    TRY("jmp *%0", : : "r"(text + PAGE - 4) : "rax");
    if (!on_bochs)
        check(caught.vector == VECTOR_PF && caught.rip == text + PAGE - 4 && caught.cr2 == text + PAGE
              && caught.error == (no_execute ? PF_FETCH : 0), "whose second page is not there");
    *entry = kept;
    check_equal(call(text + PAGE - 4), 0x1122334455667788, "and is there again");
}

static volatile unsigned breakpoints;

static void take_breakpoint(struct frame *frame)
{
    breakpoints++;
    frame->rip--;
    *(volatile uint8_t *)((uint64_t)code + (frame->rip - text)) = 0x90;
}

/* Writable and executable at once, by way of one address. */
static void check_in_place(void)
{
    uint64_t both = AREA + 16 * PAGE;

    map_page(kernel_root, both, PHYSICAL(code), PTE_WRITE);
    volatile uint8_t *place = (void *)(both + 0x600);
    unsigned wrong = 0;
    place[0] = 0xb8; /* mov $n, %eax; ret */
    place[2] = place[3] = place[4] = 0;
    place[5] = 0xc3;
    for (unsigned i = 0; i < 100; i++) {
        place[1] = (uint8_t)i;
        wrong += call(both + 0x600) != i;
    }
    check_equal(wrong, 0, "code that is writable where it is executed, changed 100 times");
    /* movb $42, 1(%rip) changes the operand of the next instruction but one; the jump between makes that seen. */
    static const uint8_t itself[] = { 0xc6, 0x05, 0x03, 0, 0, 0, 0x2a, 0xeb, 0x00, 0xb8, 1, 0, 0, 0, 0xc3 };
    for (unsigned i = 0; i < sizeof itself; i++)
        place[0x40 + i] = itself[i];
    check_equal(call(both + 0x640), 42, "code that changes itself");
    static const uint8_t counting[] = { 0x31, 0xc0, 0xb9, 0xe8, 3, 0, 0, 0xff, 0xc0, 0xff, 0xc9, 0x75, 0xfa, 0xc3 };
    for (unsigned i = 0; i < sizeof counting; i++)
        place[0x80 + i] = counting[i];
    check_equal(call(both + 0x680), 1000, "a loop that was made just now");
    *find_entry(kernel_root, both, 1) = 0;
    invlpg((void *)both);
}

static void check_breakpoints(void)
{
    PUT(0x700, 0xb8, 7, 0, 0, 0, 0xcc, 0xcc, 0xc3);
    on_trap(VECTOR_BP, take_breakpoint);
    check_equal(call(text + 0x700), 7, "breakpoints whose handler replaces them");
    check_equal(call(text + 0x700), 7, "are gone the next time");
    check_equal(breakpoints, 2, "each was taken once");
    on_trap(VECTOR_BP, NULL);
}

/* Another page is put where code was executed. */
static void check_exchanged(void)
{
    uint64_t *entry = find_entry(kernel_root, text, 1), kept = *entry, *other = page_new();

    PUT(0x800, 0xb8, 1, 0, 0, 0, 0xc3);
    check_equal(call(text + 0x800), 1, "code of one page");
    /* mov %cs, %eax; inc %eax; ret */
    memcpy((uint8_t *)other + 0x800, (const uint8_t[]) { 0x8c, 0xc8, 0xff, 0xc0, 0xc3 }, 5);
    *entry = PHYSICAL(other) | PTE_PRESENT;
    invlpg((void *)text);
    check_equal(call(text + 0x800), SELECTOR_CODE + 1, "another page in its place, with mov from cs");
    *entry = kept;
    invlpg((void *)text);
    check_equal(call(text + 0x800), 1, "and the first one again");
    page_free(other);
}

void code_checks(void)
{
    uint8_t *first = page_new(), *second = page_new();

    map_page(kernel_root, AREA, PHYSICAL(first), KERNEL_PAGE);
    map_page(kernel_root, AREA + PAGE, PHYSICAL(second), KERNEL_PAGE);
    code = (void *)AREA;
    text = AREA + 8 * PAGE;
    map_page(kernel_root, text, PHYSICAL(first), 0);
    map_page(kernel_root, text + PAGE, PHYSICAL(second), 0);
    check_copies();
    check_made();
    check_across_pages();
    check_breakpoints();
    check_exchanged();
    code = first;
    check_in_place();
}
