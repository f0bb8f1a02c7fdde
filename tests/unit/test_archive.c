/* The archive reader: what it finds, and that no damaged archive leads it out of its bytes. Every archive lies in a
 * heap block of exactly its size, so that the address sanitizer sees a read beyond. */
#include "beaml4-init/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct builder {
    uint8_t bytes[65536];
    size_t length;
};

static void begin(struct builder *b)
{
    memset(b, 0, sizeof *b);
    memcpy(b->bytes, "BML4ARCH", 8);
    b->length = ARCHIVE_HEAD_BYTES;
}

static void add(struct builder *b, const char *name, const void *data, size_t size)
{
    char header[111];

    snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, 0100644, 0, 0, 1, 0,
             (unsigned)size, 0, 0, 0, 0, (unsigned)strlen(name) + 1, 0);
    memcpy(b->bytes + b->length, header, 110);
    memcpy(b->bytes + b->length + 110, name, strlen(name) + 1);
    b->length = (b->length + 110 + strlen(name) + 1 + 3) & ~(size_t)3;
    if (size)
        memcpy(b->bytes + b->length, data, size);
    b->length = (b->length + size + 3) & ~(size_t)3;
}

static uint8_t *finish(struct builder *b)
{
    uint64_t cpio = b->length - ARCHIVE_HEAD_BYTES;

    memcpy(b->bytes + 8, &cpio, sizeof cpio);
    uint8_t *copy = malloc(b->length);
    memcpy(copy, b->bytes, b->length);
    return copy;
}

static uint8_t *sample(struct builder *b)
{
    begin(b);
    add(b, "one", "1", 1);
    add(b, ".pad", "\0\0\0\0\0", 5);
    add(b, "two words", "second member", 13);
    add(b, "empty", NULL, 0);
    add(b, "TRAILER!!!", NULL, 0);
    return finish(b);
}

static void test_members_are_found_with_their_bytes(void **state)
{
    static struct builder b;
    uint8_t *image = sample(&b);
    struct archive archive;
    struct archive_member member;

    (void)state;
    assert_int_equal(archive_open(&archive, image, b.length), ARCHIVE_OK);
    assert_int_equal(archive_find(&archive, "one", &member), ARCHIVE_OK);
    assert_int_equal(member.length, 1);
    assert_memory_equal(member.bytes, "1", 1);
    assert_int_equal(archive_find(&archive, "two words", &member), ARCHIVE_OK);
    assert_int_equal(member.length, 13);
    assert_memory_equal(member.bytes, "second member", 13);
    assert_int_equal(archive_find(&archive, "empty", &member), ARCHIVE_OK);
    assert_int_equal(member.length, 0);
    free(image);
}

static void test_a_member_that_is_not_there_is_said_to_be_missing(void **state)
{
    static struct builder b;
    uint8_t *image = sample(&b);
    struct archive archive;
    struct archive_member member;

    (void)state;
    archive_open(&archive, image, b.length);
    assert_int_equal(archive_find(&archive, "on", &member), ARCHIVE_NO_MEMBER);
    assert_int_equal(archive_find(&archive, "TRAILER!!!", &member), ARCHIVE_NO_MEMBER);
    free(image);
}

static void test_an_image_without_archive_is_told_from_a_damaged_one(void **state)
{
    struct archive archive;
    struct archive_member member;
    uint8_t *zeros = calloc(1, 8192);

    (void)state;
    assert_int_equal(archive_open(&archive, zeros, 8192), ARCHIVE_ABSENT);
    assert_int_equal(archive_find(&archive, "one", &member), ARCHIVE_ABSENT);
    assert_int_equal(archive_open(&archive, zeros, 100), ARCHIVE_ABSENT);
    memcpy(zeros, "BML4ARCH", 8);
    assert_int_equal(archive_open(&archive, zeros, 8192), ARCHIVE_TRUNCATED);
    free(zeros);
}

static void test_an_archive_cut_at_any_place_is_refused(void **state)
{
    static struct builder b;
    uint8_t *whole = sample(&b);

    (void)state;
    for (size_t length = ARCHIVE_HEAD_BYTES; length < b.length; length++) {
        uint8_t *cut = malloc(length);
        uint64_t cpio = length - ARCHIVE_HEAD_BYTES;
        struct archive archive;

        memcpy(cut, whole, length);
        assert_int_equal(archive_open(&archive, cut, length), ARCHIVE_TRUNCATED); /* by its own length */
        memcpy(cut + 8, &cpio, sizeof cpio);
        assert_int_not_equal(archive_open(&archive, cut, length), ARCHIVE_OK); /* by the trailer that is not there */
        assert_null(archive.bytes);
        free(cut);
    }
    free(whole);
}

static void test_numbers_and_names_that_cannot_be_are_refused(void **state)
{
    static const struct {
        size_t offset;
        const char *bytes;
        enum archive_status expected;
    } damage[] = {
        { 0, "070702", ARCHIVE_MALFORMED },          /* another format */
        { 54, "FFFFFFFF", ARCHIVE_TRUNCATED },       /* data of 4 GiB */
        { 54, "0000000G", ARCHIVE_MALFORMED },       /* not a number */
        { 54, "       1", ARCHIVE_MALFORMED },
        { 94, "FFFFFFFF", ARCHIVE_MALFORMED },       /* a name of 4 GiB */
        { 94, "00000000", ARCHIVE_MALFORMED },       /* no name */
        { 94, "00000003", ARCHIVE_MALFORMED },       /* a name without its end */
        { 94, "00000005", ARCHIVE_MALFORMED },       /* a name with an end too early */
    };

    (void)state;
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        static struct builder b;
        uint8_t *image = sample(&b);
        struct archive archive;

        memcpy(image + ARCHIVE_HEAD_BYTES + damage[i].offset, damage[i].bytes, strlen(damage[i].bytes));
        assert_int_equal(archive_open(&archive, image, b.length), damage[i].expected);
        free(image);
    }
}

static void test_no_flipped_byte_leads_out_of_the_archive(void **state)
{
    static struct builder b;
    uint8_t *image = sample(&b);

    (void)state;
    for (size_t at = ARCHIVE_HEAD_BYTES; at < b.length; at++) {
        static const uint8_t values[] = { 0x00, 0xff, '0', 'F', '7', '9' };
        uint8_t before = image[at];

        for (size_t v = 0; v < sizeof values; v++) {
            struct archive archive;
            struct archive_member member = { 0 };

            image[at] = values[v];
            if (archive_open(&archive, image, b.length) != ARCHIVE_OK)
                continue;
            for (size_t offset = 0; archive_read(&archive, offset, &member) == ARCHIVE_OK; offset = member.next) {
                assert_true(member.bytes >= image && member.bytes + member.length <= image + b.length);
                assert_true(member.next > offset);
            }
        }
        image[at] = before;
    }
    free(image);
}

static void test_every_status_has_words(void **state)
{
    (void)state;
    for (int status = ARCHIVE_OK; status <= ARCHIVE_NO_MEMBER; status++)
        assert_string_not_equal(archive_status_text((enum archive_status)status), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_found_with_their_bytes),
        cmocka_unit_test(test_a_member_that_is_not_there_is_said_to_be_missing),
        cmocka_unit_test(test_an_image_without_archive_is_told_from_a_damaged_one),
        cmocka_unit_test(test_an_archive_cut_at_any_place_is_refused),
        cmocka_unit_test(test_numbers_and_names_that_cannot_be_are_refused),
        cmocka_unit_test(test_no_flipped_byte_leads_out_of_the_archive),
        cmocka_unit_test(test_every_status_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
