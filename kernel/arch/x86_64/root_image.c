/* ELF-64 Object File Format, version 1.5. */
#include <arch/x86_64/root_image.h>

#include <stddef.h>
#include <sel4/constants.h>
#include <arch/x86_64/console.h>
#include <lib/string.h>

#define PAGE_MASK 0xffful

#define ELF_MAGIC      "\177ELF\2\1\1" /* 64 bits, little-endian, version 1 */
#define ET_EXEC        2
#define EM_X86_64      62
#define PT_LOAD        1

/* Frames of an image each take a slot of the root CNode; this many leave enough for everything else. */
#define IMAGE_SIZE_MAX (192ul << 20)

/* IPC buffer, bootinfo and its records follow the image in the address space. */
#define PAGES_BEHIND_IMAGE 64ul

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_size, program_header_size, program_header_count;
    uint16_t section_header_size, section_header_count, section_names;
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, virtual, physical, file_size, memory_size, alignment;
};

_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_segment) == 56, "ELF-64 figures 2 and 6");

static struct elf_segment segment_at(const void *file, unsigned index)
{
    const struct elf_header *header = file;
    struct elf_segment segment;

    memcpy(&segment, (const char *)file + header->program_headers + index * sizeof segment, sizeof segment);
    return segment;
}

static const char *header_problem(const struct elf_header *header, uint64_t size)
{
    if (size < sizeof *header || memcmp(header->ident, ELF_MAGIC, 7) != 0)
        return "is no 64-bit ELF file";
    if (header->machine != EM_X86_64)
        return "is for another processor than x86-64";
    if (header->type != ET_EXEC)
        return "is no executable linked to fixed addresses";
    if (header->program_header_size != sizeof(struct elf_segment) || header->program_headers > size ||
        (size - header->program_headers) / sizeof(struct elf_segment) < header->program_header_count)
        return "is truncated or damaged: its program headers lie outside of it";
    return NULL;
}

static const char *segment_problem(const struct elf_segment *segment, uint64_t size)
{
    if (segment->offset > size || segment->file_size > size - segment->offset)
        return "is truncated: a segment lies behind its end";
    if (segment->file_size > segment->memory_size)
        return "is damaged: a segment is larger in the file than in memory";
    if (segment->virtual > seL4_UserTop || segment->memory_size > seL4_UserTop - segment->virtual)
        return "has a segment outside of the user address space";
    return NULL;
}

static bool segments_overlap(const void *file, unsigned index)
{
    struct elf_segment segment = segment_at(file, index);

    for (unsigned i = 0; i < index; i++) {
        struct elf_segment other = segment_at(file, i);
        if (other.type == PT_LOAD && other.virtual < segment.virtual + segment.memory_size &&
            segment.virtual < other.virtual + other.memory_size)
            return true;
    }
    return false;
}

static const char *measure(const void *file, uint64_t size, struct root_image *image)
{
    const struct elf_header *header = file;
    const char *problem = header_problem(header, size);
    uint64_t start = UINT64_MAX, end = 0;

    if (problem)
        return problem;
    for (unsigned i = 0; i < header->program_header_count; i++) {
        struct elf_segment segment = segment_at(file, i);

        if (segment.type != PT_LOAD || segment.memory_size == 0)
            continue;
        if ((problem = segment_problem(&segment, size)))
            return problem;
        if (segments_overlap(file, i))
            return "has overlapping segments";
        if (segment.virtual < start)
            start = segment.virtual;
        if (segment.virtual + segment.memory_size > end)
            end = segment.virtual + segment.memory_size;
    }
    if (end == 0)
        return "has nothing to load";
    if (start & PAGE_MASK)
        return "does not begin at a page boundary";
    end = (end + PAGE_MASK) & ~PAGE_MASK;
    if (end > seL4_UserTop - PAGES_BEHIND_IMAGE * 4096)
        return "leaves no room for bootinfo behind it in the address space";
    if (end - start > IMAGE_SIZE_MAX)
        return "spans more than 192 MiB from its lowest to its highest address";
    if (header->entry < start || header->entry >= end)
        return "has an entry point outside of itself";
    *image = (struct root_image) { start, end, header->entry };
    return NULL;
}

bool root_image_check(const void *file, uint64_t size, struct root_image *image)
{
    const char *problem = measure(file, size, image);

    if (problem)
        kernel_log("the module (%lu bytes) cannot be the root task: it %s", size, problem);
    return !problem;
}

void root_image_load(const void *file, const struct root_image *image, void *destination)
{
    const struct elf_header *header = file;

    memset(destination, 0, image->end - image->start);
    for (unsigned i = 0; i < header->program_header_count; i++) {
        struct elf_segment segment = segment_at(file, i);
        if (segment.type == PT_LOAD && segment.memory_size)
            memcpy((char *)destination + (segment.virtual - image->start), (const char *)file + segment.offset,
                   segment.file_size);
    }
}
