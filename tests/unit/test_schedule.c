/* The timeserver's order of timers: clients' own ones, and those in their rooms. */
#include "timeserver/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLACES 4096u

static struct schedule s;
static struct schedule_timer *room[TIME_CLIENTS];

static int set_up(void **state)
{
    (void)state;
    schedule_init(&s);
    for (unsigned i = 0; i < TIME_CLIENTS; i++) {
        room[i] = malloc(PLACES * sizeof *room[i]);
        memset(room[i], 0xa5, PLACES * sizeof *room[i]); /* whatever was there before */
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TIME_CLIENTS; i++)
        free(room[i]);
    return 0;
}

static void give_room(unsigned client, size_t places)
{
    schedule_set_room(&s, client, room[client], places * sizeof *room[client]);
}

static void expect_due(uint64_t now, unsigned client, unsigned signal)
{
    unsigned due_client, due_signal;

    assert_true(schedule_take_due(&s, now, &due_client, &due_signal));
    assert_int_equal(due_client, client);
    assert_int_equal(due_signal, signal);
}

static void expect_none(uint64_t now)
{
    unsigned client, signal;

    assert_false(schedule_take_due(&s, now, &client, &signal));
}

static void test_deadlines_come_due_in_order_of_time(void **state)
{
    uint64_t next;

    (void)state;
    assert_false(schedule_next(&s, &next));
    schedule_arm(&s, 3, 300);
    schedule_arm(&s, 1, 100);
    schedule_arm(&s, 2, 200);
    assert_true(schedule_next(&s, &next));
    assert_int_equal(next, 100);
    expect_none(99);
    for (unsigned expected = 1; expected <= 3; expected++)
        expect_due(300, expected, 0);
    expect_none(UINT64_MAX);
}

static void test_equal_deadlines_come_due_in_the_order_of_starting(void **state)
{
    struct time_token token;

    (void)state;
    give_room(9, 2);
    schedule_arm(&s, 7, 5);
    assert_true(schedule_start(&s, 9, 5, 2, &token));
    schedule_arm(&s, 4, 5);
    assert_true(schedule_start(&s, 9, 5, 3, &token));
    expect_due(5, 7, 0);
    expect_due(5, 9, 2);
    expect_due(5, 4, 0);
    expect_due(5, 9, 3);
}

static void test_a_new_deadline_replaces_the_client_own_and_no_other(void **state)
{
    (void)state;
    schedule_arm(&s, 0, 10);
    schedule_arm(&s, 1, 20);
    schedule_arm(&s, 0, 30);
    expect_due(25, 1, 0);
    expect_none(25);
    expect_due(30, 0, 0);
}

static void test_a_cancelled_deadline_does_not_come_due(void **state)
{
    (void)state;
    schedule_arm(&s, 0, 10);
    schedule_arm(&s, 1, 10);
    schedule_cancel(&s, 0);
    schedule_cancel(&s, 31);
    expect_due(10, 1, 0);
    expect_none(10);
}

static void test_without_room_there_is_no_timer_and_with_more_room_there_are_more(void **state)
{
    struct time_token token;

    (void)state;
    assert_false(schedule_start(&s, 5, 1, 0, &token));
    for (size_t places = 1; places <= PLACES; places *= 2) {
        give_room(5, places);
        for (size_t i = places / 2; i < places; i++)
            assert_true(schedule_start(&s, 5, 100 + i, 0, &token));
        assert_false(schedule_start(&s, 5, 1, 0, &token));
        assert_false(schedule_start(&s, 6, 1, 0, &token)); /* it is nobody else's room */
    }
    for (size_t i = 0; i < PLACES; i++)
        expect_due(UINT64_MAX, 5, 0);
    expect_none(UINT64_MAX);
}

static void test_a_token_names_one_timer_of_one_client_once(void **state)
{
    struct time_token token[3], wrong;

    (void)state;
    give_room(1, 8);
    give_room(2, 8);
    assert_true(schedule_start(&s, 1, 10, 1, &token[0]));
    assert_true(schedule_start(&s, 2, 10, 2, &token[1]));
    assert_false(schedule_stop(&s, 2, &token[0]));
    assert_true(schedule_stop(&s, 1, &token[0]));
    assert_false(schedule_stop(&s, 1, &token[0]));
    assert_true(schedule_start(&s, 1, 20, 3, &token[2])); /* in the same place */
    assert_int_equal(token[2].token[0], token[0].token[0]);
    assert_false(schedule_stop(&s, 1, &token[0]));
    for (uint64_t place = 0; place < 9; place++) {
        wrong = (struct time_token) { { place, 0 } };
        assert_false(schedule_stop(&s, 1, &wrong));
    }
    wrong = (struct time_token) { { UINT64_MAX, UINT64_MAX } };
    assert_false(schedule_stop(&s, 1, &wrong));
    expect_due(30, 2, 2);
    assert_false(schedule_stop(&s, 2, &token[1])); /* expired */
    expect_due(30, 1, 3);
}

static void test_a_client_that_ends_takes_all_of_its_timers_along_and_no_others(void **state)
{
    struct time_token token;

    (void)state;
    for (unsigned client = 0; client < 3; client++) {
        give_room(client, PLACES);
        schedule_arm(&s, client, 50);
        for (unsigned i = 0; i < 1000; i++)
            assert_true(schedule_start(&s, client, i, 1, &token));
    }
    schedule_forget(&s, 1);
    memset(room[1], 0x5a, PLACES * sizeof *room[1]); /* it is gone */
    assert_false(schedule_stop(&s, 1, &token));
    assert_false(schedule_start(&s, 1, 1, 1, &token));
    unsigned count = 0, client, signal;
    for (; schedule_take_due(&s, UINT64_MAX, &client, &signal); count++)
        assert_int_not_equal(client, 1);
    assert_int_equal(count, 2 * 1001);
    give_room(1, 1); /* the next one of that number */
    assert_true(schedule_start(&s, 1, 1, 1, &token));
}

/* Against an array that is searched. */
static void test_random_sequences_agree_with_a_simple_model(void **state)
{
    enum { MODEL = 600 };
    struct { bool active; uint64_t deadline; struct time_token token; unsigned client; } model[MODEL] = { 0 };
    uint32_t seed = 7;
    unsigned most = 0;

    (void)state;
    for (unsigned i = 0; i < TIME_CLIENTS; i++)
        give_room(i, 64);
    for (int round = 0; round < 200000; round++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned which = (seed >> 8) % MODEL, operation = seed >> 28 & 7;
        uint64_t now = round / 8;

        if (operation < 4 && !model[which].active) {
            model[which].client = which % TIME_CLIENTS;
            model[which].deadline = now + (seed >> 16) % 1000;
            model[which].active =
                schedule_start(&s, model[which].client, model[which].deadline, 1, &model[which].token);
            assert_true(model[which].active);
        } else if (operation == 4) {
            assert_int_equal(schedule_stop(&s, model[which].client, &model[which].token), model[which].active);
            model[which].active = false;
        } else if (operation > 5) {
            uint64_t earliest = UINT64_MAX, next;
            unsigned active = 0, client, signal;
            for (unsigned i = 0; i < MODEL; i++)
                if (model[i].active) {
                    active++;
                    earliest = model[i].deadline < earliest ? model[i].deadline : earliest;
                }
            most = active > most ? active : most;
            assert_int_equal(schedule_next(&s, &next), active > 0);
            if (active > 0)
                assert_int_equal(next, earliest);
            if (!schedule_take_due(&s, now, &client, &signal)) {
                assert_true(earliest > now);
                continue;
            }
            for (unsigned i = 0; i < MODEL; i++)
                if (model[i].active && model[i].deadline == earliest && model[i].client == client &&
                    !schedule_stop(&s, client, &model[i].token)) {
                    model[i].active = false;
                    break;
                } else if (model[i].active && model[i].deadline == earliest && model[i].client == client) {
                    assert_true(schedule_start(&s, client, earliest, 1, &model[i].token)); /* it was another one */
                }
        }
    }
    assert_true(most > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(test_deadlines_come_due_in_order_of_time),
        CASE(test_equal_deadlines_come_due_in_the_order_of_starting),
        CASE(test_a_new_deadline_replaces_the_client_own_and_no_other),
        CASE(test_a_cancelled_deadline_does_not_come_due),
        CASE(test_without_room_there_is_no_timer_and_with_more_room_there_are_more),
        CASE(test_a_token_names_one_timer_of_one_client_once),
        CASE(test_a_client_that_ends_takes_all_of_its_timers_along_and_no_others),
        CASE(test_random_sequences_agree_with_a_simple_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
