#include "beaml4-init/elf.h"

#include <elf.h>
#include <string.h>

#define PAGE_MASK UINT64_C(0xfff)

static const char *check_header(const Elf64_Ehdr *header, size_t length)
{
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return "it is not an ELF file";
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64)
        return "it is a program for another processor than x86-64";
    if (header->e_type != ET_EXEC)
        return "it is no executable linked to fixed addresses";
    if (header->e_phentsize != sizeof(Elf64_Phdr))
        return "its program headers have an unknown size";
    if (header->e_phoff > length ||
        (length - header->e_phoff) / sizeof(Elf64_Phdr) < header->e_phnum)
        return "it is cut off: its program headers lie behind its end";
    return NULL;
}

static const char *check_segment(const Elf64_Phdr *header, size_t length, uint64_t lowest, uint64_t highest)
{
    if (header->p_offset > length || header->p_filesz > length - header->p_offset)
        return "it is cut off: a segment lies behind its end";
    if (header->p_filesz > header->p_memsz)
        return "a segment is larger in the file than in memory";
    if (header->p_vaddr < lowest || header->p_vaddr > highest || header->p_memsz > highest - header->p_vaddr)
        return "a segment lies outside of the addresses for programs";
    return NULL;
}

static bool share_a_page(const struct elf_segment *a, const struct elf_segment *b)
{
    uint64_t a_first = a->address & ~PAGE_MASK, a_last = (a->address + a->memory_bytes - 1) | PAGE_MASK;
    uint64_t b_first = b->address & ~PAGE_MASK, b_last = (b->address + b->memory_bytes - 1) | PAGE_MASK;

    return a_first <= b_last && b_first <= a_last;
}

static const char *add_segment(struct elf_image *image, const Elf64_Phdr *header)
{
    struct elf_segment segment = {
        .address = header->p_vaddr,
        .memory_bytes = header->p_memsz,
        .offset = header->p_offset,
        .file_bytes = header->p_filesz,
        .writable = header->p_flags & PF_W,
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
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    bool entry_found = false;
    const char *problem;

    *image = (struct elf_image) { 0 };
    if (length < sizeof header)
        return "it is too short for an ELF file";
    memcpy(&header, file, sizeof header);
    if ((problem = check_header(&header, length)))
        return problem;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        memcpy(&segment, (const uint8_t *)file + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_LOAD || segment.p_memsz == 0)
            continue;
        if ((problem = check_segment(&segment, length, lowest, highest)) || (problem = add_segment(image, &segment)))
            return problem;
        entry_found |= (segment.p_flags & PF_X) && header.e_entry >= segment.p_vaddr &&
                       header.e_entry - segment.p_vaddr < segment.p_memsz;
    }
    if (image->count == 0)
        return "there is nothing to load in it";
    if (!entry_found)
        return "its entry point is not in its code";
    image->entry = header.e_entry;
    return NULL;
}
