#include "beaml4-init/archive.h"

#include <stdbool.h>
#include <string.h>

/* A newc header: magic, then 13 numbers of 8 hexadecimal digits (cpio(5)), then the name. */
#define HEADER_BYTES  110u
#define FIELD_SIZE    6u
#define FIELD_NAME    11u
#define NAME_MAXIMUM  4096u
#define TRAILER       "TRAILER!!!"

struct head_page {
    uint64_t magic;
    uint64_t length;
};

static bool parse_field(const uint8_t *header, unsigned field, uint32_t *value)
{
    const uint8_t *digits = header + 6 + 8 * field;

    *value = 0;
    for (int i = 0; i < 8; i++) {
        uint8_t c = digits[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20u) - 'a' + 10;
        else
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

static size_t round_up(size_t offset)
{
    return (offset + 3) & ~(size_t)3;
}

enum archive_status archive_read(const struct archive *archive, size_t offset, struct archive_member *member)
{
    uint32_t size, name_size;

    if (offset > archive->length || archive->length - offset < HEADER_BYTES)
        return ARCHIVE_TRUNCATED;
    const uint8_t *header = archive->bytes + offset;
    if (memcmp(header, "070701", 6) != 0 || !parse_field(header, FIELD_SIZE, &size) ||
        !parse_field(header, FIELD_NAME, &name_size) || name_size < 2 || name_size > NAME_MAXIMUM)
        return ARCHIVE_MALFORMED;

    /* Each sum is of an offset within the archive and a 32-bit number: none can overflow 64 bits. */
    size_t data = round_up(offset + HEADER_BYTES + name_size);
    if (data > archive->length || size > archive->length - data)
        return ARCHIVE_TRUNCATED;
    const char *name = (const char *)header + HEADER_BYTES;
    if (memchr(name, '\0', name_size) != name + name_size - 1)
        return ARCHIVE_MALFORMED;
    if (strcmp(name, TRAILER) == 0)
        return ARCHIVE_NO_MEMBER;
    *member = (struct archive_member) {
        .name = name, .bytes = archive->bytes + data, .length = size, .next = round_up(data + size),
    };
    return ARCHIVE_OK;
}

enum archive_status archive_open(struct archive *archive, const void *image, size_t available)
{
    struct head_page head;
    struct archive_member member = { 0 };
    enum archive_status status;

    *archive = (struct archive) { 0 };
    if (available < ARCHIVE_HEAD_BYTES)
        return ARCHIVE_ABSENT;
    memcpy(&head, image, sizeof head);
    if (head.magic != ARCHIVE_MAGIC)
        return ARCHIVE_ABSENT;
    if (head.length > available - ARCHIVE_HEAD_BYTES)
        return ARCHIVE_TRUNCATED;

    struct archive found = { .bytes = (const uint8_t *)image + ARCHIVE_HEAD_BYTES, .length = head.length };
    while ((status = archive_read(&found, member.next, &member)) == ARCHIVE_OK)
        ;
    if (status != ARCHIVE_NO_MEMBER)
        return status;
    *archive = found;
    return ARCHIVE_OK;
}

enum archive_status archive_find(const struct archive *archive, const char *name, struct archive_member *member)
{
    struct archive_member candidate = { 0 };
    enum archive_status status;

    if (!archive->bytes)
        return ARCHIVE_ABSENT;
    while ((status = archive_read(archive, candidate.next, &candidate)) == ARCHIVE_OK) {
        if (strcmp(candidate.name, name) == 0) {
            *member = candidate;
            return ARCHIVE_OK;
        }
    }
    return status;
}

const char *archive_status_text(enum archive_status status)
{
    switch (status) {
    case ARCHIVE_OK: return "sound";
    case ARCHIVE_ABSENT: return "no archive has been packed into this image";
    case ARCHIVE_TRUNCATED: return "the archive is cut off";
    case ARCHIVE_MALFORMED: return "the archive is damaged";
    case ARCHIVE_NO_MEMBER: return "the archive has no such member";
    }
    return "unknown";
}
