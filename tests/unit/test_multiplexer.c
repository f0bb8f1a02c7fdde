/* How lines of processes and a guest's console share one terminal. */
#include "logserver/multiplexer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct multiplexer *fresh(void)
{
    struct multiplexer *m = calloc(1, sizeof *m);

    m->only = MULTIPLEXER_ALL;
    return m;
}

static void lines(struct multiplexer *m, unsigned source, const char *tag, const char *text)
{
    assert_int_equal(multiplexer_add_lines(m, source, tag, text, strlen(text)), strlen(text));
}

static void console(struct multiplexer *m, const char *text)
{
    assert_int_equal(multiplexer_add_console(m, text, strlen(text)), strlen(text));
}

static void expect(struct multiplexer *m, const char *text)
{
    char output[MULTIPLEXER_OUTPUT_BYTES + 1];

    output[multiplexer_take(m, output, MULTIPLEXER_OUTPUT_BYTES)] = '\0';
    assert_string_equal(output, text);
}

static void test_a_line_is_tagged_and_ends_as_a_terminal_wants(void **state)
{
    struct multiplexer *m = fresh();

    (void)state;
    lines(m, 0, "init", "one\ntwo\n");
    expect(m, "[init] one\r\n[init] two\r\n");
    free(m);
}

static void test_lines_written_in_pieces_appear_whole(void **state)
{
    struct multiplexer *m = fresh();

    (void)state;
    lines(m, 0, "init", "first ");
    lines(m, 1, "time", "other\n");
    expect(m, "[time] other\r\n");
    lines(m, 0, "init", "half\r\n");
    expect(m, "[init] first half\r\n");
    free(m);
}

static void test_console_bytes_pass_unchanged(void **state)
{
    struct multiplexer *m = fresh();

    (void)state;
    console(m, "\033[1mhello\r\n\tworld\a");
    expect(m, "\033[1mhello\r\n\tworld\a");
    free(m);
}

static void test_a_system_line_does_not_continue_the_guest_prompt(void **state)
{
    struct multiplexer *m = fresh();

    (void)state;
    console(m, "boot\r\n~ # ");
    lines(m, 0, "init", "note\n");
    console(m, "ls\r\n");
    lines(m, 0, "init", "again\n");
    expect(m, "boot\r\n~ # \r\n[init] note\r\nls\r\n[init] again\r\n");
    free(m);
}

static void test_a_process_cannot_send_terminal_commands(void **state)
{
    struct multiplexer *m = fresh();

    (void)state;
    lines(m, 0, "vmm0", "a\033[2Jb\x7f\tc\n");
    expect(m, "[vmm0] a?[2Jb?\tc\r\n");
    free(m);
}

static void test_a_line_without_end_is_broken(void **state)
{
    struct multiplexer *m = fresh();
    char text[MULTIPLEXER_LINE_BYTES + 2];
    char output[MULTIPLEXER_OUTPUT_BYTES];

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(multiplexer_add_lines(m, 0, "a", text, sizeof text), sizeof text);
    assert_int_equal(multiplexer_take(m, output, sizeof output), 4 + MULTIPLEXER_LINE_BYTES + 2);
    lines(m, 0, "a", "\n");
    expect(m, "[a] xx\r\n");
    free(m);
}

static void test_a_full_queue_takes_nothing_and_loses_nothing(void **state)
{
    struct multiplexer *m = fresh();
    char text[MULTIPLEXER_OUTPUT_BYTES + 100];
    char output[MULTIPLEXER_OUTPUT_BYTES];

    (void)state;
    memset(text, '.', sizeof text);
    assert_int_equal(multiplexer_add_console(m, text, sizeof text), MULTIPLEXER_OUTPUT_BYTES);
    assert_int_equal(multiplexer_add_console(m, text, 1), 0);
    assert_int_equal(multiplexer_add_lines(m, 0, "a", "line\n", 5), 4); /* kept until its end can be taken */
    assert_false(multiplexer_add_note(m, "a", 1, "x"));
    assert_int_equal(multiplexer_take(m, output, sizeof output), MULTIPLEXER_OUTPUT_BYTES);
    lines(m, 0, "a", "\n");
    expect(m, "\r\n[a] line\r\n");
    free(m);
}

static void test_notes_begin_with_their_number(void **state)
{
    struct multiplexer *m = fresh();
    char words[2 * MULTIPLEXER_LINE_BYTES];

    (void)state;
    assert_true(multiplexer_add_note(m, "vmm0", UINT64_MAX, " bytes lost"));
    assert_true(multiplexer_add_note(m, "vmm0", 0, " bytes lost"));
    expect(m, "[vmm0] 18446744073709551615 bytes lost\r\n[vmm0] 0 bytes lost\r\n");
    memset(words, 'x', sizeof words);
    assert_true(multiplexer_add_note(m, "vmm0", UINT64_MAX, words)); /* cut, within its bounds */
    free(m);
}

static void test_lines_are_kept_and_consoles_not(void **state)
{
    struct multiplexer *m = fresh();
    uint8_t room[64], kept[64];
    struct backlog backlog = { .bytes = room, .size = sizeof room };
    uint64_t position = 0, missed = 0;

    (void)state;
    m->kept = &backlog;
    lines(m, 0, "init", "one\n");
    console(m, "a guest's prompt");
    lines(m, 0, "init", "two\n");
    assert_int_equal(backlog_read(&backlog, &position, &missed, kept, sizeof kept), 24);
    assert_memory_equal(kept, "[init] one\r\n[init] two\r\n", 24);
    free(m);
}

static void test_a_line_can_be_ended(void **state)
{
    struct multiplexer *m = fresh();

    (void)state;
    assert_true(multiplexer_end_line(m));
    console(m, "~ # ");
    assert_true(multiplexer_end_line(m));
    assert_true(multiplexer_end_line(m));
    console(m, "x\r\n");
    assert_true(multiplexer_end_line(m));
    expect(m, "~ # \r\nx\r\n");
    console(m, "y");
    while (multiplexer_add_console(m, "y", 1) == 1)
        ;
    assert_false(multiplexer_end_line(m));
    free(m);
}

static void test_a_tag_without_end_and_the_longest_line_fit(void **state)
{
    struct multiplexer *m = fresh();
    char tag[CONFIG_NAME_BYTES + 64], text[MULTIPLEXER_LINE_BYTES];
    char output[MULTIPLEXER_OUTPUT_BYTES];

    (void)state;
    memset(tag, 't', sizeof tag);
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 100; i++) {
        multiplexer_add_console(m, "$", 1);
        multiplexer_add_lines(m, MULTIPLEXER_SOURCES - 1, tag, text, sizeof text);
        multiplexer_add_lines(m, MULTIPLEXER_SOURCES - 1, tag, "\n", 1);
        assert_true(m->waiting <= MULTIPLEXER_OUTPUT_BYTES);
        if (i % 3 == 0)
            multiplexer_take(m, output, 1000);
    }
    free(m);
}

/* Whatever the sizes of the pieces, what comes out is what one piece gives. */
static void test_the_queue_wraps_without_changing_a_byte(void **state)
{
    struct multiplexer *m = fresh();
    uint32_t seed = 1;
    uint8_t in = 0, out = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[97];
        size_t count = (seed = seed * 1664525u + 1013904223u) >> 16;

        count %= sizeof bytes;
        for (size_t i = 0; i < count; i++)
            bytes[i] = (uint8_t)(in + i);
        in += (uint8_t)multiplexer_add_console(m, bytes, count);
        count = multiplexer_take(m, bytes, (seed >> 8) % sizeof bytes);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(bytes[i], out++);
    }
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_tagged_and_ends_as_a_terminal_wants),
        cmocka_unit_test(test_lines_written_in_pieces_appear_whole),
        cmocka_unit_test(test_console_bytes_pass_unchanged),
        cmocka_unit_test(test_a_system_line_does_not_continue_the_guest_prompt),
        cmocka_unit_test(test_a_process_cannot_send_terminal_commands),
        cmocka_unit_test(test_a_line_without_end_is_broken),
        cmocka_unit_test(test_a_full_queue_takes_nothing_and_loses_nothing),
        cmocka_unit_test(test_notes_begin_with_their_number),
        cmocka_unit_test(test_lines_are_kept_and_consoles_not),
        cmocka_unit_test(test_a_line_can_be_ended),
        cmocka_unit_test(test_a_tag_without_end_and_the_longest_line_fit),
        cmocka_unit_test(test_the_queue_wraps_without_changing_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
