/* The archive reader on archives that are damaged in any way: it never leaves the bytes, and always comes to an end. */
#include "beaml4-init/archive.h"
#include "tests/fuzz/fuzz.h"

#define ROOM (ARCHIVE_HEAD_BYTES + 4096u)

static size_t align4(size_t length)
{
    return (length + 3) & ~(size_t)3;
}

/* A sound archive with members as the script says. */
static size_t build(struct script *script, uint8_t *bytes)
{
    size_t length = ARCHIVE_HEAD_BYTES;
    unsigned members = script_byte(script) % 6;

    memset(bytes, 0, ROOM);
    for (unsigned i = 0; i <= members; i++) {
        char name[24], header[111];
        size_t size = i == members ? 0 : script_byte(script);

        snprintf(name, sizeof name, i == members ? "TRAILER!!!" : "member%u", i);
        snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", i, 0100644, 0, 0,
                 1, 0, (unsigned)size, 0, 0, 0, 0, (unsigned)strlen(name) + 1, 0);
        memcpy(bytes + length, header, 110);
        memcpy(bytes + length + 110, name, strlen(name) + 1);
        length = align4(align4(length + 110 + strlen(name) + 1) + size);
    }
    uint64_t magic = ARCHIVE_MAGIC, cpio = length - ARCHIVE_HEAD_BYTES;
    memcpy(bytes, &magic, sizeof magic);
    memcpy(bytes + sizeof magic, &cpio, sizeof cpio);
    return length;
}

static void check_member(const struct archive *archive, const struct archive_member *member)
{
    const uint8_t *end = archive->bytes + archive->length, *name = (const uint8_t *)member->name;

    REQUIRE(name >= archive->bytes && name < end && memchr(name, '\0', (size_t)(end - name)));
    REQUIRE(member->bytes >= archive->bytes && member->bytes <= end && member->length <= (size_t)(end - member->bytes));
}

static void read_all(const void *image, size_t available, bool sound)
{
    struct archive archive;
    struct archive_member member = { 0 }, found;
    enum archive_status status = archive_open(&archive, image, available);

    REQUIRE(archive_status_text(status) != NULL);
    REQUIRE(status == ARCHIVE_OK || !sound);
    if (status != ARCHIVE_OK)
        return;
    for (size_t offset = 0; (status = archive_read(&archive, offset, &member)) == ARCHIVE_OK; offset = member.next) {
        REQUIRE(member.next > offset);
        check_member(&archive, &member);
        REQUIRE(archive_find(&archive, member.name, &found) == ARCHIVE_OK);
        check_member(&archive, &found);
    }
    REQUIRE(status == ARCHIVE_NO_MEMBER); /* it was checked as a whole when it was opened */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct script script = { bytes, length };
    uint8_t scratch[ROOM];
    size_t built = build(&script, scratch);
    size_t available = script_byte(&script) & 1 ? script_take(&script, 2) % (built + 1) : built;
    uint8_t *image = malloc(available ? available : 1);

    REQUIRE(image != NULL);
    memcpy(image, scratch, available);
    bool sound = available == built && script.left == 0;
    /* The head page is mostly padding: damage what has a meaning. */
    if (available > ARCHIVE_HEAD_BYTES && (script_byte(&script) & 3))
        script_damage(&script, image + ARCHIVE_HEAD_BYTES, available - ARCHIVE_HEAD_BYTES);
    else
        script_damage(&script, image, available < 32 ? available : 32);
    read_all(image, available, sound);
    free(image);
    return 0;
}
