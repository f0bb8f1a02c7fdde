#include "beaml4-init/elf.h"

#include <string.h>

#define PAGE_MASK UINT64_C(0xfff)

#define ELF_IDENT     "\177ELF"
#define IDENT_CLASS   4
#define IDENT_DATA    5
#define CLASS_64      2
#define LITTLE_ENDIAN_DATA 1
#define TYPE_EXECUTABLE 2
#define MACHINE_X86_64  62
#define SEGMENT_LOAD    1
#define FLAG_EXECUTE    1u
#define FLAG_WRITE      2u

struct file_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_size, program_header_size, program_header_count;
    uint16_t section_header_size, section_header_count, section_names;
};

struct program_header {
    uint32_t type, flags;
    uint64_t offset, virtual, physical, file_size, memory_size, alignment;
};

_Static_assert(sizeof(struct file_header) == 64 && sizeof(struct program_header) == 56, "ELF-64 figures 2 and 6");

static const char *check_header(const struct file_header *header, size_t length)
{
    if (memcmp(header->ident, ELF_IDENT, 4) != 0)
        return "it is not an ELF file";
    if (header->ident[IDENT_CLASS] != CLASS_64 || header->ident[IDENT_DATA] != LITTLE_ENDIAN_DATA ||
        header->machine != MACHINE_X86_64)
        return "it is a program for another processor than x86-64";
    if (header->type != TYPE_EXECUTABLE)
        return "it is no executable linked to fixed addresses";
    if (header->program_header_size != sizeof(struct program_header))
        return "its program headers have an unknown size";
    if (header->program_headers > length ||
        (length - header->program_headers) / sizeof(struct program_header) < header->program_header_count)
        return "it is cut off: its program headers lie behind its end";
    return NULL;
}

static const char *check_segment(const struct program_header *header, size_t length, uint64_t lowest, uint64_t highest)
{
    if (header->offset > length || header->file_size > length - header->offset)
        return "it is cut off: a segment lies behind its end";
    if (header->file_size > header->memory_size)
        return "a segment is larger in the file than in memory";
    if (header->virtual < lowest || header->virtual > highest || header->memory_size > highest - header->virtual)
        return "a segment lies outside of the addresses for programs";
    return NULL;
}

static bool share_a_page(const struct elf_segment *a, const struct elf_segment *b)
{
    uint64_t a_first = a->address & ~PAGE_MASK, a_last = (a->address + a->memory_bytes - 1) | PAGE_MASK;
    uint64_t b_first = b->address & ~PAGE_MASK, b_last = (b->address + b->memory_bytes - 1) | PAGE_MASK;

    return a_first <= b_last && b_first <= a_last;
}

static const char *add_segment(struct elf_image *image, const struct program_header *header)
{
    struct elf_segment segment = {
        .address = header->virtual,
        .memory_bytes = header->memory_size,
        .offset = header->offset,
        .file_bytes = header->file_size,
        .writable = header->flags & FLAG_WRITE,
    };

    if (image->count == ELF_SEGMENTS_MAX)
        return "it has too many segments";
    for (unsigned i = 0; i < image->count; i++)
        if (share_a_page(&image->segment[i], &segment))
            return "two of its segments overlap or share a page";
    image->segment[image->count++] = segment;
    return NULL;
}

const char *elf_read(struct elf_image *image, const void *file, size_t length, uint64_t lowest, uint64_t highest)
{
    struct file_header header;
    struct program_header segment;
    bool entry_found = false;
    const char *problem;

    *image = (struct elf_image) { 0 };
    if (length < sizeof header)
        return "it is too short for an ELF file";
    memcpy(&header, file, sizeof header);
    if ((problem = check_header(&header, length)))
        return problem;
    for (unsigned i = 0; i < header.program_header_count; i++) {
        memcpy(&segment, (const uint8_t *)file + header.program_headers + i * sizeof segment, sizeof segment);
        if (segment.type != SEGMENT_LOAD || segment.memory_size == 0)
            continue;
        if ((problem = check_segment(&segment, length, lowest, highest)) || (problem = add_segment(image, &segment)))
            return problem;
        entry_found |= (segment.flags & FLAG_EXECUTE) && header.entry >= segment.virtual &&
                       header.entry - segment.virtual < segment.memory_size;
    }
    if (image->count == 0)
        return "there is nothing to load in it";
    if (!entry_found)
        return "its entry point is not in its code";
    image->entry = header.entry;
    return NULL;
}
