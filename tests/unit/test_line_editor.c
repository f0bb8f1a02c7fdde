/* The line that is typed, and what a terminal shows of it: a model terminal of one line reads what the editor puts. */
#include "dbgserver/line_editor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UP    "\033[A"
#define DOWN  "\033[B"
#define RIGHT "\033[C"
#define LEFT  "\033[D"

struct screen {
    struct line_editor editor;
    char line[256];    /* the terminal's current line */
    size_t column;
    char escape[16];   /* a sequence begun */
    size_t escape_length;
    char above[256];   /* the line before */
    char entered[LINE_BYTES]; /* the last whole line */
    unsigned count;    /* of whole lines */
};

static void shown(struct screen *screen, char c)
{
    if (c == '\r') {
        screen->column = 0;
    } else if (c == '\n') {
        memcpy(screen->above, screen->line, sizeof screen->above);
        memset(screen->line, 0, sizeof screen->line);
    } else {
        assert_true(c >= ' ' && c <= '~');
        assert_true(screen->column < 80);
        screen->line[screen->column++] = c;
    }
}

static void put(void *context, const char *bytes, size_t length)
{
    struct screen *screen = context;
    unsigned left;

    for (size_t i = 0; i < length; i++) {
        if (screen->escape_length == 0 && bytes[i] != '\033') {
            shown(screen, bytes[i]);
            continue;
        }
        assert_true(screen->escape_length < sizeof screen->escape - 1);
        screen->escape[screen->escape_length++] = bytes[i];
        if (bytes[i] < '@' || bytes[i] == '[')
            continue;
        screen->escape[screen->escape_length] = '\0';
        screen->escape_length = 0;
        if (strcmp(screen->escape, "\033[K") == 0) {
            memset(screen->line + screen->column, 0, sizeof screen->line - screen->column);
        } else {
            assert_int_equal(sscanf(screen->escape, "\033[%uD", &left), 1);
            assert_true(left <= screen->column);
            screen->column -= left;
        }
    }
}

static struct screen *fresh(void)
{
    static const char *const words[] = { "console", "create", "halt", "help", "ps" };
    struct screen *screen = calloc(1, sizeof *screen);

    screen->editor = (struct line_editor) {
        .prompt = "> ", .words = words, .word_count = 5, .put = put, .context = screen,
    };
    line_editor_show(&screen->editor);
    return screen;
}

static void type_bytes(struct screen *screen, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (line_editor_type(&screen->editor, (uint8_t)bytes[i])) {
            memcpy(screen->entered, screen->editor.text, sizeof screen->entered);
            screen->count++;
            line_editor_next(&screen->editor);
        }
        /* What is seen is what there is. */
        assert_int_equal(strlen(screen->editor.text), screen->editor.length);
        assert_int_equal(screen->column, 2 + screen->editor.cursor);
        assert_memory_equal(screen->line, "> ", 2);
        assert_string_equal(screen->line + 2, screen->editor.text);
    }
}

static void type(struct screen *screen, const char *text)
{
    type_bytes(screen, text, strlen(text));
}

static void expect_line(const char *keys, const char *line)
{
    struct screen *screen = fresh();

    type(screen, keys);
    type(screen, "\r");
    assert_string_equal(screen->entered, line);
    assert_int_equal(screen->count, 1);
    free(screen);
}

static void test_what_is_typed_is_the_line(void **state)
{
    (void)state;
    expect_line("ps", "ps");
    expect_line("", "");
    expect_line("kill 1  x~", "kill 1  x~");
}

static void test_editing_keys(void **state)
{
    (void)state;
    expect_line("psx\x7f", "ps");
    expect_line("psx\x08", "ps");
    expect_line("\x7f\x7fps", "ps");
    expect_line("kill 2\x15ps", "ps");
    expect_line("ac" LEFT "b", "abc");
    expect_line("xps\x01\033[3~", "ps");
    expect_line("xps" LEFT LEFT LEFT LEFT RIGHT "\x7f", "ps");
    expect_line("bc\x01" "a\x05" "d", "abcd");
    expect_line("bc\033[H" "a\033[F" "d", "abcd");
    expect_line("bc\033OH" "a\033OF" "d", "abcd");
    expect_line("abcd" LEFT LEFT "\x0b", "ab");
    expect_line("abcd" LEFT LEFT "\x15", "cd");
    expect_line("abc\x03ps", "ps");
    expect_line("p\033[3;5us", "ps"); /* a sequence that means nothing here */
    expect_line("p\033s", "p");
    expect_line("\033[3~\x0b\x15", "");
}

static void test_a_return_and_a_line_feed_are_one_end(void **state)
{
    struct screen *screen = fresh();

    (void)state;
    type(screen, "a\r\n");
    assert_int_equal(screen->count, 1);
    type(screen, "b\n");
    assert_int_equal(screen->count, 2);
    type(screen, "\r\r");
    assert_int_equal(screen->count, 4);
    free(screen);
}

static void test_history_goes_back_and_forth(void **state)
{
    struct screen *screen = fresh();

    (void)state;
    type(screen, UP DOWN);
    type(screen, "one\rtwo\rtwo\r\r");
    type(screen, "dra" UP UP UP UP);
    assert_string_equal(screen->editor.text, "one");
    type(screen, DOWN);
    assert_string_equal(screen->editor.text, "two");
    type(screen, DOWN DOWN);
    assert_string_equal(screen->editor.text, "dra");
    type(screen, UP UP "!\r");
    assert_string_equal(screen->entered, "one!");
    type(screen, UP UP UP "\r");
    assert_string_equal(screen->entered, "one");
    free(screen);
}

static void test_history_keeps_the_newest_lines(void **state)
{
    struct screen *screen = fresh();
    char line[LINE_BYTES];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(line, sizeof line, "line %u\r", i);
        type(screen, line);
    }
    for (unsigned i = 0; i < 100; i++)
        type(screen, UP);
    snprintf(line, sizeof line, "line %u", 100 - LINE_HISTORY);
    assert_string_equal(screen->editor.text, line);
    free(screen);
}

static void test_tab_completes_commands(void **state)
{
    struct screen *screen = fresh();

    (void)state;
    expect_line("p\t", "ps ");
    expect_line("cr\tx", "create x");
    expect_line("zz\t", "zz");
    expect_line("help cr\t", "help create ");
    expect_line("kill p\t", "kill p");
    expect_line("hel\t", "help ");
    type(screen, "h\t");
    assert_string_equal(screen->above, "halt  help  ");
    assert_string_equal(screen->editor.text, "h");
    type(screen, "\x15" "c\t");
    assert_string_equal(screen->above, "console  create  ");
    free(screen);
}

static void test_a_line_is_never_longer_than_its_room(void **state)
{
    struct screen *screen = fresh();

    (void)state;
    for (unsigned i = 0; i < 3 * LINE_BYTES; i++)
        type(screen, "x");
    assert_int_equal(screen->editor.length, LINE_BYTES - 1);
    type(screen, "\x01y\x05\x7f\t" "z");
    assert_int_equal(screen->editor.length, LINE_BYTES - 1);
    free(screen);
}

/* Keys of all kinds and plain nonsense: type_bytes checks that the screen shows the line after each. */
static void test_any_bytes_do_no_harm(void **state)
{
    static const char *const keys[] = { UP, DOWN, LEFT, RIGHT, "\033[3~", "\t", "\x7f", "\x15", "\x0b", "\r", "\n",
                                        "\x01", "\x05", "\x03", "h", "c", "help ", "\033[", "\033" };
    struct screen *screen = fresh();
    uint32_t seed = 3;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned pick = (seed >> 16) % 40;
        char byte = (char)(seed >> 8);

        if (pick < sizeof keys / sizeof keys[0])
            type(screen, keys[pick]);
        else
            type_bytes(screen, &byte, 1);
    }
    free(screen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_typed_is_the_line),
        cmocka_unit_test(test_editing_keys),
        cmocka_unit_test(test_a_return_and_a_line_feed_are_one_end),
        cmocka_unit_test(test_history_goes_back_and_forth),
        cmocka_unit_test(test_history_keeps_the_newest_lines),
        cmocka_unit_test(test_tab_completes_commands),
        cmocka_unit_test(test_a_line_is_never_longer_than_its_room),
        cmocka_unit_test(test_any_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
