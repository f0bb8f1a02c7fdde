/* What init says about the faults of other threads. */
#include "beaml4-init/fault_text.h"

#include "ipc/startup.h"

#include <sel4/constants.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(uint64_t label, const uint64_t words[FAULT_WORDS], const char *expected)
{
    char text[128];

    fault_text(text, sizeof text, label, words);
    assert_string_equal(text, expected);
}

static void test_page_faults_say_what_was_tried_and_where(void **state)
{
    uint64_t words[FAULT_WORDS] = { [seL4_VMFault_IP] = 0x40001234, [seL4_VMFault_Addr] = 0x7fff0000 };

    (void)state;
    assert_text(seL4_Fault_VMFault, words, "page fault: read of address 0x7fff0000, at ip 0x40001234");
    words[seL4_VMFault_FSR] = 6;
    assert_text(seL4_Fault_VMFault, words, "page fault: write to address 0x7fff0000, at ip 0x40001234");
    words[seL4_VMFault_FSR] = 0x14;
    words[seL4_VMFault_PrefetchFault] = 1;
    assert_text(seL4_Fault_VMFault, words, "page fault: execution of address 0x7fff0000, at ip 0x40001234");
}

static void test_null_pointers_and_stack_overflows_are_named(void **state)
{
    uint64_t words[FAULT_WORDS] = { [seL4_VMFault_IP] = 0x40001234, [seL4_VMFault_Addr] = 8 };

    (void)state;
    assert_text(seL4_Fault_VMFault, words, "page fault: read of address 0x8, a null pointer, at ip 0x40001234");
    words[seL4_VMFault_Addr] = SERVICE_STACK_TOP - SERVICE_STACK_SIZE - 1;
    assert_text(seL4_Fault_VMFault, words,
                "page fault: read of address 0x3ff6ffff, below its stack, at ip 0x40001234");
    words[seL4_VMFault_Addr] = SERVICE_STACK_TOP - SERVICE_STACK_SIZE - 4097;
    assert_text(seL4_Fault_VMFault, words, "page fault: read of address 0x3ff6efff, at ip 0x40001234");
}

static void test_exceptions_have_a_name_and_a_number(void **state)
{
    uint64_t words[FAULT_WORDS] = { [seL4_UserException_FaultIP] = 0x40000010, [seL4_UserException_Number] = 6 };

    (void)state;
    assert_text(seL4_Fault_UserException, words, "invalid opcode (exception 6, code 0) at ip 0x40000010");
    words[seL4_UserException_Number] = 13;
    words[seL4_UserException_Code] = 0x18;
    assert_text(seL4_Fault_UserException, words, "general protection (exception 13, code 0x18) at ip 0x40000010");
    words[seL4_UserException_Number] = 2; /* none of a thread's own */
    assert_text(seL4_Fault_UserException, words, "exception (exception 2, code 0x18) at ip 0x40000010");
    words[seL4_UserException_Number] = UINT64_MAX;
    assert_text(seL4_Fault_UserException, words,
                "exception (exception 18446744073709551615, code 0x18) at ip 0x40000010");
}

static void test_bad_capabilities_and_system_calls_are_told(void **state)
{
    uint64_t cap[FAULT_WORDS] = { [seL4_CapFault_IP] = 0x40000020, [seL4_CapFault_Addr] = 0x99 };
    uint64_t call[FAULT_WORDS] = { [seL4_UnknownSyscall_FaultIP] = 0x40000030, [seL4_UnknownSyscall_Syscall] = -100ul };

    (void)state;
    assert_text(seL4_Fault_CapFault, cap, "invalid capability 0x99 at ip 0x40000020");
    assert_text(seL4_Fault_UnknownSyscall, call, "unknown system call -100 at ip 0x40000030");
}

static void test_any_message_gives_a_text_that_fits(void **state)
{
    uint64_t words[FAULT_WORDS];
    char text[128];

    (void)state;
    memset(words, 0xff, sizeof words);
    for (uint64_t label = 0; label < 10; label++) {
        memset(text, 'x', sizeof text);
        fault_text(text, 20, label, words);
        assert_true(strlen(text) == 19);
        assert_true(text[20] == 'x');
    }
    assert_text(99, words, "fault of an unknown kind (99)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_faults_say_what_was_tried_and_where),
        cmocka_unit_test(test_null_pointers_and_stack_overflows_are_named),
        cmocka_unit_test(test_exceptions_have_a_name_and_a_number),
        cmocka_unit_test(test_bad_capabilities_and_system_calls_are_told),
        cmocka_unit_test(test_any_message_gives_a_text_that_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
