/* Formatting against the host's own vsnprintf. */
#include "runtime/format.h"

#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Formats with both and compares, for every buffer size from 0 to more than enough. */
static void same(const char *format, ...)
{
    for (size_t size = 0; size < 120; size++) {
        char ours[128], theirs[128];
        va_list a, b;

        memset(ours, '#', sizeof ours);
        memset(theirs, '#', sizeof theirs);
        va_start(a, format);
        va_copy(b, a);
        int our_length = format_text(ours, size, format, a);
        int their_length = vsnprintf(theirs, size, format, b);
        va_end(a);
        va_end(b);
        assert_int_equal(our_length, their_length);
        assert_memory_equal(ours, theirs, sizeof ours);
    }
}

static void plain_directives_match_libc(void **state)
{
    (void)state;
    same("nothing to do");
    same("%d %i %u %x %X %o %c %s %%", -7, 7, 8u, 0xbeefu, 0xbeefu, 8u, 'q', "text");
    same("%ld %lu %lx %lld %llu %llx", LONG_MIN, ULONG_MAX, 0x123456789abcdefl, LLONG_MIN, ULLONG_MAX, LLONG_MAX);
    same("%zu %zd %jd %td", (size_t)12, (size_t)13, (intmax_t)-14, (ptrdiff_t)15);
    same("%hd %hu %hhd %hhu %hhx", (short)-5, (unsigned short)65535, (signed char)-128, (unsigned char)200, 0xab);
    same("%p", (void *)0x1234);
    same("%" PRIx64 " %" PRIu32, UINT64_MAX, UINT32_MAX);
    same("%d %d %u", INT_MIN, INT_MAX, UINT_MAX);
}

static void widths_precisions_and_flags_match_libc(void **state)
{
    (void)state;
    same("[%5d][%-5d][%05d][%+d][% d][%+5d][%-+5d]", 42, 42, 42, 42, 42, 42, 42);
    same("[%5d][%05d][%-5d]", -42, -42, -42);
    same("[%.3d][%8.3d][%-8.3d][%08.3d][%.0d][%.d]", 7, 7, 7, 7, 0, 0);
    same("[%#x][%#X][%#o][%#x][%#010x][%#10x]", 255, 255, 8, 0, 255, 255);
    same("[%10s][%-10s][%.2s][%10.2s][%s]", "abc", "abc", "abc", "abc", "");
    same("[%*d][%-*d][%*d][%.*s][%.*d][%.*d]", 6, 1, 6, 2, -6, 3, 2, "abcd", 3, 4, -1, 5);
    same("[%3c][%-3c][%016lx][%2x]", 'a', 'b', 0xfeedul, 0x12345);
}

static void what_is_unknown_is_shown_as_it_stands(void **state)
{
    (void)state;
    char text[32];
    va_list none;

    memset(&none, 0, sizeof none);
    assert_int_equal(format_text(text, sizeof text, "a %q b", none), 6);
    assert_string_equal(text, "a %q b");
    assert_int_equal(format_text(text, sizeof text, "100%", none), 4);
    assert_string_equal(text, "100%");
    assert_int_equal(format_text(text, sizeof text, "%-08l", none), 5);
    assert_string_equal(text, "%-08l");
}

static void formatted(char *text, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_text(text, size, format, arguments);
    va_end(arguments);
}

static void null_strings_and_unterminated_ones_are_safe(void **state)
{
    (void)state;
    char text[32];
    char *four = malloc(4);

    memcpy(four, "abcd", 4);
    formatted(text, sizeof text, "%s|%.4s", (char *)NULL, four);
    assert_string_equal(text, "(null)|abcd");
    free(four);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_directives_match_libc),
        cmocka_unit_test(widths_precisions_and_flags_match_libc),
        cmocka_unit_test(what_is_unknown_is_shown_as_it_stands),
        cmocka_unit_test(null_strings_and_unterminated_ones_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
