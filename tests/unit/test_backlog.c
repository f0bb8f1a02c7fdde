/* What is kept of a stream when there is more of it than room. */
#include "logserver/backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 10u

static void test_the_newest_bytes_stay(void **state)
{
    uint8_t room[SIZE], out[SIZE + 1];
    struct backlog backlog = { .bytes = room, .size = SIZE };
    uint64_t position = 0, missed = 0;

    (void)state;
    assert_int_equal(backlog_read(&backlog, &position, &missed, out, sizeof out), 0);
    backlog_add(&backlog, "abcdefghijklmnop", 16);
    assert_int_equal(backlog_read(&backlog, &position, &missed, out, 3), 3);
    assert_memory_equal(out, "ghi", 3);
    assert_int_equal(missed, 6);
    backlog_add(&backlog, "q", 1); /* makes no gap: what it takes the place of has been read */
    assert_int_equal(backlog_read(&backlog, &position, &missed, out, sizeof out), 8);
    assert_memory_equal(out, "jklmnopq", 8);
    assert_int_equal(missed, 6);
}

/* Against the whole stream in one array. */
static void test_any_history_reads_as_the_end_of_the_stream(void **state)
{
    enum { TOTAL = 20000 };
    uint8_t room[SIZE], out[3 * SIZE], *stream = malloc(TOTAL);
    struct backlog backlog = { .bytes = room, .size = SIZE };
    uint64_t position = 0, missed = 0, expected = 0, skipped = 0;
    uint32_t seed = 7;

    (void)state;
    for (unsigned i = 0; i < TOTAL; i++)
        stream[i] = (uint8_t)(i * 31 + i / 251);
    for (;;) {
        seed = seed * 1664525u + 1013904223u;
        size_t add = (seed >> 8) % 17, take = (seed >> 16) % (sizeof out + 1);

        if (backlog.written + add > TOTAL)
            break;
        backlog_add(&backlog, stream + backlog.written, add);
        size_t count = backlog_read(&backlog, &position, &missed, out, take);
        if (backlog.written - expected > SIZE) {
            skipped += backlog.written - SIZE - expected;
            expected = backlog.written - SIZE;
        }
        size_t there = backlog.written - expected;
        assert_int_equal(count, take < there ? take : there);
        assert_memory_equal(out, stream + expected, count);
        expected += count;
        assert_int_equal(position, expected);
        assert_int_equal(missed, skipped);
    }
    assert_true(skipped > 0);
    free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_bytes_stay),
        cmocka_unit_test(test_any_history_reads_as_the_end_of_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
