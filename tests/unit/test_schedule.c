/* The timeserver's order of deadlines and its PIT arithmetic. */
#include "timeserver/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MHZ UINT64_C(1000000)

static void test_deadlines_come_due_in_order_of_time(void **state)
{
    struct schedule s = { 0 };
    unsigned client;
    uint64_t next;

    (void)state;
    assert_false(schedule_next(&s, &next));
    schedule_arm(&s, 3, 300);
    schedule_arm(&s, 1, 100);
    schedule_arm(&s, 2, 200);
    assert_true(schedule_next(&s, &next));
    assert_int_equal(next, 100);
    assert_false(schedule_take_due(&s, 99, &client));
    for (unsigned expected = 1; expected <= 3; expected++) {
        assert_true(schedule_take_due(&s, 300, &client));
        assert_int_equal(client, expected);
    }
    assert_false(schedule_take_due(&s, UINT64_MAX, &client));
}

static void test_equal_deadlines_come_due_in_the_order_of_arming(void **state)
{
    struct schedule s = { 0 };
    unsigned client;

    (void)state;
    schedule_arm(&s, 7, 5);
    schedule_arm(&s, 4, 5);
    assert_true(schedule_take_due(&s, 5, &client));
    assert_int_equal(client, 7);
}

static void test_a_new_deadline_replaces_the_client_own_and_no_other(void **state)
{
    struct schedule s = { 0 };
    unsigned client;

    (void)state;
    schedule_arm(&s, 0, 10);
    schedule_arm(&s, 1, 20);
    schedule_arm(&s, 0, 30);
    assert_true(schedule_take_due(&s, 25, &client));
    assert_int_equal(client, 1);
    assert_false(schedule_take_due(&s, 25, &client));
    assert_true(schedule_take_due(&s, 30, &client));
    assert_int_equal(client, 0);
}

static void test_a_cancelled_deadline_does_not_come_due(void **state)
{
    struct schedule s = { 0 };
    unsigned client;

    (void)state;
    schedule_arm(&s, 0, 10);
    schedule_arm(&s, 1, 10);
    schedule_cancel(&s, 0);
    schedule_cancel(&s, 31);
    assert_true(schedule_take_due(&s, 10, &client));
    assert_int_equal(client, 1);
    assert_false(schedule_take_due(&s, 10, &client));
}

static void test_a_client_that_cannot_be_is_refused_and_all_that_can_be_fit(void **state)
{
    struct schedule s = { 0 };

    (void)state;
    assert_false(schedule_arm(&s, SCHEDULE_CLIENTS, 1));
    for (int round = 0; round < 2; round++)
        for (unsigned client = 0; client < SCHEDULE_CLIENTS; client++)
            assert_true(schedule_arm(&s, client, client * 7 % 5));
    assert_int_equal(s.count, SCHEDULE_CLIENTS);
}

static void test_random_sequences_agree_with_an_array_that_is_searched(void **state)
{
    struct schedule s = { 0 };
    uint64_t model[SCHEDULE_CLIENTS];
    uint32_t seed = 7;

    (void)state;
    memset(model, 0xff, sizeof model);
    for (int round = 0; round < 50000; round++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned client = seed >> 27, operation = seed >> 20 & 3;
        uint64_t time = seed >> 8 & 1023;

        if (operation < 2) {
            schedule_arm(&s, client, time);
            model[client] = time;
        } else if (operation == 2) {
            schedule_cancel(&s, client);
            model[client] = UINT64_MAX;
        } else {
            uint64_t earliest = UINT64_MAX;
            for (unsigned i = 0; i < SCHEDULE_CLIENTS; i++)
                earliest = model[i] < earliest ? model[i] : earliest;
            bool due = schedule_take_due(&s, time, &client);
            assert_int_equal(due, earliest <= time);
            if (due) {
                assert_int_equal(model[client], earliest);
                model[client] = UINT64_MAX;
            }
        }
    }
}

static void test_the_pit_never_fires_before_the_deadline_and_at_most_a_tick_after(void **state)
{
    static const uint64_t rates[] = { 1, 40 * MHZ, 999999937, 2400 * MHZ, 6000 * MHZ };

    (void)state;
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        for (uint64_t distance = 1; distance < rates[r] / 19; distance = distance * 9 / 8 + 1) {
            uint64_t count = schedule_pit_count(1000, 1000 + distance, rates[r]);
            assert_in_range(count, 1, PIT_COUNT_MAX);
            assert_true(count * rates[r] >= distance * PIT_HZ);
            assert_true((count - 1) * rates[r] < distance * PIT_HZ || count == 1);
        }
    }
}

static void test_past_and_far_deadlines_get_the_shortest_and_longest_count(void **state)
{
    (void)state;
    assert_int_equal(schedule_pit_count(500, 500, 40 * MHZ), 1);
    assert_int_equal(schedule_pit_count(500, 0, 40 * MHZ), 1);
    assert_int_equal(schedule_pit_count(0, UINT64_MAX, 40 * MHZ), PIT_COUNT_MAX);
    assert_int_equal(schedule_pit_count(0, 3000 * MHZ, 3000 * MHZ), PIT_COUNT_MAX);
    assert_int_equal(schedule_pit_count(UINT64_MAX - 1, UINT64_MAX, 3000 * MHZ), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines_come_due_in_order_of_time),
        cmocka_unit_test(test_equal_deadlines_come_due_in_the_order_of_arming),
        cmocka_unit_test(test_a_new_deadline_replaces_the_client_own_and_no_other),
        cmocka_unit_test(test_a_cancelled_deadline_does_not_come_due),
        cmocka_unit_test(test_a_client_that_cannot_be_is_refused_and_all_that_can_be_fit),
        cmocka_unit_test(test_random_sequences_agree_with_an_array_that_is_searched),
        cmocka_unit_test(test_the_pit_never_fires_before_the_deadline_and_at_most_a_tick_after),
        cmocka_unit_test(test_past_and_far_deadlines_get_the_shortest_and_longest_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
