/* Descriptor tables as they are seen by instructions that read them. (SDM 3A chapter 3, 2.4; SDM 2) */
#include "guests/tour/tour.h"

#define SELECTOR_NOTHING  0x78 /* the last one of the GDT, which is empty */
#define SELECTOR_LIMIT    0x60 /* data of 4 KiB */
#define SELECTOR_ABSENT   0x68
#define SELECTOR_BEYOND   0x400
#define VENDOR_INTEL_EBX 0x756e6547u /* "Genu" */
#define ACCESS_BUSY_TSS   0x8bul

static void check_table_registers(void)
{
    struct table_pointer pointer = { 0 };
    uint64_t selector = ~0ul, word = ~0ul;

    __asm__ volatile("sgdt %0" : "=m"(pointer));
    check(pointer.base == (uint64_t)gdt && pointer.limit == sizeof gdt - 1, "sgdt stores what lgdt loaded");
    __asm__ volatile("sidt %0" : "=m"(pointer));
    check(pointer.base == (uint64_t)idt && pointer.limit == sizeof idt - 1, "sidt stores what lidt loaded");
    __asm__ volatile("strl %k0" : "+r"(selector));
    check_equal(selector, SELECTOR_TSS, "str stores what ltr loaded, zero-extended");
    __asm__ volatile("strw %w0" : "+r"(word));
    check_equal(word, 0xffffffffffff0000 | SELECTOR_TSS, "into 16 bits, it leaves the rest alone");
    check_equal(gdt[SELECTOR_TSS / 8] >> 40 & 0xff, ACCESS_BUSY_TSS, "ltr made the task busy");
    TRY("ltr %w0", : : "r"(SELECTOR_TSS) : "memory");
    check_fault(VECTOR_GP, SELECTOR_TSS, "a busy task cannot be loaded again");

    uint16_t memory_word = 0;
    __asm__ volatile("str %0" : "=m"(memory_word));
    check_equal(memory_word, SELECTOR_TSS, "str into memory");
    selector = ~0ul;
    __asm__ volatile("lldt %w1; sldtl %k0" : "+r"(selector) : "r"(0));
    check_equal(selector, 0, "sldt stores what lldt loaded");
    uint64_t smsw = ~0ul;
    __asm__ volatile("smswq %0" : "=r"(smsw));
    check_equal(smsw & 0xffff, READ_CR(0) & 0xffff, "smsw stores the lower half of CR0");
    __asm__ volatile("smsw %0" : "=m"(memory_word));
    check_equal(memory_word, READ_CR(0) & 0xffff, "smsw into memory");
    __asm__ volatile("lmsw %w0" : : "r"((uint16_t)(READ_CR(0) | CR0_TS)));
    check(READ_CR(0) & CR0_TS, "lmsw sets CR0.TS");
    __asm__ volatile("clts");
    check(!(READ_CR(0) & CR0_TS), "clts clears it");
}

static void check_segment_registers(void)
{
    uint64_t value = ~0ul;
    uint16_t word = 0xffff;

    __asm__ volatile("movl %%cs, %k0" : "=r"(value));
    check_equal(value, SELECTOR_CODE, "mov from cs");
    __asm__ volatile("movw %%cs, %0" : "=m"(word));
    check_equal(word, SELECTOR_CODE, "mov from cs into memory");
    __asm__ volatile("movl %%ss, %k0" : "=r"(value));
    check_equal(value, SELECTOR_DATA, "mov from ss");
    __asm__ volatile("movl %0, %%ds; movl %0, %%es" : : "r"(SELECTOR_DATA));
    __asm__ volatile("movl %%ds, %k0" : "=r"(value));
    check_equal(value, SELECTOR_DATA, "mov from ds");
    __asm__ volatile("movl %0, %%fs" : : "r"(SELECTOR_USER_DATA));
    __asm__ volatile("pushq %%fs; popq %0" : "=r"(value));
    check_equal(value & 0xffff, SELECTOR_USER_DATA, "push of fs");
    __asm__ volatile("pushq %1; popq %%fs; movl %%fs, %k0" : "=r"(value) : "i"(SELECTOR_DATA));
    check_equal(value, SELECTOR_DATA, "pop into fs");
    __asm__ volatile("movl %0, %%fs; movl %0, %%ds; movl %0, %%es" : : "r"(0));
    __asm__ volatile("movl %%fs, %k0" : "=r"(value));
    check_equal(value, 0, "a null selector in fs");
    TRY("movl %0, %%ds", : : "r"(SELECTOR_BEYOND));
    check_fault(VECTOR_GP, SELECTOR_BEYOND, "a selector beyond the table");
    TRY("movl %0, %%ds", : : "r"(SELECTOR_NOTHING));
    check_fault(VECTOR_GP, SELECTOR_NOTHING, "a selector of an empty descriptor");
    TRY("movl %0, %%es", : : "r"(SELECTOR_ABSENT));
    check_fault(VECTOR_NP, SELECTOR_ABSENT, "a segment that is not present");
    TRY("movl %0, %%ss", : : "r"(SELECTOR_ABSENT));
    check_fault(VECTOR_SS, SELECTOR_ABSENT, "a stack segment that is not present");
    TRY("movl %0, %%ss", : : "r"(SELECTOR_USER_DATA));
    check_fault(VECTOR_GP, SELECTOR_USER_DATA & ~3, "a user's stack segment in the kernel");
    TRY("movl %0, %%cs", : : "r"(SELECTOR_CODE));
    check_fault(VECTOR_UD, 0, "mov to cs");
    __asm__ volatile("movl %0, %%ss" : : "r"(0));
    __asm__ volatile("movl %%ss, %k0" : "=r"(value));
    check_equal(value, 0, "a null stack segment, as 64-bit kernels may have");
    __asm__ volatile("movl %0, %%ss" : : "r"(SELECTOR_DATA));
}

/* What an instruction that looks at descriptors gives; ZF says whether it could. */
#define LOOK(instruction, selector) ({ \
        struct { uint64_t value; bool valid; } look_ = { ~0ul, false }; \
        __asm__ volatile(instruction : "+r"(look_.value), "=@ccz"(look_.valid) : "r"((uint64_t)(selector)) : "cc"); \
        look_; \
    })

static void check_looks(void)
{
    bool valid;

    /* What it makes of the upper bits of the limit is undefined. */
    check_equal(LOOK("larl %k2, %k0", SELECTOR_CODE).value & ~0xf0000ul, 0x00a09b00, "lar of the kernel's code");
    check_equal(LOOK("larl %k2, %k0", SELECTOR_USER_DATA).value & ~0xf0000ul, 0x00c0f300, "lar of the user's data");
    check_equal(LOOK("larl %k2, %k0", SELECTOR_TSS).value, 0x00008b00, "lar of the task");
    check_equal(LOOK("larw %w2, %w0", SELECTOR_CODE).value, 0xffffffffffff9b00, "lar into 16 bits");
    check(!LOOK("larl %k2, %k0", SELECTOR_NOTHING).valid && LOOK("larl %k2, %k0", 0).value == ~0ul,
          "lar of nothing says so, and leaves its register alone");
    check_equal(LOOK("lsll %k2, %k0", SELECTOR_DATA).value, 0xffffffff, "lsl of a flat segment");
    check_equal(LOOK("lsll %k2, %k0", SELECTOR_LIMIT).value, 0xfff, "lsl of a small one");
    check_equal(LOOK("lsll %k2, %k0", SELECTOR_TSS).value, sizeof tss - 1, "lsl of the task");
    check(!LOOK("lsll %k2, %k0", SELECTOR_BEYOND).valid, "lsl beyond the table says so");
    __asm__ volatile("verr %w1" : "=@ccz"(valid) : "r"(SELECTOR_CODE) : "cc");
    check(valid, "verr of readable code");
    __asm__ volatile("verw %w1" : "=@ccz"(valid) : "r"(SELECTOR_CODE) : "cc");
    check(!valid, "verw of code");
    __asm__ volatile("verw %w1" : "=@ccz"(valid) : "r"(SELECTOR_DATA) : "cc");
    check(valid, "verw of data");
    __asm__ volatile("verw %w1" : "=@ccz"(valid) : "r"(SELECTOR_DATA | 3) : "cc");
    check(!valid, "verw of the kernel's data as a user would");
    __asm__ volatile("verr %w1" : "=@ccz"(valid) : "r"(SELECTOR_NOTHING) : "cc");
    check(!valid, "verr of nothing");
}

/* Only Intel's processors take an offset of 64 bits (SDM 2A, JMP; APM 3), and QEMU's. */
static void check_far_jump(void)
{
    struct { uint64_t offset; uint16_t selector; } __attribute__((packed)) long_pointer = { 0, SELECTOR_CODE };
    struct { uint32_t offset; uint16_t selector; } __attribute__((packed)) pointer = { 0, SELECTOR_CODE };
    uint64_t reached = 0;

    if (cpuid(0, 0).b == VENDOR_INTEL_EBX || on_tcg)
        __asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %1; leaq %1, %%rcx; .byte 0x48; ljmpl *(%%rcx)\n\t"
                         "jmp 2f\n"
                         "1:\tmovq $1, %0\n"
                         "2:"
                         : "+r"(reached), "+m"(long_pointer) : : "rax", "rcx", "memory");
    else
        reached = 1;
    check_equal(reached, 1, "a far jump through memory, with 64 bits");
    if (!IN_UPPER_HALF)
        __asm__ volatile("leaq 1f(%%rip), %%rax; movl %%eax, %1; ljmpl *%1\n\t"
                         "jmp 2f\n"
                         "1:\tmovq $2, %0\n"
                         "2:"
                         : "+r"(reached), "+m"(pointer) : : "rax", "memory");
    else
        reached = 2;
    check_equal(reached, 2, "a far jump through memory, with 32 bits");
    pointer.selector = SELECTOR_NOTHING;
    TRY("ljmpl *%0", : : "m"(pointer));
    check_fault(VECTOR_GP, SELECTOR_NOTHING, "a far jump to nothing");
    pointer.selector = SELECTOR_DATA;
    TRY("ljmpl *%0", : : "m"(pointer));
    check_fault(VECTOR_GP, SELECTOR_DATA, "a far jump to data");
}

/* Far returns and jumps within the kernel and their faults. */
static void check_far_transfers(void)
{
    uint64_t reached = 0, rsp_before, rsp_after;

    __asm__ volatile("movq %%rsp, %1\n\t"
                     "pushq %3; leaq 1f(%%rip), %%rax; pushq %%rax; lretq\n\t"
                     "jmp 2f\n"
                     "1:\tmovq $1, %0\n"
                     "2:\tmovq %%rsp, %2"
                     : "+r"(reached), "=&r"(rsp_before), "=&r"(rsp_after) : "i"(SELECTOR_CODE) : "rax", "memory");
    check(reached && rsp_before == rsp_after, "a far return");
    __asm__ volatile("movq %%rsp, %1\n\t"
                     "subq $24, %%rsp; pushq %3; leaq 1f(%%rip), %%rax; pushq %%rax; lretq $24\n\t"
                     "jmp 2f\n"
                     "1:\tmovq $2, %0\n"
                     "2:\tmovq %%rsp, %2"
                     : "+r"(reached), "=&r"(rsp_before), "=&r"(rsp_after) : "i"(SELECTOR_CODE) : "rax", "memory");
    check(reached == 2 && rsp_before == rsp_after, "a far return that drops arguments");
    check_far_jump();
    TRY_WITH("movq %%rsp, %%rbx; pushq %0; pushq $0", "lretq", "movq %%rbx, %%rsp", : : "i"(SELECTOR_NOTHING) : "rbx",
             "memory");
    check_fault(VECTOR_GP, SELECTOR_NOTHING, "a far return to nothing");
    TRY_WITH("movq %%rsp, %%rbx; pushq %0; pushq $0", "lretq", "movq %%rbx, %%rsp", : : "i"(SELECTOR_DATA) : "rbx",
             "memory");
    check_fault(VECTOR_GP, SELECTOR_DATA, "a far return to data");
}

void descriptor_checks(void)
{
    gdt[SELECTOR_LIMIT / 8] = 0x0040930000000fff;
    gdt[SELECTOR_ABSENT / 8] = 0x00cf13000000ffff;
    check_table_registers();
    check_segment_registers();
    check_looks();
    check_far_transfers();
    gdt[SELECTOR_LIMIT / 8] = gdt[SELECTOR_ABSENT / 8] = 0;
}
