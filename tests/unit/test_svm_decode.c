/* What AMD-V says of exits and events, decoded. */
#include "vmm/svm/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RIP UINT64_C(0xffffffff81000000)

static struct vcpu_exit decode(uint64_t code, uint64_t info_1, uint64_t info_2)
{
    struct vcpu_exit exit;

    svm_decode_exit(&exit, code, info_1, info_2, RIP, 0);
    assert_int_equal(exit.raw_reason, (uint32_t)code);
    assert_int_equal(exit.qualification, info_1);
    return exit;
}

static void test_codes_become_kinds(void **state)
{
    /* APM 2 appendix C */
    static const struct { uint64_t code; enum vcpu_exit_kind kind; } cases[] = {
        { 0x064, VCPU_EXIT_INTERRUPT_WINDOW }, { 0x06f, VCPU_EXIT_FORBIDDEN }, { 0x072, VCPU_EXIT_CPUID },
        { 0x076, VCPU_EXIT_INVALIDATE }, { 0x077, VCPU_EXIT_PAUSE }, { 0x078, VCPU_EXIT_HALT },
        { 0x07a, VCPU_EXIT_UNDEFINED }, { 0x07b, VCPU_EXIT_IO }, { 0x07d, VCPU_EXIT_TASK_SWITCH },
        { 0x07f, VCPU_EXIT_TRIPLE_FAULT }, { 0x063, VCPU_EXIT_INIT }, { 0x081, VCPU_EXIT_HYPERCALL },
        { 0x089, VCPU_EXIT_INVALIDATE }, { 0x08d, VCPU_EXIT_XSETBV }, { 0x400, VCPU_EXIT_MEMORY },
        { UINT64_MAX, VCPU_EXIT_BAD_STATE },
        { 0x062, VCPU_EXIT_UNKNOWN }, { 0x073, VCPU_EXIT_UNKNOWN }, { 0x0ff, VCPU_EXIT_UNKNOWN },
        { 0x401, VCPU_EXIT_UNKNOWN }, { UINT32_MAX, VCPU_EXIT_UNKNOWN },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(decode(cases[i].code, 0, 0).kind, cases[i].kind);
}

static void test_instructions_of_amd_v_itself_are_not_there(void **state)
{
    static const uint64_t codes[] = { 0x080, 0x082, 0x083, 0x084, 0x085, 0x086 }; /* VMRUN to SKINIT, but VMMCALL */

    (void)state;
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_int_equal(decode(codes[i], 0, 0).kind, VCPU_EXIT_UNDEFINED);
    for (uint64_t monitor = 0x08a; monitor <= 0x08c; monitor++)
        assert_int_equal(decode(monitor, 0, 0).kind, VCPU_EXIT_UNDEFINED);
}

static void test_port_accesses(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    exit = decode(0x07b, 0x03f80090, RIP + 1); /* out %al, %dx in 64-bit code */
    assert_false(exit.io.in);
    assert_false(exit.io.string);
    assert_false(exit.io.repeated);
    assert_int_equal(exit.io.port, 0x3f8);
    assert_int_equal(exit.io.size, 1);
    assert_int_equal(exit.instruction_length, 1);

    exit = decode(0x07b, 0x00710021, RIP + 3); /* in $0x71, %ax */
    assert_true(exit.io.in);
    assert_int_equal(exit.io.port, 0x71);
    assert_int_equal(exit.io.size, 2);
    assert_int_equal(exit.instruction_length, 3);

    exit = decode(0x07b, 0xffff024c, RIP + 2); /* rep outsl */
    assert_false(exit.io.in);
    assert_true(exit.io.string);
    assert_true(exit.io.repeated);
    assert_int_equal(exit.io.port, 0xffff);
    assert_int_equal(exit.io.size, 4);
    assert_int_equal(exit.io.address_size, 8);
    assert_int_equal(exit.io.segment, VCPU_DS);

    exit = decode(0x07b, 0x00600095, RIP + 1); /* insb with 16-bit addresses */
    assert_int_equal(exit.io.address_size, 2);
    assert_int_equal(exit.io.segment, VCPU_ES);
    assert_int_equal(decode(0x07b, 0x00600115, RIP + 1).io.address_size, 4);
}

static void test_the_length_is_known_where_the_processor_tells_it(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    svm_decode_exit(&exit, SVM_EXIT_CPUID, 0, 0, RIP, 3);
    assert_int_equal(exit.instruction_length, 3);
    svm_decode_exit(&exit, SVM_EXIT_CPUID, 0, 0, RIP, 0);
    assert_int_equal(exit.instruction_length, 0);
    svm_decode_exit(&exit, SVM_EXIT_CPUID, 0, 0, RIP, 16); /* no instruction is so long */
    assert_int_equal(exit.instruction_length, 0);
    svm_decode_exit(&exit, SVM_EXIT_CPUID, 0, 0, RIP, UINT64_MAX);
    assert_int_equal(exit.instruction_length, 0);
}

static void test_accesses_to_memory_that_is_not_there(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    exit = decode(0x400, 0x100000004, 0xfee00030); /* a read at the final address */
    assert_int_equal(exit.guest_physical, 0xfee00030);
    assert_true(exit.memory.read);
    assert_false(exit.memory.write);
    assert_false(exit.memory.execute);
    assert_false(exit.memory.table_walk);

    exit = decode(0x400, 0x100000006, 0xfee000b0);
    assert_true(exit.memory.write);
    assert_false(exit.memory.read);

    exit = decode(0x400, 0x100000014, 0x12345000);
    assert_true(exit.memory.execute);
    assert_false(exit.memory.read);

    assert_true(decode(0x400, 0x200000006, 0x5000).memory.table_walk);
}

static void test_msr_accesses(void **state)
{
    (void)state;
    assert_int_equal(decode(0x07c, 0, 0).kind, VCPU_EXIT_READ_MSR);
    assert_int_equal(decode(0x07c, 1, 0).kind, VCPU_EXIT_WRITE_MSR);
}

static void test_control_and_debug_registers(void **state)
{
    (void)state;
    for (uint8_t number = 0; number < 16; number++) {
        struct vcpu_exit exit = decode(number, 0, 0);

        assert_int_equal(exit.kind, VCPU_EXIT_CONTROL_REGISTER);
        assert_int_equal(exit.control.access, VCPU_MOV_FROM_CR);
        assert_int_equal(exit.control.number, number);
        exit = decode(0x010u + number, 0, 0);
        assert_int_equal(exit.kind, VCPU_EXIT_CONTROL_REGISTER);
        assert_int_equal(exit.control.access, VCPU_MOV_TO_CR);
        assert_int_equal(exit.control.number, number);
        assert_int_equal(decode(0x020u + number, 0, 0).kind, VCPU_EXIT_DEBUG_REGISTER);
        assert_int_equal(decode(0x030u + number, 0, 0).kind, VCPU_EXIT_DEBUG_REGISTER);
    }
}

static void test_exceptions(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    for (uint8_t vector = 0; vector < 32; vector++) {
        exit = decode(0x040u + vector, 0x1234, 0);
        assert_int_equal(exit.kind, VCPU_EXIT_EXCEPTION);
        assert_int_equal(exit.exception.vector, vector);
        assert_int_equal(exit.exception.error, 0x1234);
    }
}

static void assert_needs(uint64_t code, uint64_t info_1, enum opcode_kind expected)
{
    struct vcpu_exit exit = decode(code, info_1, RIP + 1);
    enum opcode_kind kind;

    assert_true(svm_needs_opcode(&exit, &kind));
    assert_int_equal(kind, expected);
}

static void test_instructions_are_read_where_something_is_not_told(void **state)
{
    static const uint64_t codes[] = { 0x064, 0x06f, 0x07b, 0x07f, 0x081, 0x400, UINT64_MAX };
    struct vcpu_exit exit;
    enum opcode_kind kind;

    (void)state;
    assert_needs(0x072, 0, OPCODE_TWO_BYTES);
    assert_needs(0x07c, 0, OPCODE_TWO_BYTES);
    assert_needs(0x07c, 1, OPCODE_TWO_BYTES);
    assert_needs(0x076, 0, OPCODE_TWO_BYTES);
    assert_needs(0x089, 0, OPCODE_TWO_BYTES);
    assert_needs(0x078, 0, OPCODE_ONE_BYTE);
    assert_needs(0x077, 0, OPCODE_PAUSE);
    assert_needs(0x08d, 0, OPCODE_THREE_BYTES);
    assert_needs(0x014, 0, OPCODE_CONTROL);
    assert_needs(0x07b, 0xffff024c, OPCODE_ONE_BYTE); /* string output: which segment */
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        exit = decode(codes[i], 0, RIP + 1);
        assert_false(svm_needs_opcode(&exit, &kind));
    }
    exit = decode(0x07b, 0x00600095, RIP + 1); /* string input is always to ES */
    assert_false(svm_needs_opcode(&exit, &kind));

    svm_decode_exit(&exit, SVM_EXIT_CPUID, 0, 0, RIP, 2);
    assert_false(svm_needs_opcode(&exit, &kind));
    svm_decode_exit(&exit, 0x014, 0, 0, RIP, 3); /* but the register is not told */
    assert_true(svm_needs_opcode(&exit, &kind));
}

static void test_the_instruction_completes_the_exit(void **state)
{
    struct vcpu_exit exit = decode(0x014, 0, 0);
    const struct opcode move = { .length = 4, .number = 4, .gpr = VCPU_R12, .to_register = true, .segment = VCPU_DS };
    const struct opcode output = { .length = 3, .segment = VCPU_GS };

    (void)state;
    svm_use_opcode(&exit, &move);
    assert_int_equal(exit.instruction_length, 4);
    assert_int_equal(exit.control.gpr, VCPU_R12);
    assert_int_equal(exit.control.number, 4);

    exit = decode(0x07b, 0x03f8029c, RIP + 3);
    svm_use_opcode(&exit, &output);
    assert_int_equal(exit.instruction_length, 3);
    assert_int_equal(exit.io.segment, VCPU_GS);
    assert_int_equal(exit.io.port, 0x3f8);
}

static void test_events_go_and_come_back(void **state)
{
    static const struct { struct vcpu_event event; uint64_t field; } cases[] = {
        { { .kind = VCPU_EVENT_INTERRUPT, .vector = 0xec }, 0x800000ec },
        { { .kind = VCPU_EVENT_NMI, .vector = 2 }, 0x80000202 },
        { { .kind = VCPU_EVENT_EXCEPTION, .vector = 6 }, 0x80000306 },
        { { .kind = VCPU_EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = 0x1234 }, 0x0000123480000b0d },
        { { .kind = VCPU_EVENT_EXCEPTION, .vector = 14, .has_error = true, .error = UINT32_MAX }, 0xffffffff80000b0e },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vcpu_event event = { 0 };

        assert_int_equal(svm_encode_event(&cases[i].event), cases[i].field);
        assert_true(svm_decode_event(&event, cases[i].field));
        assert_int_equal(event.kind, cases[i].event.kind);
        assert_int_equal(event.vector, cases[i].event.vector);
        assert_int_equal(event.has_error, cases[i].event.has_error);
        assert_int_equal(event.error, cases[i].event.error);
    }
}

static void test_what_is_no_event_is_none(void **state)
{
    const struct vcpu_event none = { .kind = VCPU_EVENT_NONE };
    struct vcpu_event event;

    (void)state;
    assert_int_equal(svm_encode_event(&none), 0);
    assert_false(svm_decode_event(&event, 0));
    assert_false(svm_decode_event(&event, 0x000000ec)); /* not valid */
}

/* They come again, as the instruction that caused them is executed again. */
static void test_interrupts_and_traps_of_the_guests_own_are_not_repeated(void **state)
{
    struct vcpu_event event;

    (void)state;
    assert_false(svm_decode_event(&event, 0x80000480)); /* INT 80h */
    assert_false(svm_decode_event(&event, 0x80000303)); /* INT3 */
    assert_false(svm_decode_event(&event, 0x80000304)); /* INTO */
    assert_true(svm_decode_event(&event, 0x80000301));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_become_kinds),
        cmocka_unit_test(test_instructions_of_amd_v_itself_are_not_there),
        cmocka_unit_test(test_port_accesses),
        cmocka_unit_test(test_the_length_is_known_where_the_processor_tells_it),
        cmocka_unit_test(test_accesses_to_memory_that_is_not_there),
        cmocka_unit_test(test_msr_accesses),
        cmocka_unit_test(test_control_and_debug_registers),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_instructions_are_read_where_something_is_not_told),
        cmocka_unit_test(test_the_instruction_completes_the_exit),
        cmocka_unit_test(test_events_go_and_come_back),
        cmocka_unit_test(test_what_is_no_event_is_none),
        cmocka_unit_test(test_interrupts_and_traps_of_the_guests_own_are_not_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
