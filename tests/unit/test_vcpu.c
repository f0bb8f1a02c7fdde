/* Registers between the monitor and a back end, exceptions, pending interrupts. */
#include "tests/unit/fake_vcpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_a_register_is_fetched_once_and_written_back_once(void **state)
{
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_init(&fake);
    fake.real[VCPU_RSP] = 77;
    assert_int_equal(vcpu_get(&fake.vcpu, VCPU_RSP), 77);
    assert_int_equal(vcpu_get(&fake.vcpu, VCPU_RSP), 77);
    assert_int_equal(fake.reads, 1);
    vcpu_write_back(&fake.vcpu);
    assert_int_equal(fake.writes, 0);

    vcpu_set(&fake.vcpu, VCPU_RSP, 78);
    assert_int_equal(vcpu_get(&fake.vcpu, VCPU_RSP), 78);
    assert_int_equal(fake.real[VCPU_RSP], 77);
    vcpu_write_back(&fake.vcpu);
    vcpu_write_back(&fake.vcpu);
    assert_int_equal(fake.real[VCPU_RSP], 78);
    assert_int_equal(fake.writes, 1);
}

static void test_what_the_guest_may_have_changed_is_asked_for_again_and_changes_of_ours_stay(void **state)
{
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_init(&fake);
    vcpu_provide(&fake.vcpu, VCPU_RAX, 1);
    assert_int_equal(vcpu_get(&fake.vcpu, VCPU_RAX), 1);
    vcpu_set(&fake.vcpu, VCPU_RBX, 2);
    fake.real[VCPU_RAX] = 5;
    fake.real[VCPU_RBX] = 6;
    vcpu_forget_all(&fake.vcpu);
    assert_int_equal(vcpu_get(&fake.vcpu, VCPU_RAX), 5);
    assert_int_equal(vcpu_get(&fake.vcpu, VCPU_RBX), 2);
}

static void test_what_comes_with_an_exit_replaces_a_change(void **state)
{
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_init(&fake);
    vcpu_set(&fake.vcpu, VCPU_R9, 2);
    vcpu_provide(&fake.vcpu, VCPU_R9, 3);
    vcpu_write_back(&fake.vcpu);
    assert_int_equal(fake.writes, 0);
    assert_int_equal(vcpu_get(&fake.vcpu, VCPU_R9), 3);
}

static void test_every_register_is_kept_apart_and_has_a_name_of_its_own(void **state)
{
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_init(&fake);
    for (unsigned reg = 0; reg < VCPU_REGISTER_COUNT; reg++)
        vcpu_set(&fake.vcpu, (enum vcpu_register)reg, reg * 1000);
    vcpu_write_back(&fake.vcpu);
    vcpu_forget_all(&fake.vcpu);
    assert_int_equal(fake.writes, VCPU_REGISTER_COUNT);
    for (unsigned reg = 0; reg < VCPU_REGISTER_COUNT; reg++) {
        assert_int_equal(vcpu_get(&fake.vcpu, (enum vcpu_register)reg), reg * 1000);
        assert_non_null(vcpu_register_name((enum vcpu_register)reg));
        for (unsigned other = 0; other < reg; other++)
            assert_string_not_equal(vcpu_register_name((enum vcpu_register)reg),
                                    vcpu_register_name((enum vcpu_register)other));
    }
    assert_string_equal(vcpu_register_name(VCPU_REGISTER_COUNT), "?");
    assert_string_equal(vcpu_register_name(VCPU_SEGMENT(VCPU_TR, VCPU_ACCESS)), "tr.access");
    assert_string_equal(vcpu_register_name(VCPU_RBX), "rbx");
}

static void test_every_kind_of_exit_has_a_name(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < VCPU_EXIT_KIND_COUNT; kind++)
        assert_non_null(vcpu_exit_name((enum vcpu_exit_kind)kind));
    assert_string_equal(vcpu_exit_name(VCPU_EXIT_KIND_COUNT), "?");
    assert_string_equal(vcpu_exit_name(VCPU_EXIT_HALT), "hlt");
}

/* SDM 3A, tables 6-4 and 6-5. */
static void test_exceptions_meet_as_the_processor_has_them_meet(void **state)
{
    enum { SECOND, DOUBLE, SHUTDOWN };
    static const struct { uint8_t first, second; int result; } cases[] = {
        { VECTOR_UD, VECTOR_GP, SECOND }, { VECTOR_GP, VECTOR_UD, SECOND }, { 0, VECTOR_TS, DOUBLE },
        { VECTOR_GP, VECTOR_GP, DOUBLE }, { 12, 11, DOUBLE }, { VECTOR_GP, VECTOR_PF, SECOND },
        { VECTOR_PF, VECTOR_GP, DOUBLE }, { VECTOR_PF, VECTOR_PF, DOUBLE }, { VECTOR_PF, VECTOR_UD, SECOND },
        { VECTOR_DF, VECTOR_GP, SHUTDOWN }, { VECTOR_DF, VECTOR_PF, SHUTDOWN }, { VECTOR_DF, VECTOR_UD, SECOND },
        { VECTOR_DB, VECTOR_GP, SECOND },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake_vcpu fake;

        fake_vcpu_init(&fake);
        assert_true(vcpu_raise(&fake.vcpu, cases[i].first, true, 1));
        assert_true(fake.vcpu.exception.pending);
        assert_int_equal(fake.vcpu.exception.vector, cases[i].first);
        bool goes_on = vcpu_raise(&fake.vcpu, cases[i].second, true, 2);
        assert_int_equal(goes_on, cases[i].result != SHUTDOWN);
        if (!goes_on)
            continue;
        assert_int_equal(fake.vcpu.exception.vector, cases[i].result == DOUBLE ? VECTOR_DF : cases[i].second);
        assert_int_equal(fake.vcpu.exception.error, cases[i].result == DOUBLE ? 0 : 2);
    }
}

static void test_the_highest_pending_vector_is_found_among_random_sets(void **state)
{
    struct fake_vcpu fake;
    bool model[256] = { false };
    uint32_t seed = 1;

    (void)state;
    fake_vcpu_init(&fake);
    assert_int_equal(vcpu_highest_pending(&fake.vcpu), -1);
    assert_false(vcpu_any_pending(&fake.vcpu));
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1664525u + 1013904223u;
        uint8_t vector = (uint8_t)(seed >> 24);
        int highest = -1;

        model[vector] = seed >> 16 & 1;
        if (model[vector])
            vcpu_pend(&fake.vcpu, vector);
        else
            vcpu_unpend(&fake.vcpu, vector);
        for (int v = 0; v < 256; v++)
            highest = model[v] ? v : highest;
        assert_int_equal(vcpu_highest_pending(&fake.vcpu), highest);
        assert_int_equal(vcpu_any_pending(&fake.vcpu), highest >= 0);
    }
}

static void test_skipping_ends_the_shadow_of_sti_and_mov_ss_but_not_of_an_nmi(void **state)
{
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_long_mode(&fake, 0);
    fake.vcpu.value[VCPU_INTERRUPTIBILITY] = VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS | VCPU_BLOCKED_BY_NMI;
    fake.vcpu.value[VCPU_RIP] = 0xffffffff81000000;
    vcpu_skip(&fake.vcpu, 3);
    assert_int_equal(fake.vcpu.value[VCPU_RIP], 0xffffffff81000003);
    assert_int_equal(fake.vcpu.value[VCPU_INTERRUPTIBILITY], VCPU_BLOCKED_BY_NMI);
    assert_int_equal(fake.vcpu.dirty[0] & VCPU_MASK_BIT(VCPU_RFLAGS), 0);
}

static void test_skipping_nothing_special_changes_the_instruction_pointer_alone(void **state)
{
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_long_mode(&fake, 0);
    fake.vcpu.value[VCPU_RIP] = 0xfff;
    vcpu_skip(&fake.vcpu, 2);
    assert_int_equal(fake.vcpu.dirty[0], VCPU_MASK_BIT(VCPU_RIP));
    assert_int_equal(fake.vcpu.dirty[1], 0);
    assert_int_equal(fake.reads, 0);
}

static void test_the_instruction_pointer_of_32_bit_code_wraps_and_that_of_64_bit_code_goes_on(void **state)
{
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_long_mode(&fake, 0);
    fake.vcpu.value[VCPU_RIP] = 0xfffffffe;
    vcpu_skip(&fake.vcpu, 3);
    assert_int_equal(fake.vcpu.value[VCPU_RIP], 0x100000001);

    fake.vcpu.value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)] = 0xc09b;
    fake.vcpu.value[VCPU_RIP] = 0xfffffffe;
    vcpu_skip(&fake.vcpu, 3);
    assert_int_equal(fake.vcpu.value[VCPU_RIP], 1);
}

static void test_a_single_step_over_an_instruction_that_the_monitor_did_ends_in_a_debug_exception(void **state)
{
    struct fake_vcpu fake;

    (void)state;
    fake_vcpu_long_mode(&fake, 0);
    fake.vcpu.value[VCPU_RFLAGS] |= RFLAGS_TF;
    vcpu_skip(&fake.vcpu, 2);
    assert_int_equal(fake.vcpu.value[VCPU_PENDING_DEBUG], VCPU_PENDING_DEBUG_STEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_register_is_fetched_once_and_written_back_once),
        cmocka_unit_test(test_what_the_guest_may_have_changed_is_asked_for_again_and_changes_of_ours_stay),
        cmocka_unit_test(test_what_comes_with_an_exit_replaces_a_change),
        cmocka_unit_test(test_every_register_is_kept_apart_and_has_a_name_of_its_own),
        cmocka_unit_test(test_every_kind_of_exit_has_a_name),
        cmocka_unit_test(test_exceptions_meet_as_the_processor_has_them_meet),
        cmocka_unit_test(test_the_highest_pending_vector_is_found_among_random_sets),
        cmocka_unit_test(test_skipping_ends_the_shadow_of_sti_and_mov_ss_but_not_of_an_nmi),
        cmocka_unit_test(test_skipping_nothing_special_changes_the_instruction_pointer_alone),
        cmocka_unit_test(test_the_instruction_pointer_of_32_bit_code_wraps_and_that_of_64_bit_code_goes_on),
        cmocka_unit_test(test_a_single_step_over_an_instruction_that_the_monitor_did_ends_in_a_debug_exception),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
