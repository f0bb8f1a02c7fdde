/* Instructions on device memory. Those with operands are compared with what this computer's own processor makes of
 * them, for random operands; string instructions, addressing and refusals one by one. */
#include "tests/unit/guest_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* CF PF AF ZF SF OF */
#define ARITHMETIC_FLAGS UINT64_C(0x8d5)
#define FLAG_AF          UINT64_C(0x10)

/* In the order of the processor's numbers, rflags behind them. */
struct native_registers {
    uint64_t gpr[16], rflags;
};

/* Loads the registers (but rsp), calls the code, stores the registers. */
void native_run(struct native_registers *registers, const void *code);
const void *native_code;
__asm__(".text\n"
        "native_run:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsi, native_code(%rip)\n"
        "    push %rdi\n"
        "    push 128(%rdi); popfq\n"
        "    mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
        "    mov 40(%rdi), %rbp; mov 48(%rdi), %rsi\n"
        "    mov 64(%rdi), %r8; mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11\n"
        "    mov 96(%rdi), %r12; mov 104(%rdi), %r13; mov 112(%rdi), %r14; mov 120(%rdi), %r15\n"
        "    mov 56(%rdi), %rdi\n"
        "    call *native_code(%rip)\n"
        "    pushfq\n"
        "    push %rdi\n"
        "    mov 16(%rsp), %rdi\n"
        "    pop 56(%rdi); pop 128(%rdi)\n"
        "    mov %rax, 0(%rdi); mov %rcx, 8(%rdi); mov %rdx, 16(%rdi); mov %rbx, 24(%rdi)\n"
        "    mov %rbp, 40(%rdi); mov %rsi, 48(%rdi)\n"
        "    mov %r8, 64(%rdi); mov %r9, 72(%rdi); mov %r10, 80(%rdi); mov %r11, 88(%rdi)\n"
        "    mov %r12, 96(%rdi); mov %r13, 104(%rdi); mov %r14, 112(%rdi); mov %r15, 120(%rdi)\n"
        "    add $8, %rsp\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");

static uint64_t seed = 88172645463325252u;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Values at the edges more often than chance would have them. */
static uint64_t random_value(void)
{
    static const uint64_t edges[] = {
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX,
        (uint64_t)INT64_MIN, UINT64_MAX,
    };

    return random_bits() % 3 == 0 ? edges[random_bits() % (sizeof edges / sizeof edges[0])] : random_bits();
}

/* A form of an instruction: its opcode, the digit that ModRM has in place of a register or ANY_REGISTER, bytes of
 * immediate operand (4: as many as the operand has, at most 4). BYTE: there is one of byte operands at opcode - 1. */
#define ANY_REGISTER 8
struct form {
    const char *name;
    uint8_t escape, opcode, digit, immediate;
    bool byte_form, no_af;
};

static const struct form forms[] = {
    { "mov m,r", 0, 0x89, ANY_REGISTER, 0, true, false }, { "mov r,m", 0, 0x8b, ANY_REGISTER, 0, true, false },
    { "mov m,i", 0, 0xc7, 0, 4, true, false },
    { "add m,r", 0, 0x01, ANY_REGISTER, 0, true, false }, { "add r,m", 0, 0x03, ANY_REGISTER, 0, true, false },
    { "or m,r", 0, 0x09, ANY_REGISTER, 0, true, true },   { "or r,m", 0, 0x0b, ANY_REGISTER, 0, true, true },
    { "adc m,r", 0, 0x11, ANY_REGISTER, 0, true, false }, { "adc r,m", 0, 0x13, ANY_REGISTER, 0, true, false },
    { "sbb m,r", 0, 0x19, ANY_REGISTER, 0, true, false }, { "sbb r,m", 0, 0x1b, ANY_REGISTER, 0, true, false },
    { "and m,r", 0, 0x21, ANY_REGISTER, 0, true, true },  { "and r,m", 0, 0x23, ANY_REGISTER, 0, true, true },
    { "sub m,r", 0, 0x29, ANY_REGISTER, 0, true, false }, { "sub r,m", 0, 0x2b, ANY_REGISTER, 0, true, false },
    { "xor m,r", 0, 0x31, ANY_REGISTER, 0, true, true },  { "xor r,m", 0, 0x33, ANY_REGISTER, 0, true, true },
    { "cmp m,r", 0, 0x39, ANY_REGISTER, 0, true, false }, { "cmp r,m", 0, 0x3b, ANY_REGISTER, 0, true, false },
    { "test m,r", 0, 0x85, ANY_REGISTER, 0, true, true }, { "xchg m,r", 0, 0x87, ANY_REGISTER, 0, true, false },
    { "add m,i", 0, 0x81, 0, 4, true, false }, { "or m,i", 0, 0x81, 1, 4, true, true },
    { "adc m,i", 0, 0x81, 2, 4, true, false }, { "sbb m,i", 0, 0x81, 3, 4, true, false },
    { "and m,i", 0, 0x81, 4, 4, true, true },  { "sub m,i", 0, 0x81, 5, 4, true, false },
    { "xor m,i", 0, 0x81, 6, 4, true, true },  { "cmp m,i", 0, 0x81, 7, 4, true, false },
    { "add m,i8", 0, 0x83, 0, 1, false, false }, { "and m,i8", 0, 0x83, 4, 1, false, true },
    { "cmp m,i8", 0, 0x83, 7, 1, false, false }, { "test m,i", 0, 0xf7, 0, 4, true, true },
    { "not m", 0, 0xf7, 2, 0, true, false }, { "neg m", 0, 0xf7, 3, 0, true, false },
    { "inc m", 0, 0xff, 0, 0, true, false }, { "dec m", 0, 0xff, 1, 0, true, false },
    { "movsxd r,m", 0, 0x63, ANY_REGISTER, 0, false, false },
    { "movzx r,m8", 0x0f, 0xb6, ANY_REGISTER, 0, false, false },
    { "movzx r,m16", 0x0f, 0xb7, ANY_REGISTER, 0, false, false },
    { "movsx r,m8", 0x0f, 0xbe, ANY_REGISTER, 0, false, false },
    { "movsx r,m16", 0x0f, 0xbf, ANY_REGISTER, 0, false, false },
    { "cmpxchg m,r", 0x0f, 0xb1, ANY_REGISTER, 0, true, false },
    { "xadd m,r", 0x0f, 0xc1, ANY_REGISTER, 0, true, false },
    { "bt m,i", 0x0f, 0xba, 4, 1, false, true },  { "bts m,i", 0x0f, 0xba, 5, 1, false, true },
    { "btr m,i", 0x0f, 0xba, 6, 1, false, true }, { "btc m,i", 0x0f, 0xba, 7, 1, false, true },
};

enum width { WIDTH_8, WIDTH_16, WIDTH_32, WIDTH_64 };

/* The instruction with its memory operand at rdi + 8 and a random register that is neither rsp nor rdi. */
static unsigned assemble(const struct form *form, enum width width, uint8_t code[16])
{
    unsigned length = 0, reg = form->digit;
    unsigned immediate = form->immediate == 4 && width < WIDTH_32 ? 1u << width : form->immediate;
    bool needs_rex = width == WIDTH_64;

    if (form->digit == ANY_REGISTER) {
        /* Without a REX prefix, numbers 4 to 7 are AH, CH, DH and BH for bytes. */
        do
            reg = (unsigned)(random_bits() % 16);
        while ((reg == 4 || reg == 7) && width != WIDTH_8);
        needs_rex |= reg >= 8;
    }
    if (width == WIDTH_16)
        code[length++] = 0x66;
    if (needs_rex)
        code[length++] = (uint8_t)(0x40 | (width == WIDTH_64 ? 8 : 0) | (reg >= 8 ? 4 : 0));
    if (form->escape)
        code[length++] = form->escape;
    code[length++] = (uint8_t)(form->opcode - (width == WIDTH_8));
    code[length++] = (uint8_t)(0x40 | (reg & 7) << 3 | 7);
    code[length++] = 8;
    for (unsigned i = 0; i < immediate; i++)
        code[length++] = (uint8_t)random_value();
    return length;
}

static void compare_with_native(struct guest_fixture *guest, uint8_t *page, const struct form *form, enum width width)
{
    struct native_registers native;
    uint64_t memory[4];
    uint8_t code[16];
    unsigned length = assemble(form, width, code);
    uint64_t mask = form->no_af ? ARITHMETIC_FLAGS & ~FLAG_AF : ARITHMETIC_FLAGS;

    for (unsigned i = 0; i < 16; i++)
        native.gpr[i] = random_value();
    for (unsigned i = 0; i < 4; i++)
        memory[i] = random_value();
    if (form->opcode == 0xb1 && random_bits() % 2)
        native.gpr[VCPU_RAX] = memory[1]; /* CMPXCHG that finds what it expects */
    native.rflags = 0x202 | (random_bits() & ARITHMETIC_FLAGS);

    guest_set_code(guest, code, length);
    memcpy(guest->device, memory, sizeof memory);
    memcpy(guest->cpu.vcpu.value, native.gpr, sizeof native.gpr);
    guest->cpu.vcpu.value[VCPU_RFLAGS] = native.rflags;
    guest->cpu.vcpu.value[VCPU_RDI] = DEVICE_LINEAR;
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL + 8), EMULATE_DONE);

    memcpy(page, code, length);
    page[length] = 0xc3; /* ret */
    native.gpr[VCPU_RDI] = (uint64_t)memory;
    native_run(&native, page);

    if (memcmp(guest->device, memory, sizeof memory) != 0)
        fail_msg("%s (width %u): memory differs: %lx, natively %lx", form->name, width,
                 ((uint64_t *)guest->device)[1], memory[1]);
    for (unsigned i = 0; i < 16; i++)
        if (i != VCPU_RSP && i != VCPU_RDI && guest->cpu.vcpu.value[i] != native.gpr[i])
            fail_msg("%s (width %u): %s is %lx, natively %lx", form->name, width,
                     vcpu_register_name((enum vcpu_register)i), guest->cpu.vcpu.value[i], native.gpr[i]);
    if ((guest->cpu.vcpu.value[VCPU_RFLAGS] ^ native.rflags) & mask)
        fail_msg("%s (width %u): flags %lx, natively %lx", form->name, width,
                 guest->cpu.vcpu.value[VCPU_RFLAGS] & mask, native.rflags & mask);
    assert_int_equal(guest->cpu.vcpu.value[VCPU_RIP], KERNEL_BASE + GUEST_CODE + length);
}

static void test_instructions_do_what_the_processor_itself_does(void **state)
{
    struct guest_fixture *guest = *state;
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(page, MAP_FAILED);
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++)
        for (enum width width = forms[i].byte_form ? WIDTH_8 : WIDTH_16; width <= WIDTH_64; width++)
            for (unsigned round = 0; round < 300; round++)
                compare_with_native(guest, page, &forms[i], width);
    munmap(page, 4096);
}

/* Runs one instruction at GUEST_CODE that is expected to touch PHYSICAL. */
static enum emulate_result run(struct guest_fixture *guest, const char *code, unsigned length, uint64_t physical)
{
    guest_set_code(guest, code, length);
    guest->accesses = 0;
    return emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, physical);
}
#define RUN(guest, code, physical) run(guest, code, sizeof(code) - 1, physical)

static void test_a_device_sees_one_access_of_the_instruction_s_size(void **state)
{
    struct guest_fixture *guest = *state;
    static const struct { const char *code; unsigned length; uint8_t size; } cases[] = {
        { "\x88\x07", 2, 1 }, { "\x66\x89\x07", 3, 2 }, { "\x89\x07", 2, 4 }, { "\x48\x89\x07", 3, 8 },
    };

    guest->cpu.vcpu.value[VCPU_RAX] = UINT64_C(0x8877665544332211);
    for (unsigned i = 0; i < 4; i++) {
        guest->cpu.vcpu.value[VCPU_RDI] = DEVICE_LINEAR + 0x80;
        assert_int_equal(run(guest, cases[i].code, cases[i].length, DEVICE_PHYSICAL + 0x80), EMULATE_DONE);
        assert_int_equal(guest->accesses, 1);
        assert_true(guest->access[0].write);
        assert_int_equal(guest->access[0].size, cases[i].size);
        assert_int_equal(guest->access[0].address, DEVICE_PHYSICAL + 0x80);
    }
    assert_int_equal(guest->access[0].value, UINT64_C(0x8877665544332211));
    assert_int_equal(guest->cpu.reads, 0); /* nothing that costs a system call */
}

static void test_a_write_of_a_register_does_not_read_the_device_and_a_test_does_not_write_it(void **state)
{
    struct guest_fixture *guest = *state;

    guest->cpu.vcpu.value[VCPU_RDI] = DEVICE_LINEAR;
    assert_int_equal(RUN(guest, "\xc7\x07\x01\x00\x00\x00", DEVICE_PHYSICAL), EMULATE_DONE);
    assert_int_equal(guest->accesses, 1);
    assert_true(guest->access[0].write);
    assert_int_equal(RUN(guest, "\xf6\x07\x01", DEVICE_PHYSICAL), EMULATE_DONE);
    assert_int_equal(guest->accesses, 1);
    assert_false(guest->access[0].write);
}

static void test_operands_are_found_by_every_form_of_address(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;
    const uint64_t offset = DEVICE_LINEAR + 0x123 - (KERNEL_BASE + GUEST_CODE + 6);
    char relative[7] = "\x8b\x05"; /* mov offset(%rip), %eax */
    char absolute[10] = "\xa0";    /* movabs address, %al */

    memset(guest->device, 0, sizeof guest->device);
    guest->device[0x123] = 0x5a;

    value[VCPU_RBX] = DEVICE_LINEAR + 0x100;
    value[VCPU_R9] = 0x10;
    assert_int_equal(RUN(guest, "\x42\x8a\x44\x4b\x03", DEVICE_PHYSICAL + 0x123), EMULATE_DONE); /* 3(%rbx,%r9,2) */
    assert_int_equal(value[VCPU_RAX] & 0xff, 0x5a);

    memcpy(relative + 2, &offset, 4);
    value[VCPU_RAX] = 0;
    assert_int_equal(run(guest, relative, 6, DEVICE_PHYSICAL + 0x123), EMULATE_DONE);
    assert_int_equal(value[VCPU_RAX], 0x5a);

    memcpy(absolute + 1, &(uint64_t) { DEVICE_LINEAR + 0x123 }, 8);
    value[VCPU_RAX] = 0;
    assert_int_equal(run(guest, absolute, 9, DEVICE_PHYSICAL + 0x123), EMULATE_DONE);
    assert_int_equal(value[VCPU_RAX], 0x5a);

    value[VCPU_SEGMENT(VCPU_GS, VCPU_BASE)] = DEVICE_LINEAR;
    value[VCPU_RAX] = 0;
    assert_int_equal(RUN(guest, "\x65\x8a\x04\x25\x23\x01\x00\x00", DEVICE_PHYSICAL + 0x123), EMULATE_DONE);
    assert_int_equal(value[VCPU_RAX], 0x5a);

    value[VCPU_SEGMENT(VCPU_DS, VCPU_BASE)] = 0x777; /* counts for nothing in 64-bit code */
    value[VCPU_RBX] = DEVICE_LINEAR + 0x123;
    value[VCPU_RAX] = 0;
    assert_int_equal(RUN(guest, "\x8a\x03", DEVICE_PHYSICAL + 0x123), EMULATE_DONE);
    assert_int_equal(value[VCPU_RAX], 0x5a);

    /* With 32-bit addresses, the upper half of registers does not count. */
    guest->page_table[0x20] = DEVICE_PHYSICAL | 3;
    value[VCPU_RBX] = UINT64_C(0xdead00000020120);
    value[VCPU_RAX] = 0;
    assert_int_equal(RUN(guest, "\x67\x8a\x43\x03", DEVICE_PHYSICAL + 0x123), EMULATE_DONE);
    assert_int_equal(value[VCPU_RAX], 0x5a);
}

static void test_a_bit_number_in_a_register_reaches_beyond_the_operand(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;

    memset(guest->device, 0, sizeof guest->device);
    value[VCPU_RDI] = DEVICE_LINEAR + 0x40;
    value[VCPU_RAX] = 100;
    assert_int_equal(RUN(guest, "\x0f\xab\x07", DEVICE_PHYSICAL + 0x4c), EMULATE_DONE); /* bts %eax, (%rdi) */
    assert_int_equal(guest->device[0x4c], 1 << 4);
    assert_false(value[VCPU_RFLAGS] & 1);
    value[VCPU_RAX] = (uint32_t)-8;
    assert_int_equal(RUN(guest, "\x0f\xab\x07", DEVICE_PHYSICAL + 0x3c), EMULATE_DONE);
    assert_int_equal(guest->device[0x3f], 1);
    assert_int_equal(RUN(guest, "\x0f\xa3\x07", DEVICE_PHYSICAL + 0x3c), EMULATE_DONE); /* bt */
    assert_true(value[VCPU_RFLAGS] & 1);
}

static void test_string_instructions_go_on_from_element_to_element(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;

    value[VCPU_RAX] = 0x11223344;
    value[VCPU_RDI] = DEVICE_LINEAR + 0x10;
    assert_int_equal(RUN(guest, "\xab", DEVICE_PHYSICAL + 0x10), EMULATE_DONE); /* stosl */
    assert_int_equal(value[VCPU_RDI], DEVICE_LINEAR + 0x14);
    assert_int_equal(guest->access[0].value, 0x11223344);

    value[VCPU_RFLAGS] |= RFLAGS_DF;
    assert_int_equal(RUN(guest, "\xaa", DEVICE_PHYSICAL + 0x14), EMULATE_DONE); /* stosb, downwards */
    assert_int_equal(value[VCPU_RDI], DEVICE_LINEAR + 0x13);
    value[VCPU_RFLAGS] &= ~RFLAGS_DF;

    value[VCPU_RSI] = DEVICE_LINEAR + 0x10;
    value[VCPU_RAX] = UINT64_MAX;
    assert_int_equal(RUN(guest, "\x66\xad", DEVICE_PHYSICAL + 0x10), EMULATE_DONE); /* lodsw */
    assert_int_equal(value[VCPU_RAX], UINT64_C(0xffffffffffff3344));
    assert_int_equal(value[VCPU_RSI], DEVICE_LINEAR + 0x12);
}

static void test_a_repeated_move_copies_between_memory_and_a_device(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;

    for (unsigned i = 0; i < 40; i++)
        guest->ram[GUEST_DATA + i] = (uint8_t)(i + 1);
    value[VCPU_RSI] = KERNEL_BASE + GUEST_DATA;
    value[VCPU_RDI] = DEVICE_LINEAR + 0x200;
    value[VCPU_RCX] = 10;
    assert_int_equal(RUN(guest, "\xf3\xa5", DEVICE_PHYSICAL + 0x200), EMULATE_DONE); /* rep movsl */
    assert_int_equal(value[VCPU_RCX], 0);
    assert_int_equal(value[VCPU_RSI], KERNEL_BASE + GUEST_DATA + 40);
    assert_int_equal(value[VCPU_RDI], DEVICE_LINEAR + 0x228);
    assert_int_equal(value[VCPU_RIP], KERNEL_BASE + GUEST_CODE + 2);
    assert_memory_equal(guest->device + 0x200, guest->ram + GUEST_DATA, 40);
    assert_int_equal(guest->accesses, 10);

    value[VCPU_RSI] = DEVICE_LINEAR + 0x200;
    value[VCPU_RDI] = KERNEL_BASE + GUEST_DATA + 0x100;
    value[VCPU_RCX] = 40;
    assert_int_equal(RUN(guest, "\xf3\xa4", DEVICE_PHYSICAL + 0x200), EMULATE_DONE);
    assert_memory_equal(guest->ram + GUEST_DATA + 0x100, guest->ram + GUEST_DATA, 40);
}

static void test_a_long_repetition_is_left_and_resumed_and_one_of_nothing_does_nothing(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;
    unsigned rounds = 0;

    value[VCPU_RAX] = 0xee;
    value[VCPU_RCX] = 1000;
    value[VCPU_RDI] = DEVICE_LINEAR;
    guest_set_code(guest, "\xf3\xaa", 2);
    while (value[VCPU_RIP] == KERNEL_BASE + GUEST_CODE) {
        assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu,
                                               DEVICE_PHYSICAL + value[VCPU_RDI] - DEVICE_LINEAR), EMULATE_DONE);
        assert_in_range(++rounds, 1, 1000);
    }
    assert_true(rounds > 1);
    assert_int_equal(value[VCPU_RCX], 0);
    assert_int_equal(guest->device[999], 0xee);
    assert_int_equal(guest->device[1000], 0);

    assert_int_equal(RUN(guest, "\xf3\xaa", DEVICE_PHYSICAL + 1000), EMULATE_DONE);
    assert_int_equal(guest->accesses, 0);
    assert_int_equal(value[VCPU_RIP], KERNEL_BASE + GUEST_CODE + 2);
}

static void test_the_other_operand_of_a_move_may_fault(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;

    value[VCPU_RSI] = DEVICE_LINEAR;
    value[VCPU_RDI] = KERNEL_BASE + 0x1ff000; /* not mapped */
    assert_int_equal(RUN(guest, "\xa4", DEVICE_PHYSICAL), EMULATE_EXCEPTION);
    assert_int_equal(guest->cpu.vcpu.exception.vector, VECTOR_PF);
    assert_int_equal(guest->cpu.vcpu.exception.error, 2); /* a write by the kernel, not present */
    assert_int_equal(value[VCPU_CR2], KERNEL_BASE + 0x1ff000);
    assert_int_equal(value[VCPU_RIP], KERNEL_BASE + GUEST_CODE);

    guest->cpu.vcpu.exception.pending = false;
    guest->page_table[GUEST_DATA >> 12] &= ~UINT64_C(2); /* read-only */
    value[VCPU_RDI] = KERNEL_BASE + GUEST_DATA;
    assert_int_equal(RUN(guest, "\xa4", DEVICE_PHYSICAL), EMULATE_EXCEPTION);
    assert_int_equal(guest->cpu.vcpu.exception.error, 3);

    guest->cpu.vcpu.exception.pending = false;
    value[VCPU_RDI] = UINT64_C(0x8000000000000000);
    assert_int_equal(RUN(guest, "\xa4", DEVICE_PHYSICAL), EMULATE_EXCEPTION);
    assert_int_equal(guest->cpu.vcpu.exception.vector, VECTOR_GP);
    assert_int_equal(guest->accesses, 0);
}

static void test_without_a_way_to_set_cr2_the_guest_is_not_resumed(void **state)
{
    struct guest_fixture *guest = *state;
    struct vcpu_operations operations = *guest->cpu.vcpu.operations;

    operations.has_cr2 = false;
    guest->cpu.vcpu.operations = &operations;
    guest->cpu.vcpu.value[VCPU_RSI] = DEVICE_LINEAR;
    guest->cpu.vcpu.value[VCPU_RDI] = KERNEL_BASE + 0x1ff000;
    assert_int_equal(RUN(guest, "\xa4", DEVICE_PHYSICAL), EMULATE_PAGE_FAULT);
    assert_false(guest->cpu.vcpu.exception.pending);
}

static void test_an_access_across_a_page_border_reaches_both_pages(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;

    guest->page_table[0x30] = (GUEST_DATA & ~UINT64_C(0xfff)) | 3; /* RAM, and behind it the device */
    guest->page_table[0x31] = DEVICE_PHYSICAL | 3;
    value[VCPU_RDI] = KERNEL_BASE + 0x30fff;
    value[VCPU_RAX] = 0x44332211;
    assert_int_equal(RUN(guest, "\x89\x07", DEVICE_PHYSICAL), EMULATE_DONE);
    assert_int_equal(guest->ram[GUEST_DATA + 0xfff], 0x11);
    assert_int_equal(guest->device[0], 0x22);
    assert_int_equal(guest->device[2], 0x44);
    assert_int_equal(guest->accesses, 3); /* three bytes are no access that a device knows */
    value[VCPU_RAX] = 0;
    assert_int_equal(RUN(guest, "\x8b\x07", DEVICE_PHYSICAL), EMULATE_DONE);
    assert_int_equal(value[VCPU_RAX], 0x44332211);
}

static void test_an_instruction_may_cross_a_page_border_or_end_at_the_last_page(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;
    static const uint8_t code[] = { 0xc7, 0x07, 0x78, 0x56, 0x34, 0x12 };

    memcpy(guest->ram + 0x7ffd, code, sizeof code);
    value[VCPU_RIP] = KERNEL_BASE + 0x7ffd;
    value[VCPU_RDI] = DEVICE_LINEAR;
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL), EMULATE_DONE);
    assert_int_equal(guest->access[0].value, 0x12345678);

    memcpy(guest->ram + 0x7ffa, code, sizeof code);
    guest->page_table[8] = 0; /* nothing behind it */
    value[VCPU_RIP] = KERNEL_BASE + 0x7ffa;
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL), EMULATE_DONE);
    value[VCPU_RIP] = KERNEL_BASE + 0x7ffe; /* cut off */
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL), EMULATE_UNKNOWN);
}

static void test_changed_code_is_decoded_anew(void **state)
{
    struct guest_fixture *guest = *state;

    guest->cpu.vcpu.value[VCPU_RDI] = DEVICE_LINEAR;
    guest->cpu.vcpu.value[VCPU_RAX] = 0x1234;
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(RUN(guest, "\x88\x07", DEVICE_PHYSICAL), EMULATE_DONE);
        assert_int_equal(guest->access[0].size, 1);
        assert_int_equal(RUN(guest, "\x89\x07", DEVICE_PHYSICAL), EMULATE_DONE);
        assert_int_equal(guest->access[0].size, 4);
    }
}

static void test_32_bit_code_without_paging(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;

    value[VCPU_CR0] = CR0_PE;
    value[VCPU_CR4] = value[VCPU_EFER] = 0;
    value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)] = 0xc09b;
    value[VCPU_SEGMENT(VCPU_CS, VCPU_BASE)] = 0x1000;
    value[VCPU_SEGMENT(VCPU_DS, VCPU_BASE)] = 0xfee00000;
    guest_set_code(guest, "\x48\x89\x03", 3); /* dec %eax; mov %eax, (%ebx): not a REX prefix here */
    value[VCPU_RIP] = GUEST_CODE - 0x1000 + 1;
    value[VCPU_RAX] = 0x77;
    value[VCPU_RBX] = 0x20;
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL + 0x20), EMULATE_DONE);
    assert_int_equal(guest->access[0].size, 4);
    assert_int_equal(guest->access[0].value, 0x77);
    assert_int_equal(value[VCPU_RIP], GUEST_CODE - 0x1000 + 3);
}

static void test_real_mode_code(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;

    value[VCPU_CR0] = value[VCPU_CR4] = value[VCPU_EFER] = 0;
    value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)] = 0x9b;
    value[VCPU_SEGMENT(VCPU_ES, VCPU_BASE)] = 0xfee00000; /* as "unreal mode" has it */
    guest_set_code(guest, "\x26\x89\x07", 3);             /* mov %ax, %es:(%bx) */
    value[VCPU_RIP] = GUEST_CODE;
    value[VCPU_RBX] = UINT64_C(0x70040);
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL + 0x40), EMULATE_DONE);
    assert_int_equal(guest->access[0].size, 2);
}

static void test_what_cannot_be_carried_out_is_refused_and_changes_nothing(void **state)
{
    struct guest_fixture *guest = *state;
    static const struct { const char *code; unsigned length; } unknown[] = {
        { "\x0f\x10\x07", 3 },         /* movups (%rdi), %xmm0 */
        { "\xf2\x0f\x10\x07", 4 },     /* movsd (%rdi), %xmm0 */
        { "\x8e\x07", 2 },             /* mov (%rdi), %es */
        { "\xff\x37", 2 },             /* push (%rdi) */
        { "\xff\x17", 2 },             /* call *(%rdi) */
        { "\xa6", 1 },                 /* cmpsb */
        { "\x0f\xc7\x0f", 3 },         /* cmpxchg8b (%rdi) */
        { "\x89\xc0", 2 },             /* mov %eax, %eax: no memory at all */
        { "\x0f\x0b", 2 },             /* ud2 */
        { "\x06", 1 },                 /* not an instruction */
        { "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x89\x07", 17 }, /* too long */
    };
    struct vcpu before;

    guest->cpu.vcpu.value[VCPU_RDI] = DEVICE_LINEAR;
    for (unsigned i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        guest_set_code(guest, unknown[i].code, unknown[i].length);
        before = guest->cpu.vcpu;
        assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL), EMULATE_UNKNOWN);
        assert_memory_equal(&before, &guest->cpu.vcpu, sizeof before);
    }
    assert_int_equal(guest->accesses, 0);
}

static void test_an_instruction_that_did_not_cause_the_exit_is_not_carried_out(void **state)
{
    struct guest_fixture *guest = *state;

    guest->cpu.vcpu.value[VCPU_RDI] = KERNEL_BASE + GUEST_DATA;
    assert_int_equal(RUN(guest, "\x89\x07", DEVICE_PHYSICAL), EMULATE_ELSEWHERE);
    assert_int_equal(RUN(guest, "\xaa", DEVICE_PHYSICAL), EMULATE_ELSEWHERE);
    assert_int_equal(guest->cpu.vcpu.value[VCPU_RIP], KERNEL_BASE + GUEST_CODE);
}

static void test_code_that_cannot_be_reached_is_no_code(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;

    value[VCPU_RIP] = KERNEL_BASE + 0x1ff000;
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL), EMULATE_NO_CODE);
    value[VCPU_RIP] = UINT64_C(0x8000000000000000);
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL), EMULATE_NO_CODE);
    value[VCPU_RIP] = DEVICE_LINEAR; /* code in a device */
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL), EMULATE_NO_CODE);
    value[VCPU_RIP] = KERNEL_BASE + GUEST_CODE;
    value[VCPU_CR3] = GUEST_RAM_BYTES; /* page tables where there is no RAM */
    assert_int_equal(emulate_memory_access(&guest->emulator, &guest->cpu.vcpu, DEVICE_PHYSICAL), EMULATE_NO_CODE);
    assert_int_equal(guest->accesses, 0);
}

static int set_up(void **state)
{
    *state = guest_create();
    return 0;
}

static int tear_down(void **state)
{
    guest_destroy(*state);
    return 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_instructions_do_what_the_processor_itself_does),
        CASE(test_a_device_sees_one_access_of_the_instruction_s_size),
        CASE(test_a_write_of_a_register_does_not_read_the_device_and_a_test_does_not_write_it),
        CASE(test_operands_are_found_by_every_form_of_address),
        CASE(test_a_bit_number_in_a_register_reaches_beyond_the_operand),
        CASE(test_string_instructions_go_on_from_element_to_element),
        CASE(test_a_repeated_move_copies_between_memory_and_a_device),
        CASE(test_a_long_repetition_is_left_and_resumed_and_one_of_nothing_does_nothing),
        CASE(test_the_other_operand_of_a_move_may_fault),
        CASE(test_without_a_way_to_set_cr2_the_guest_is_not_resumed),
        CASE(test_an_access_across_a_page_border_reaches_both_pages),
        CASE(test_an_instruction_may_cross_a_page_border_or_end_at_the_last_page),
        CASE(test_changed_code_is_decoded_anew),
        CASE(test_32_bit_code_without_paging),
        CASE(test_real_mode_code),
        CASE(test_what_cannot_be_carried_out_is_refused_and_changes_nothing),
        CASE(test_an_instruction_that_did_not_cause_the_exit_is_not_carried_out),
        CASE(test_code_that_cannot_be_reached_is_no_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
