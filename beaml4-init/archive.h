/* The archive that tools/pack.py puts behind init's image: a head page, then cpio data in the "newc" format.
 *
 * Pure: the bytes are read where they lie, nothing is copied, and whatever they hold, no access leaves them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ARCHIVE_MAGIC      UINT64_C(0x48435241344c4d42) /* "BML4ARCH" */
#define ARCHIVE_HEAD_BYTES 4096u

enum archive_status {
    ARCHIVE_OK = 0,
    ARCHIVE_ABSENT,    /* no archive was packed */
    ARCHIVE_TRUNCATED, /* a header or its data go beyond the end */
    ARCHIVE_MALFORMED, /* not a newc header, or a number or name that cannot be */
    ARCHIVE_NO_MEMBER, /* the archive is sound, and has no member of that name */
};

struct archive {
    const uint8_t *bytes; /* cpio data */
    size_t length;
};

struct archive_member {
    const char *name; /* zero-terminated */
    const uint8_t *bytes;
    size_t length;
    size_t next; /* offset of the header behind this member */
};

/* Finds the cpio data behind the head page at IMAGE, of which AVAILABLE bytes may be read, and checks every member's
 * header once. */
enum archive_status archive_open(struct archive *archive, const void *image, size_t available);

/* The member whose header is at OFFSET (0: the first; then a member's NEXT). ARCHIVE_NO_MEMBER at the end. */
enum archive_status archive_read(const struct archive *archive, size_t offset, struct archive_member *member);

/* The first member called NAME. */
enum archive_status archive_find(const struct archive *archive, const char *name, struct archive_member *member);

/* What a status means, in words. */
const char *archive_status_text(enum archive_status status);
