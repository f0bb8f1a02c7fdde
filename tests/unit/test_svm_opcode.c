/* What is read of an instruction that exited on AMD-V: its length above all. */
#include "algorithms/vcpu.h"
#include "vmm/svm/opcode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CODE(...) (const uint8_t[]) { __VA_ARGS__ }, sizeof (uint8_t[]) { __VA_ARGS__ }

static struct opcode decoded(enum opcode_kind kind, bool is_64, const uint8_t *bytes, unsigned length)
{
    struct opcode opcode;

    assert_true(opcode_decode(&opcode, kind, is_64, bytes, length));
    return opcode;
}

static void assert_length(unsigned expected, enum opcode_kind kind, const uint8_t *bytes, unsigned length)
{
    assert_int_equal(decoded(kind, true, bytes, length).length, expected);
}

static void assert_refused(enum opcode_kind kind, bool is_64, const uint8_t *bytes, unsigned length)
{
    struct opcode opcode;

    assert_false(opcode_decode(&opcode, kind, is_64, bytes, length));
}

static void test_plain_instructions_have_their_opcodes_length(void **state)
{
    (void)state;
    assert_length(1, OPCODE_ONE_BYTE, CODE(0xf4, 0x90));
    assert_length(2, OPCODE_TWO_BYTES, CODE(0x0f, 0xa2));
    assert_length(2, OPCODE_TWO_BYTES, CODE(0x0f, 0x30, 0xc3));
    assert_length(3, OPCODE_THREE_BYTES, CODE(0x0f, 0x01, 0xd1));
    assert_length(2, OPCODE_PAUSE, CODE(0xf3, 0x90));
    assert_length(3, OPCODE_CONTROL, CODE(0x0f, 0x22, 0xc0));
}

static void test_prefixes_count(void **state)
{
    (void)state;
    assert_length(4, OPCODE_TWO_BYTES, CODE(0x66, 0x67, 0x0f, 0xa2));
    assert_length(3, OPCODE_TWO_BYTES, CODE(0x48, 0x0f, 0xa2));
    assert_length(2, OPCODE_ONE_BYTE, CODE(0x2e, 0xf4));
    assert_length(2, OPCODE_ONE_BYTE, CODE(0xf3, 0x6e));
    assert_length(15, OPCODE_TWO_BYTES, CODE(0xf2, 0xf2, 0xf2, 0xf2, 0xf2, 0xf2, 0xf2, 0xf2, 0xf2, 0xf2, 0xf2, 0xf2, 0xf2,
                                             0x0f, 0xa2));
}

static void test_what_is_rex_in_64_bit_code_is_an_instruction_elsewhere(void **state)
{
    (void)state;
    assert_length(3, OPCODE_TWO_BYTES, CODE(0x4f, 0x0f, 0x32));
    assert_refused(OPCODE_TWO_BYTES, false, CODE(0x4f, 0x0f, 0x32));
}

static void test_registers_of_moves_to_and_from_control_registers(void **state)
{
    struct opcode opcode;

    (void)state;
    opcode = decoded(OPCODE_CONTROL, true, CODE(0x0f, 0x22, 0xe3)); /* mov %rbx, %cr4 */
    assert_true(opcode.to_register);
    assert_int_equal(opcode.number, 4);
    assert_int_equal(opcode.gpr, VCPU_RBX);

    opcode = decoded(OPCODE_CONTROL, true, CODE(0x0f, 0x20, 0xd8)); /* mov %cr3, %rax */
    assert_false(opcode.to_register);
    assert_int_equal(opcode.number, 3);
    assert_int_equal(opcode.gpr, VCPU_RAX);

    opcode = decoded(OPCODE_CONTROL, true, CODE(0x45, 0x0f, 0x22, 0xc7)); /* mov %r15, %cr8 */
    assert_int_equal(opcode.length, 4);
    assert_int_equal(opcode.number, 8);
    assert_int_equal(opcode.gpr, VCPU_R15);

    opcode = decoded(OPCODE_CONTROL, true, CODE(0x41, 0x0f, 0x22, 0xc4)); /* mov %r12, %cr0 */
    assert_int_equal(opcode.number, 0);
    assert_int_equal(opcode.gpr, VCPU_R12);
}

static void test_rex_counts_only_right_before_the_opcode(void **state)
{
    struct opcode opcode;

    (void)state;
    opcode = decoded(OPCODE_CONTROL, true, CODE(0x45, 0x66, 0x0f, 0x22, 0xe3));
    assert_int_equal(opcode.length, 5);
    assert_int_equal(opcode.number, 4);
    assert_int_equal(opcode.gpr, VCPU_RBX);

    opcode = decoded(OPCODE_CONTROL, true, CODE(0x45, 0x41, 0x0f, 0x22, 0xe3)); /* the last one */
    assert_int_equal(opcode.number, 4);
    assert_int_equal(opcode.gpr, VCPU_R11);
}

static void test_lock_with_cr0_is_cr8(void **state)
{
    (void)state;
    assert_int_equal(decoded(OPCODE_CONTROL, false, CODE(0xf0, 0x0f, 0x22, 0xc0)).number, 8);
    assert_int_equal(decoded(OPCODE_CONTROL, false, CODE(0xf0, 0x0f, 0x20, 0xc1)).number, 8);
    assert_int_equal(decoded(OPCODE_CONTROL, false, CODE(0xf0, 0x0f, 0x22, 0xe0)).number, 4);
}

static void test_segments_of_string_output(void **state)
{
    static const struct { uint8_t prefix; enum vcpu_segment segment; } overrides[] = {
        { 0x26, VCPU_ES }, { 0x2e, VCPU_CS }, { 0x36, VCPU_SS }, { 0x3e, VCPU_DS }, { 0x64, VCPU_FS }, { 0x65, VCPU_GS },
    };

    (void)state;
    assert_int_equal(decoded(OPCODE_ONE_BYTE, false, CODE(0x6e)).segment, VCPU_DS);
    assert_int_equal(decoded(OPCODE_ONE_BYTE, false, CODE(0xf3, 0x66, 0x6f)).segment, VCPU_DS);
    for (unsigned i = 0; i < sizeof overrides / sizeof overrides[0]; i++) {
        assert_int_equal(decoded(OPCODE_ONE_BYTE, false, CODE(overrides[i].prefix, 0x6e)).segment, overrides[i].segment);
        assert_int_equal(decoded(OPCODE_ONE_BYTE, false, CODE(0xf3, overrides[i].prefix, 0x6e)).segment,
                         overrides[i].segment);
    }
    assert_int_equal(decoded(OPCODE_ONE_BYTE, false, CODE(0x26, 0x65, 0x6e)).segment, VCPU_GS); /* the last one */
}

static void test_what_is_cut_off_is_refused(void **state)
{
    (void)state;
    assert_refused(OPCODE_ONE_BYTE, true, NULL, 0);
    assert_refused(OPCODE_ONE_BYTE, true, CODE(0x66));
    assert_refused(OPCODE_TWO_BYTES, true, CODE(0x0f));
    assert_refused(OPCODE_TWO_BYTES, true, CODE(0x48, 0x0f));
    assert_refused(OPCODE_THREE_BYTES, true, CODE(0x0f, 0x01));
    assert_refused(OPCODE_CONTROL, true, CODE(0x0f, 0x22));
    assert_refused(OPCODE_PAUSE, true, CODE(0xf3));
    /* Nothing but prefixes, as many as there can be. */
    assert_refused(OPCODE_TWO_BYTES, true, CODE(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                                0x66, 0x66));
}

static void test_what_has_been_changed_meanwhile_is_refused(void **state)
{
    (void)state;
    assert_refused(OPCODE_TWO_BYTES, true, CODE(0x90, 0xa2));
    assert_refused(OPCODE_THREE_BYTES, true, CODE(0x90, 0x01, 0xd1));
    assert_refused(OPCODE_CONTROL, true, CODE(0x0f, 0x21, 0xc0)); /* a debug register */
    assert_refused(OPCODE_CONTROL, true, CODE(0x90, 0x22, 0xc0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_instructions_have_their_opcodes_length),
        cmocka_unit_test(test_prefixes_count),
        cmocka_unit_test(test_what_is_rex_in_64_bit_code_is_an_instruction_elsewhere),
        cmocka_unit_test(test_registers_of_moves_to_and_from_control_registers),
        cmocka_unit_test(test_rex_counts_only_right_before_the_opcode),
        cmocka_unit_test(test_lock_with_cr0_is_cr8),
        cmocka_unit_test(test_segments_of_string_output),
        cmocka_unit_test(test_what_is_cut_off_is_refused),
        cmocka_unit_test(test_what_has_been_changed_meanwhile_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
