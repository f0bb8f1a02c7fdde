/* The filter of the log that is shown again. */
#include "logserver/line_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char text[] = "[vmm1] one\r\n[vmm10] two\r\n\r\n[vmm1] three\r\n[init] VM 1 [vmm1] x\r\n[vmm1\r\n[vmm1] four\r\n[vm";

/* Through the filter in pieces of SIZE bytes. */
static void expect(const char *name, size_t size, const char *wanted)
{
    struct line_filter filter;
    char all[512];
    size_t length = 0;

    line_filter_init(&filter, name);
    for (size_t at = 0; at < sizeof text - 1; at += size) {
        size_t count = sizeof text - 1 - at < size ? sizeof text - 1 - at : size;
        uint8_t piece[sizeof text + LINE_FILTER_PREFIX];
        size_t written = line_filter_run(&filter, (const uint8_t *)text + at, count, piece);
        assert_true(written <= count + LINE_FILTER_PREFIX);
        memcpy(all + length, piece, written);
        length += written;
    }
    all[length] = '\0';
    assert_string_equal(all, wanted);
}

static void test_lines_of_one_process_go_through_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t size = 1; size < sizeof text; size++)
        expect("vmm1", size, "[vmm1] one\r\n[vmm1] three\r\n[vmm1] four\r\n");
}

static void test_without_a_name_all_goes_through(void **state)
{
    (void)state;
    for (size_t size = 1; size < sizeof text; size++)
        expect(NULL, size, text);
}

static void test_a_long_name_is_no_harm(void **state)
{
    char name[200];

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    expect(name, 7, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_one_process_go_through_however_they_are_cut),
        cmocka_unit_test(test_without_a_name_all_goes_through),
        cmocka_unit_test(test_a_long_name_is_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
