/* What VT-x says of exits, decoded. */
#include "algorithms/vcpu_decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct vcpu_exit decode(uint32_t reason, uint64_t qualification)
{
    struct vcpu_exit exit;

    vmx_decode_exit(&exit, reason, qualification, 2, 0xfee00030);
    assert_int_equal(exit.raw_reason, reason);
    assert_int_equal(exit.qualification, qualification);
    assert_int_equal(exit.instruction_length, 2);
    assert_int_equal(exit.guest_physical, 0xfee00030);
    return exit;
}

static void test_reasons_become_kinds(void **state)
{
    static const struct { uint32_t reason; enum vcpu_exit_kind kind; } cases[] = {
        { 0, VCPU_EXIT_EXCEPTION }, { 2, VCPU_EXIT_TRIPLE_FAULT }, { 3, VCPU_EXIT_INIT }, { 4, VCPU_EXIT_INIT },
        { 7, VCPU_EXIT_INTERRUPT_WINDOW }, { 8, VCPU_EXIT_INTERRUPT_WINDOW }, { 9, VCPU_EXIT_TASK_SWITCH },
        { 10, VCPU_EXIT_CPUID }, { 11, VCPU_EXIT_UNDEFINED }, { 12, VCPU_EXIT_HALT }, { 13, VCPU_EXIT_INVALIDATE },
        { 15, VCPU_EXIT_FORBIDDEN }, { 17, VCPU_EXIT_UNDEFINED }, { 18, VCPU_EXIT_HYPERCALL },
        { 28, VCPU_EXIT_CONTROL_REGISTER }, { 29, VCPU_EXIT_DEBUG_REGISTER }, { 30, VCPU_EXIT_IO },
        { 31, VCPU_EXIT_READ_MSR }, { 32, VCPU_EXIT_WRITE_MSR }, { 33, VCPU_EXIT_BAD_STATE },
        { 34, VCPU_EXIT_BAD_STATE }, { 36, VCPU_EXIT_UNDEFINED }, { 39, VCPU_EXIT_UNDEFINED }, { 40, VCPU_EXIT_PAUSE },
        { 41, VCPU_EXIT_BAD_STATE }, { 48, VCPU_EXIT_MEMORY }, { 50, VCPU_EXIT_UNDEFINED }, { 51, VCPU_EXIT_UNDEFINED },
        { 52, VCPU_EXIT_NONE }, { 53, VCPU_EXIT_UNDEFINED }, { 54, VCPU_EXIT_INVALIDATE }, { 55, VCPU_EXIT_XSETBV },
        { 58, VCPU_EXIT_UNDEFINED }, { 0xffffffff, VCPU_EXIT_BAD_STATE }, { 49, VCPU_EXIT_UNKNOWN },
        { 14, VCPU_EXIT_UNKNOWN }, { 63, VCPU_EXIT_UNKNOWN }, { 0x80000021, VCPU_EXIT_UNKNOWN },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(decode(cases[i].reason, 0).kind, cases[i].kind);
    for (uint32_t vmx_instruction = 19; vmx_instruction <= 27; vmx_instruction++)
        assert_int_equal(decode(vmx_instruction, 0).kind, VCPU_EXIT_UNDEFINED);
}

static void test_an_end_without_a_notification_has_none(void **state)
{
    (void)state;
    assert_int_equal(decode(52, 0).notification, 0);
}

static void test_port_accesses(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    exit = decode(30, 0x03f80000); /* out %al, %dx */
    assert_false(exit.io.in);
    assert_false(exit.io.string);
    assert_false(exit.io.repeated);
    assert_int_equal(exit.io.size, 1);
    assert_int_equal(exit.io.port, 0x3f8);

    exit = decode(30, 0x00710049); /* in $0x71, %ax */
    assert_true(exit.io.in);
    assert_int_equal(exit.io.size, 2);
    assert_int_equal(exit.io.port, 0x71);

    exit = decode(30, 0xffff0033); /* rep outsl */
    assert_false(exit.io.in);
    assert_true(exit.io.string);
    assert_true(exit.io.repeated);
    assert_int_equal(exit.io.size, 4);
    assert_int_equal(exit.io.port, 0xffff);
}

static void test_string_accesses_tell_their_address_size_and_segment(void **state)
{
    static const uint8_t address_sizes[] = { 2, 4, 8 };
    struct vcpu_exit exit;

    (void)state;
    for (unsigned size = 0; size < 3; size++) {
        exit = decode(30, 0x00e90010);
        vmx_decode_string_io(&exit, size << 7 | VCPU_FS << 15);
        assert_int_equal(exit.io.address_size, address_sizes[size]);
        assert_int_equal(exit.io.segment, VCPU_FS);
    }
    exit = decode(30, 0x00e90018); /* INS has ES whatever its prefix */
    vmx_decode_string_io(&exit, 2 << 7 | VCPU_GS << 15);
    assert_int_equal(exit.io.segment, VCPU_ES);
    exit = decode(30, 0x00e90010); /* values that are not defined give something that is */
    vmx_decode_string_io(&exit, UINT32_MAX);
    assert_int_equal(exit.io.address_size, 8);
    assert_int_equal(exit.io.segment, VCPU_DS);
}

static void test_control_register_accesses(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    exit = decode(28, 0x0a00); /* mov %r10, %cr0 */
    assert_int_equal(exit.control.access, VCPU_MOV_TO_CR);
    assert_int_equal(exit.control.number, 0);
    assert_int_equal(exit.control.gpr, VCPU_R10);

    exit = decode(28, 0x0718); /* mov %cr8, %rdi */
    assert_int_equal(exit.control.access, VCPU_MOV_FROM_CR);
    assert_int_equal(exit.control.number, 8);
    assert_int_equal(exit.control.gpr, VCPU_RDI);

    assert_int_equal(decode(28, 0x20).control.access, VCPU_CLTS);
    exit = decode(28, 0x000b0030);
    assert_int_equal(exit.control.access, VCPU_LMSW);
    assert_int_equal(exit.control.lmsw, 0xb);
}

static void test_memory_accesses(void **state)
{
    struct vcpu_exit exit;

    (void)state;
    exit = decode(48, 0x181);
    assert_true(exit.memory.read);
    assert_false(exit.memory.write);
    assert_false(exit.memory.execute);
    assert_false(exit.memory.table_walk);

    exit = decode(48, 0x182);
    assert_true(exit.memory.write);
    exit = decode(48, 0x184);
    assert_true(exit.memory.execute);

    exit = decode(48, 0x081); /* the linear address is valid, and the access was to a paging structure */
    assert_true(exit.memory.table_walk);
    exit = decode(48, 0x001); /* no linear address: a PDPTE load */
    assert_false(exit.memory.table_walk);
}

static void test_events_survive_being_encoded_and_decoded(void **state)
{
    static const struct vcpu_event events[] = {
        { .kind = VCPU_EVENT_INTERRUPT, .vector = 0xec },
        { .kind = VCPU_EVENT_NMI, .vector = 2 },
        { .kind = VCPU_EVENT_EXCEPTION, .vector = 13, .has_error = true, .error = 0x10 },
        { .kind = VCPU_EVENT_EXCEPTION, .vector = 6 },
    };
    static const uint32_t encoded[] = { 0x800000ec, 0x80000202, 0x80000b0d, 0x80000306 };
    const struct vcpu_event none = { .kind = VCPU_EVENT_NONE, .vector = 9 };
    struct vcpu_event event;

    (void)state;
    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
        assert_int_equal(vmx_encode_event(&events[i]), encoded[i]);
        assert_true(vmx_decode_event(&event, encoded[i], 0x10));
        assert_int_equal(event.kind, events[i].kind);
        assert_int_equal(event.vector, events[i].vector);
        assert_int_equal(event.has_error, events[i].has_error);
        assert_int_equal(event.error, events[i].error);
    }
    assert_int_equal(vmx_encode_event(&none), 0);
}

static void test_events_that_come_again_by_themselves_are_not_events(void **state)
{
    struct vcpu_event event;

    (void)state;
    assert_false(vmx_decode_event(&event, 0x00000b0d, 0));          /* not valid */
    assert_false(vmx_decode_event(&event, 0x80000400 | 0x80, 0));   /* INT $0x80 */
    assert_false(vmx_decode_event(&event, 0x80000600 | 3, 0));      /* INT3 */
    assert_false(vmx_decode_event(&event, 0x80000500 | 1, 0));      /* INT1 */
    assert_int_equal(event.kind, VCPU_EVENT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons_become_kinds),
        cmocka_unit_test(test_an_end_without_a_notification_has_none),
        cmocka_unit_test(test_port_accesses),
        cmocka_unit_test(test_string_accesses_tell_their_address_size_and_segment),
        cmocka_unit_test(test_control_register_accesses),
        cmocka_unit_test(test_memory_accesses),
        cmocka_unit_test(test_events_survive_being_encoded_and_decoded),
        cmocka_unit_test(test_events_that_come_again_by_themselves_are_not_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
