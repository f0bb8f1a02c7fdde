/* The text screen: what a terminal's bytes leave in its cells. */
#include "screenserver/screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct screen screen;

static int set_up(void **state)
{
    (void)state;
    screen_init(&screen);
    return 0;
}

static void put(const char *text)
{
    screen_put(&screen, (const uint8_t *)text, strlen(text));
}

/* A row without the blanks at its end. */
static void expect_row(unsigned row, const char *text)
{
    char shown[SCREEN_COLUMNS + 1];
    unsigned length = SCREEN_COLUMNS;

    for (unsigned i = 0; i < SCREEN_COLUMNS; i++)
        shown[i] = (char)screen.cell[row * SCREEN_COLUMNS + i];
    while (length > 0 && shown[length - 1] == ' ')
        length--;
    shown[length] = '\0';
    assert_string_equal(shown, text);
}

static void test_it_begins_white_on_blue_and_empty(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SCREEN_CELLS; i++)
        assert_int_equal(screen.cell[i], 0x1f20);
    assert_int_equal(screen_cursor(&screen), 0);
}

static void test_lines_scroll_up(void **state)
{
    char line[32];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(line, sizeof line, "line %u\r\n", i);
        put(line);
    }
    for (unsigned row = 0; row < SCREEN_ROWS - 1; row++) {
        snprintf(line, sizeof line, "line %u", 100 - (SCREEN_ROWS - 1) + row);
        expect_row(row, line);
    }
    expect_row(SCREEN_ROWS - 1, "");
}

static void test_a_full_row_wraps_with_the_next_character(void **state)
{
    char row[SCREEN_COLUMNS + 1];

    (void)state;
    memset(row, 'x', SCREEN_COLUMNS);
    row[SCREEN_COLUMNS] = '\0';
    put(row);
    assert_int_equal(screen_cursor(&screen), SCREEN_COLUMNS - 1);
    put("\r\nnext");
    expect_row(0, row);
    expect_row(1, "next");
    put("\033[H");
    put(row);
    put("y");
    expect_row(1, "yext");
}

static void test_what_a_line_editor_sends_edits_a_line(void **state)
{
    (void)state;
    put("prompt> abc\r\033[K\rprompt> abXc\033[K\033[2D!");
    expect_row(0, "prompt> ab!c");
    put("\b\b\b \tT");
    expect_row(0, "prompt>  b!c    T");
}

static void test_the_cursor_moves_and_stays_on_the_screen(void **state)
{
    (void)state;
    put("\033[5;10Hhere\033[999;999H.\033[A\033[99D<\033[99B\033[99C>");
    expect_row(4, "         here");
    expect_row(SCREEN_ROWS - 2, "<");
    assert_int_equal(screen.cell[SCREEN_CELLS - 1] & 0xff, '>');
    put("\033[2J\033[H");
    for (unsigned row = 0; row < SCREEN_ROWS; row++)
        expect_row(row, "");
}

static void test_colours_and_their_end(void **state)
{
    (void)state;
    put("\033[31;42mr\033[1mb\033[0mn\033[7mi\033[39;49md");
    assert_int_equal(screen.cell[0] >> 8, 0x2c);
    assert_int_equal(screen.cell[1] >> 8, 0x2c);
    assert_int_equal(screen.cell[2] >> 8, 0x1f);
    assert_int_equal(screen.cell[3] >> 8, 0x71);
    assert_int_equal(screen.cell[4] >> 8, 0x1f);
}

static void test_sequences_that_are_not_known_leave_nothing_behind(void **state)
{
    (void)state;
    put("a\033[?25lb\033]0;title\007c\033=d\033[1;2;3;4;5;6;7;8qe\xc3\xa4" "f\001\177g");
    expect_row(0, "abcde?fg");
}

static void test_any_bytes_stay_within_the_screen(void **state)
{
    uint32_t seed = 11;
    uint8_t bytes[64];

    (void)state;
    for (unsigned round = 0; round < 50000; round++) {
        for (unsigned i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (uint8_t)(seed >> 24);
            if (seed >> 20 & 1) /* mostly sequences */
                bytes[i] = (uint8_t)"\033[0123456789;ABCDHJKm\r\n"[(seed >> 8) % 24];
        }
        screen_put(&screen, bytes, sizeof bytes);
        assert_true(screen.row < SCREEN_ROWS && screen.column <= SCREEN_COLUMNS);
        assert_true(screen_cursor(&screen) < SCREEN_CELLS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_it_begins_white_on_blue_and_empty, set_up),
        cmocka_unit_test_setup(test_lines_scroll_up, set_up),
        cmocka_unit_test_setup(test_a_full_row_wraps_with_the_next_character, set_up),
        cmocka_unit_test_setup(test_what_a_line_editor_sends_edits_a_line, set_up),
        cmocka_unit_test_setup(test_the_cursor_moves_and_stays_on_the_screen, set_up),
        cmocka_unit_test_setup(test_colours_and_their_end, set_up),
        cmocka_unit_test_setup(test_sequences_that_are_not_known_leave_nothing_behind, set_up),
        cmocka_unit_test_setup(test_any_bytes_stay_within_the_screen, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
