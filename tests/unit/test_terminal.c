/* Whose console the terminal is, as guests come and go and the user types. */
#include "logserver/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SHELL = 3, FIRST = 16, SECOND = 17 };

struct world {
    struct terminal terminal;
    bool runs[LOG_MAX_CLIENTS];
};

static struct world fresh(void)
{
    struct world world = { .runs = { false } };

    terminal_init(&world.terminal, SHELL);
    return world;
}

static void set(struct world *world, unsigned client, bool runs)
{
    world->runs[client] = runs;
    terminal_update(&world->terminal, world->runs);
}

/* What the byte is delivered as, one byte a digit pair; 0: to no one. */
static unsigned type(struct world *world, uint8_t byte)
{
    uint8_t given[2];
    size_t count = terminal_type(&world->terminal, byte, given);

    return count == 0 ? 0 : count == 1 ? given[0] : given[0] << 8 | given[1];
}

static void test_the_first_guest_has_it_until_its_end(void **state)
{
    struct world world = fresh();

    (void)state;
    assert_int_equal(world.terminal.attached, TERMINAL_NO_ONE);
    set(&world, SHELL, true);
    assert_int_equal(world.terminal.attached, TERMINAL_NO_ONE);
    set(&world, SECOND, true);
    assert_int_equal(world.terminal.attached, SECOND);
    set(&world, FIRST, true);
    assert_int_equal(world.terminal.attached, SECOND);
    assert_int_equal(type(&world, 'a'), 'a');
    set(&world, SECOND, false);
    assert_int_equal(world.terminal.attached, FIRST);
    set(&world, FIRST, false);
    set(&world, FIRST, true); /* a reboot */
    assert_int_equal(world.terminal.attached, FIRST);
}

static void test_the_escape_leads_to_the_shell_and_it_stays_there(void **state)
{
    struct world world = fresh();

    (void)state;
    set(&world, SHELL, true);
    set(&world, FIRST, true);
    assert_int_equal(type(&world, TERMINAL_ESCAPE), TERMINAL_ESCAPE);
    assert_int_equal(world.terminal.attached, SHELL);
    assert_int_equal(type(&world, 'p'), 'p');
    assert_int_equal(type(&world, TERMINAL_ESCAPE), TERMINAL_ESCAPE);
    set(&world, FIRST, false);
    set(&world, SECOND, true);
    assert_int_equal(world.terminal.attached, SHELL);
}

static void test_a_chosen_console_stays_over_a_restart(void **state)
{
    struct world world = fresh();

    (void)state;
    set(&world, SHELL, true);
    set(&world, FIRST, true);
    set(&world, SECOND, true);
    terminal_attach(&world.terminal, SECOND);
    set(&world, SECOND, false);
    assert_int_equal(world.terminal.attached, SECOND);
    set(&world, SECOND, true);
    assert_int_equal(world.terminal.attached, SECOND);
    assert_int_equal(type(&world, 'x'), 'x');
    terminal_attach(&world.terminal, LOG_MAX_CLIENTS);
    terminal_attach(&world.terminal, 4000000000u);
    assert_int_equal(world.terminal.attached, SECOND);
}

static void test_typing_for_a_guest_that_has_ended_reaches_the_shell(void **state)
{
    struct world world = fresh();

    (void)state;
    set(&world, SHELL, true);
    assert_int_equal(type(&world, 'p'), TERMINAL_ESCAPE << 8 | 'p');
    assert_int_equal(world.terminal.attached, SHELL);
    set(&world, FIRST, true);
    terminal_attach(&world.terminal, FIRST);
    set(&world, FIRST, false);
    assert_int_equal(type(&world, 'p'), TERMINAL_ESCAPE << 8 | 'p');
    assert_int_equal(type(&world, 's'), 's');
}

static void test_without_a_shell_the_escape_is_a_byte_like_others(void **state)
{
    struct world world = fresh();

    (void)state;
    assert_false(terminal_keeps(&world.terminal));
    assert_int_equal(type(&world, 'a'), 0);
    assert_int_equal(type(&world, TERMINAL_ESCAPE), 0);
    set(&world, FIRST, true);
    assert_int_equal(type(&world, TERMINAL_ESCAPE), TERMINAL_ESCAPE);
    assert_int_equal(world.terminal.attached, FIRST);
}

static void test_a_shell_that_is_gone_gives_the_terminal_back(void **state)
{
    struct world world = fresh();

    (void)state;
    set(&world, SHELL, true);
    assert_true(terminal_keeps(&world.terminal));
    set(&world, FIRST, true);
    type(&world, TERMINAL_ESCAPE);
    set(&world, SHELL, false);
    assert_int_equal(world.terminal.attached, FIRST);
    assert_false(terminal_keeps(&world.terminal));
    assert_int_equal(type(&world, 'a'), 'a');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_guest_has_it_until_its_end),
        cmocka_unit_test(test_the_escape_leads_to_the_shell_and_it_stays_there),
        cmocka_unit_test(test_a_chosen_console_stays_over_a_restart),
        cmocka_unit_test(test_typing_for_a_guest_that_has_ended_reaches_the_shell),
        cmocka_unit_test(test_without_a_shell_the_escape_is_a_byte_like_others),
        cmocka_unit_test(test_a_shell_that_is_gone_gives_the_terminal_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
