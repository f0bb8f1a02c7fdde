/* Any bytes as a guest kernel's code, and any ELF file: the scanner stays within them, changes opcodes only to those that it
 * has for them, finds its own work again, and what it has changed decodes as before.
 */
#include "tests/fuzz/fuzz.h"
#include "vmm/pv/patch.h"
#include "vmm/pv/privileged_decode.h"

#define ADDRESS UINT64_C(0xffffffff80000000)
#define STARTS  8u

static const struct patch_policy policies[2] = { { .hide_tsc = false }, { .hide_tsc = true } };

static uint64_t patched(const struct patch_report *report)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < PATCH_KIND_COUNT; i++)
        sum += report->count[i];
    return sum;
}

/* Where a byte has changed there is a patched opcode now that stands for what was there, or a hypercall. */
static uint64_t count_changes(const uint8_t *before, const uint8_t *after, size_t length)
{
    uint64_t changes = 0;

    for (size_t i = 0; i < length; i++) {
        uint8_t bytes[2] = { after[i], i + 1 < length ? after[i + 1] : 0 };
        enum patch_kind kind;
        unsigned offset;

        if (before[i] == after[i])
            continue;
        changes++;
        if (i >= 1 && before[i - 1] == 0x0f && before[i] == 0x01 && after[i] == 0x05) {
            i++; /* VMCALL: its third byte is NOP now */
            continue;
        }
        REQUIRE(patch_undo(bytes, sizeof bytes, &offset, &kind) && offset == 0 && bytes[0] == before[i]);
    }
    return changes;
}

static void scan_code(struct script *script)
{
    uint8_t how = script_byte(script);
    uint64_t starts[STARTS], last = ADDRESS;
    size_t length = script->left;
    uint8_t *code = malloc(length ? length : 1), *before = malloc(length ? length : 1);
    struct patch_report report = { 0 }, again = { 0 };

    REQUIRE(code && before);
    memcpy(code, script->bytes, length);
    memcpy(before, code, length);
    for (unsigned i = 0; i < STARTS; i++)
        starts[i] = last += i < length ? code[i] : 0;
    const struct patch_code request = {
        .bytes = code, .length = length, .address = ADDRESS, .starts = starts, .start_count = how & STARTS ? STARTS : 0,
    };
    patch_scan(&request, &policies[how & 1], &report);
    REQUIRE(count_changes(before, code, length) == patched(&report));
    memcpy(before, code, length);
    patch_scan(&request, &policies[how & 1], &again);
    /* Code that overlaps itself, or data, may read differently now. */
    if (request.start_count == 0 && report.undecodable == 0) {
        REQUIRE(memcmp(before, code, length) == 0);
        REQUIRE(again.undecodable == report.undecodable);
    }
    free(code);
    free(before);
}

static void scan_page(struct script *script)
{
    uint8_t how = script_byte(script), *pages = calloc(3, PATCH_PAGE_BYTES);
    struct patch_report report = { 0 };

    REQUIRE(pages);
    for (unsigned i = 0; i < 3 * PATCH_PAGE_BYTES && script->left > 0; i++)
        pages[(how & 2 ? PATCH_PAGE_BYTES - 100 : PATCH_PAGE_BYTES) + i] = script_byte(script);
    uint8_t *before = malloc(3 * PATCH_PAGE_BYTES);
    REQUIRE(before);
    memcpy(before, pages, 3 * PATCH_PAGE_BYTES);
    const struct patch_page request = {
        .page = pages + PATCH_PAGE_BYTES,
        .previous = how & 4 ? pages : NULL,
        .next = how & 8 ? pages + 2 * PATCH_PAGE_BYTES : NULL,
        .address = ADDRESS,
        .offset = (int)(before[PATCH_PAGE_BYTES] | before[PATCH_PAGE_BYTES + 1] << 8) % 5000 - 50,
    };
    patch_page(&request, &policies[how & 1], &report);
    REQUIRE(memcmp(before, pages, PATCH_PAGE_BYTES) == 0);
    REQUIRE(memcmp(before + 2 * PATCH_PAGE_BYTES, pages + 2 * PATCH_PAGE_BYTES, PATCH_PAGE_BYTES) == 0);
    REQUIRE(count_changes(before + PATCH_PAGE_BYTES, request.page, PATCH_PAGE_BYTES) == patched(&report));
    free(before);
    free(pages);
}

/* A header that is nearly right, and whatever follows. */
static void scan_file(struct script *script)
{
    static const uint8_t header[64] = {
        0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 2, [18] = 0x3e, [20] = 1, [32] = 64, [40] = 120, [52] = 64, [54] = 56,
        [56] = 2, [58] = 64, [60] = 3,
    };
    static uint8_t ram[0x4000];
    const struct guest_memory memory = { .count = 1, .region = { { 0, sizeof ram, ram } } };
    size_t length = sizeof header + script->left;
    uint8_t *file = malloc(length);
    struct patch_report report = { 0 };

    REQUIRE(file);
    memcpy(file, header, sizeof header);
    memcpy(file + sizeof header, script->bytes, script->left);
    if (script->left >= 56) { /* a segment of code within the file */
        uint8_t *segment = file + sizeof header;

        memcpy(segment, "\x01\x00\x00\x00\x05\x00\x00\x00", 8);
        memset(segment + 9, 0, 7);
        memset(segment + 26, 0, 6);
        memset(segment + 33, 0, 7);
    }
    struct script rest = { script->bytes, script->left < 16 ? script->left : 16 };
    if (script->left > 0 && script->bytes[0] & 1)
        script_damage(&rest, file, length);
    memset(ram, 0x9c, sizeof ram);
    patch_elf(file, length, &memory, &policies[0], &report);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct script script = { bytes, length };

    switch (script_byte(&script) % 4) {
    case 0:  scan_file(&script); break;
    case 1:  scan_page(&script); break;
    default: scan_code(&script); break;
    }
    return 0;
}
