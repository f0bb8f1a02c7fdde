/* Scan codes of both sets as bytes of a terminal. */
#include "screenserver/keyboard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct keyboard keyboard;

static int set_up_set1(void **state)
{
    (void)state;
    keyboard = (struct keyboard) { .set2 = false };
    return 0;
}

static int set_up_set2(void **state)
{
    (void)state;
    keyboard = (struct keyboard) { .set2 = true };
    return 0;
}

static void expect(const char *codes, size_t count, const char *text)
{
    uint8_t typed[KEYBOARD_BYTES];
    char all[64] = "";
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        size_t made = keyboard_code(&keyboard, (uint8_t)codes[i], typed);
        assert_true(made <= KEYBOARD_BYTES && length + made < sizeof all);
        memcpy(all + length, typed, made);
        length += made;
    }
    assert_int_equal(length, strlen(text));
    assert_memory_equal(all, text, length);
}

#define EXPECT(codes, text) expect(codes, sizeof codes - 1, text)

static void test_letters_digits_and_shift(void **state)
{
    (void)state;
    EXPECT("\x23\xa3\x17\x97\x02\x82", "hi1");
    EXPECT("\x2a\x23\xa3\x02\x82\xaa\x23\xa3", "H!h");
    EXPECT("\x36\x33\xb6\x33", "<,");
    EXPECT("\x2a\x36\xaa\x1e\xb6\x1e", "Aa"); /* one of two is still down */
}

static void test_control_alt_and_caps_lock(void **state)
{
    (void)state;
    EXPECT("\x1d\x1b\x9d\x1b", "\x1d]");          /* Ctrl-] */
    EXPECT("\x1d\x2e\x9d", "\x03");
    EXPECT("\xe0\x1d\x16\xe0\x9d", "\x15");       /* the right one */
    EXPECT("\x38\x21\xb8", "\033f");
    EXPECT("\x3a\xba\x1e\x02\x2a\x1e\xaa\x3a\xba\x1e", "A1aa");
}

static void test_keys_of_an_editor(void **state)
{
    (void)state;
    EXPECT("\xe0\x48\xe0\xc8\xe0\x50\xe0\x4b\xe0\x4d", "\033[A\033[B\033[D\033[C");
    EXPECT("\xe0\x47\xe0\x4f\xe0\x53\x0e\x0f\x1c\x01", "\033[H\033[F\033[3~\x7f\t\r\033");
    EXPECT("\xe0\x2a\xe0\x48\xe0\xc8\xe0\xaa\x1e", "\033[Aa"); /* the Shift that keyboards pretend with NumLock */
}

static void test_pause_and_unknown_codes_type_nothing(void **state)
{
    (void)state;
    EXPECT("\xe1\x1d\x45\xe1\x9d\xc5\x1e", "a");
    EXPECT("\x3b\xbb\x45\xc5\x7f\xff\xe0\xff\x1e", "a");
}

static void test_set_2_types_the_same(void **state)
{
    (void)state;
    EXPECT("\x33\xf0\x33\x43\xf0\x43\x16\xf0\x16", "hi1");
    EXPECT("\x12\x33\xf0\x33\xf0\x12\x33", "Hh");
    EXPECT("\x14\x5b\xf0\x5b\xf0\x14\x5b", "\x1d]");
    EXPECT("\xe0\x75\xe0\xf0\x75\xe0\x71", "\033[A\033[3~");
    EXPECT("\xe1\x14\x77\xe1\xf0\x14\xf0\x77\x1c", "a");
}

static void test_any_codes_are_taken(void **state)
{
    uint8_t typed[KEYBOARD_BYTES];
    uint32_t seed = 3;

    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        seed = seed * 1664525u + 1013904223u;
        if (i % 1000 == 0)
            keyboard.set2 = !keyboard.set2;
        assert_true(keyboard_code(&keyboard, (uint8_t)(seed >> 24), typed) <= KEYBOARD_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_letters_digits_and_shift, set_up_set1),
        cmocka_unit_test_setup(test_control_alt_and_caps_lock, set_up_set1),
        cmocka_unit_test_setup(test_keys_of_an_editor, set_up_set1),
        cmocka_unit_test_setup(test_pause_and_unknown_codes_type_nothing, set_up_set1),
        cmocka_unit_test_setup(test_set_2_types_the_same, set_up_set2),
        cmocka_unit_test_setup(test_any_codes_are_taken, set_up_set1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
