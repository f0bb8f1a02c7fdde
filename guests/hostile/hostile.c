/* A guest that does to its virtual machine what no kernel does, at random, but the same for the same number:
 *   calm    privileged instructions with any operands, each followed by repair of what they have broken
 *   tables  page tables of any contents, and accesses through them
 *   wild    any bytes as code, until the machine is broken
 * Command line: HOW seed=NUMBER rounds=NUMBER. */
#include "guests/base/kernel.h"

#define AREA (IN_UPPER_HALF ? 0xffffa00000000000ul : 0x10000000000ul)
#define POOL 16u
#define PATTERNS (sizeof patterns / sizeof patterns[0])

static uint64_t state, exceptions;
static volatile uint64_t resume, saved_rsp;
static uint8_t *code;    /* where the kernel writes it */
static uint64_t text;    /* where it is executed */
static uint8_t *scratch; /* what operands point to */

static uint64_t next(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33 ^ state << 31;
}

/* Values on which something depends, more often than others. */
static uint64_t operand(void)
{
    static const uint64_t edges[] = {
        0, 1, ~0ul, 0x7fffffff, 0x80000000, 0xffffffff, 0x00007fffffffffff, 0x0000800000000000, 0xffff7fffffffffff,
        0xffff800000000000, 0xfffffe8000000000, 0xc0000080, 0xc0000100, 0x80b, 0x832, 0x277, 0x3f8, 0xcfc, 0x40, 0x28,
        0x33,
    };

    switch (next() % 4) {
    case 0:  return edges[next() % (sizeof edges / sizeof edges[0])];
    case 1:  return (uint64_t)scratch + next() % 4000;
    case 2:  return next() & 0xffff;
    default: return next();
    }
}

/* Instructions that leave the guest, or would if it were not one. Those that stop it for good are not among them. */
static const struct { uint8_t length, bytes[8]; } patterns[] = {
    { 1, { 0xfa } }, { 1, { 0xfb } }, { 2, { 0x9c, 0x58 } }, { 2, { 0x0f, 0xa2 } }, { 2, { 0x0f, 0x32 } },
    { 2, { 0x0f, 0x31 } }, { 2, { 0x0f, 0x33 } }, { 2, { 0x0f, 0x06 } }, { 2, { 0x0f, 0x08 } }, { 2, { 0x0f, 0x09 } },
    { 3, { 0x0f, 0x20, 0xc0 } }, { 3, { 0x0f, 0x20, 0xd0 } }, { 3, { 0x0f, 0x20, 0xd8 } }, { 3, { 0x0f, 0x20, 0xe0 } },
    { 4, { 0x44, 0x0f, 0x20, 0xc0 } }, { 4, { 0x44, 0x0f, 0x22, 0xc0 } }, { 3, { 0x0f, 0x22, 0xd0 } },
    { 3, { 0x0f, 0x20, 0xc8 } }, { 3, { 0x0f, 0x21, 0xf0 } }, { 3, { 0x0f, 0x21, 0xf8 } }, { 3, { 0x0f, 0x23, 0xc0 } },
    { 3, { 0x0f, 0x23, 0xf0 } }, { 3, { 0x0f, 0x01, 0x38 } }, { 3, { 0x0f, 0x01, 0x00 } }, { 3, { 0x0f, 0x01, 0x08 } },
    { 3, { 0x0f, 0x01, 0xe0 } }, { 3, { 0x0f, 0x00, 0xc8 } }, { 3, { 0x0f, 0x00, 0xc0 } }, { 3, { 0x0f, 0x00, 0xe0 } },
    { 3, { 0x0f, 0x00, 0xe8 } }, { 3, { 0x0f, 0x02, 0xc8 } }, { 3, { 0x0f, 0x03, 0xc8 } }, { 3, { 0x0f, 0x01, 0xf8 } },
    { 3, { 0x0f, 0x01, 0xd1 } }, { 3, { 0x0f, 0x01, 0xc1 } }, { 3, { 0x0f, 0x01, 0xd9 } }, { 3, { 0x0f, 0x01, 0xd0 } },
    { 2, { 0x8e, 0xd8 } }, { 2, { 0x8e, 0xc0 } }, { 2, { 0x8e, 0xe0 } }, { 2, { 0x8c, 0xc8 } }, { 2, { 0x8c, 0xd0 } },
    { 1, { 0xec } }, { 1, { 0xed } }, { 2, { 0x66, 0xed } }, { 1, { 0x6c } }, { 2, { 0xf3, 0x6d } }, { 1, { 0xcc } },
    { 2, { 0x0f, 0x0b } }, { 2, { 0xcd, 0x80 } }, { 2, { 0xcd, 0x91 } }, { 1, { 0xf1 } }, { 3, { 0x0f, 0xae, 0x00 } },
    { 5, { 0x50, 0x51, 0x48, 0xcb } }, { 4, { 0x50, 0x66, 0x9d } }, { 3, { 0x0f, 0x00, 0x08 } },
    { 3, { 0x0f, 0x01, 0x20 } },
    { 3, { 0x0f, 0xc7, 0x08 } }, { 4, { 0x66, 0x0f, 0x38, 0x82 } }, { 2, { 0xff, 0x28 } }, { 2, { 0xff, 0x18 } },
    { 3, { 0x0f, 0xb4, 0x00 } }, { 2, { 0x0f, 0x05 } }, { 1, { 0x06 } }, { 1, { 0x27 } }, { 1, { 0xce } },
    { 1, { 0x82 } },
};

static void take(struct frame *frame)
{
    if (frame->vector >= 32) {
        apic_write(APIC_EOI, 0);
        return;
    }
    exceptions++;
    frame->rip = resume;
    frame->rsp = saved_rsp;
    frame->cs = SELECTOR_CODE;
    frame->ss = SELECTOR_DATA;
    frame->rflags = RFLAGS_FIXED;
}

/* Calls what is at text with random registers, and comes back however it ends. */
static void execute(void)
{
    uint64_t a = operand(), c = operand(), d = operand(), si = operand(), di = operand();

    __asm__ volatile("pushq %%rbx; pushq %%rbp; pushq %%r12; pushq %%r13; pushq %%r14; pushq %%r15\n\t"
                     "movq %%rsp, saved_rsp(%%rip); movq $1f, resume(%%rip); subq $4096, %%rsp\n\t"
                     "call *%[text]\n"
                     "1:\tmovq saved_rsp(%%rip), %%rsp\n\t"
                     "popq %%r15; popq %%r14; popq %%r13; popq %%r12; popq %%rbp; popq %%rbx"
                     : "+a"(a), "+c"(c), "+d"(d), "+S"(si), "+D"(di) : [text] "m"(text)
                     : "r8", "r9", "r10", "r11", "memory", "cc");
}

static void repair(uint64_t cr0, uint64_t cr4)
{
    struct table_pointer gdt_pointer = { sizeof gdt[0] * GDT_ENTRIES - 1, (uint64_t)gdt };
    struct table_pointer idt_pointer = { sizeof idt[0] * 256 - 1, (uint64_t)idt };

    __asm__ volatile("cli; cld; lgdt %0; lidt %1" : : "m"(gdt_pointer), "m"(idt_pointer) : "memory");
    WRITE_CR(0, cr0);
    WRITE_CR(3, kernel_root);
    WRITE_CR(4, cr4);
    WRITE_CR(8, 0);
    wrmsr(MSR_GS_BASE, (uint64_t)&cpu);
}

static void calm(uint64_t rounds)
{
    uint64_t cr0 = READ_CR(0), cr4 = READ_CR(4);

    for (uint64_t round = 0; round < rounds; round++) {
        unsigned at = (unsigned)(next() % 8) * 16 + (unsigned)(next() % 4);
        unsigned kind = (unsigned)(next() % PATTERNS);

        memset(code, 0x90, 256);
        if (next() % 8 == 0)
            code[at] = (uint8_t)(next() % 2 ? 0x66 : 0xf2);
        memcpy(code + at + 1, patterns[kind].bytes, patterns[kind].length);
        code[255] = 0xc3;
        execute();
        repair(cr0, cr4);
    }
}

/* Entries lead to each other, to pages of the pool, to where there is no memory, and have any bits besides. */
static uint64_t random_entry(const uint64_t *pool)
{
    uint64_t flags = next() & 0xfff;

    if (next() % 4)
        flags |= PTE_PRESENT | PTE_WRITE;
    if (next() % 8 == 0)
        flags |= next() << 52;
    switch (next() % 8) {
    case 0:  return (0xd0000000 + next() % 256 * PAGE) | (flags & ~PTE_LARGE);
    case 1:  return (next() & PTE_ADDRESS & ~0xfffffffful) | 1ul << 40 | flags;
    default: return pool[next() % POOL] | (flags & ~PTE_LARGE);
    }
}

static void tables(uint64_t rounds)
{
    uint64_t pool[POOL], *top = find_entry(kernel_root, KERNEL_BASE, 4);
    uint64_t *entry = (uint64_t *)((uint64_t)top & ~(PAGE - 1)) + (AREA >> 39 & 511);

    for (unsigned i = 0; i < POOL; i++)
        pool[i] = PHYSICAL(page_new());
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t *table = VIRTUAL(pool[next() % POOL]);

        for (unsigned i = 0; i < 8; i++)
            table[next() % 512] = random_entry(pool);
        *entry = random_entry(pool);
        if (next() % 2)
            WRITE_CR(3, kernel_root);
        else
            invlpg((void *)(AREA + next() % (512 * GIB)));
        for (unsigned i = 0; i < 4; i++) {
            uint64_t address = AREA + next() % (512 * GIB);

            __asm__ volatile("movq %%rsp, saved_rsp(%%rip); movq $1f, resume(%%rip)\n\t"
                             "testb $1, %b1; jz 2f; movb (%0), %%al; jmp 1f\n"
                             "2:\tmovb %b1, (%0)\n1:"
                             : : "r"(address), "r"(next()) : "rax", "memory", "cc");
        }
    }
    *entry = 0;
    WRITE_CR(3, kernel_root);
}

static void wild(uint64_t rounds)
{
    for (uint64_t round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 64; i++)
            code[i] = (uint8_t)next();
        for (unsigned i = 0; i < 4; i++) {
            unsigned kind = (unsigned)(next() % PATTERNS);

            memcpy(code + next() % 56, patterns[kind].bytes, patterns[kind].length);
        }
        memset(code + 64, 0xcc, 64);
        execute();
    }
}

static uint64_t number(const char *text_in, const char *name, uint64_t otherwise)
{
    uint64_t value = 0;

    for (; *text_in && !starts_with(text_in, name); text_in++)
        ;
    if (!*text_in)
        return otherwise;
    for (text_in += strlen(name); *text_in >= '0' && *text_in <= '9'; text_in++)
        value = value * 10 + (uint64_t)(*text_in - '0');
    return value;
}

void kernel_main(const char *cmdline)
{
    uint64_t rounds = number(cmdline, "rounds=", 1000);

    state = number(cmdline, "seed=", 1);
    trap_handler = take;
    for (unsigned i = 0; i < 32; i++)
        set_gate(i, (uint64_t)vectors + i * 16, GATE_INTERRUPT, IST_SPARE);
    apic_init();
    apic_use_x2apic();
    code = page_new();
    scratch = page_new();
    text = AREA + 256 * GIB;
    map_page(kernel_root, text, PHYSICAL(code), 0);
    print("hostile: %s\n", cmdline);
    if (starts_with(cmdline, "tables"))
        tables(rounds);
    else if (starts_with(cmdline, "wild"))
        wild(rounds);
    else
        calm(rounds);
    print("hostile: %lu rounds, %lu exceptions\n", rounds, exceptions);
}
