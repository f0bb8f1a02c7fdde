/* Where an ELF kernel has code, and where its symbols say that functions begin. Everything in the file is untrusted. */
#include "vmm/pv/patch.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define STARTS_MAX   (UINT64_C(1) << 20)
#define SEGMENTS_MAX 64u

struct image {
    const uint8_t *bytes;
    uint64_t length;
    Elf64_Ehdr header;
    uint64_t *starts;
    size_t start_count;
    uint64_t budget; /* bytes that may still be read: sections that overlap do not make work without end */
};

static bool is_inside(const struct image *image, uint64_t offset, uint64_t length)
{
    return offset <= image->length && length <= image->length - offset;
}

static Elf64_Phdr segment_at(const struct image *image, unsigned index)
{
    Elf64_Phdr segment;

    memcpy(&segment, image->bytes + image->header.e_phoff + index * sizeof segment, sizeof segment);
    return segment;
}

static Elf64_Shdr section_at(const struct image *image, unsigned index)
{
    Elf64_Shdr section;

    memcpy(&section, image->bytes + image->header.e_shoff + index * sizeof section, sizeof section);
    return section;
}

static bool is_code_segment(const struct image *image, const Elf64_Phdr *segment)
{
    return segment->p_type == PT_LOAD && (segment->p_flags & PF_X) && segment->p_filesz > 0 &&
           is_inside(image, segment->p_offset, segment->p_filesz);
}

static const char *check(struct image *image)
{
    Elf64_Ehdr *header = &image->header;

    if (image->length < sizeof *header || memcmp(image->bytes, ELFMAG, SELFMAG) != 0)
        return "its kernel is no ELF file, in which code could be told from data";
    memcpy(header, image->bytes, sizeof *header);
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64)
        return "its kernel is no 64-bit ELF file for x86-64";
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > SEGMENTS_MAX ||
        !is_inside(image, header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr)))
        return "its kernel's program headers are damaged";
    /* Sections are not needed to run, and many an image has none. */
    if (header->e_shentsize != sizeof(Elf64_Shdr) || !is_inside(image, header->e_shoff,
                                                                header->e_shnum * sizeof(Elf64_Shdr)))
        header->e_shnum = 0;
    return NULL;
}

static void add_start(struct image *image, uint64_t address)
{
    if (image->start_count < STARTS_MAX)
        image->starts[image->start_count++] = address;
}

static bool is_symbol_table(const struct image *image, const Elf64_Shdr *section)
{
    return section->sh_type == SHT_SYMTAB && section->sh_entsize == sizeof(Elf64_Sym) &&
           is_inside(image, section->sh_offset, section->sh_size);
}

static void add_symbols(struct image *image, const Elf64_Shdr *section)
{
    for (uint64_t at = 0; section->sh_size - at >= sizeof(Elf64_Sym); at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;

        memcpy(&symbol, image->bytes + section->sh_offset + at, sizeof symbol);
        if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF)
            add_start(image, symbol.st_value);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static bool find_starts(struct image *image)
{
    uint64_t room = 1;

    for (unsigned i = 0; i < image->header.e_shnum; i++) {
        Elf64_Shdr section = section_at(image, i);
        if (is_symbol_table(image, &section))
            room += section.sh_size / sizeof(Elf64_Sym);
    }
    image->starts = malloc((room < STARTS_MAX ? room : STARTS_MAX) * sizeof *image->starts);
    if (!image->starts)
        return false;
    add_start(image, image->header.e_entry);
    for (unsigned i = 0; i < image->header.e_shnum; i++) {
        Elf64_Shdr section = section_at(image, i);
        if (is_symbol_table(image, &section))
            add_symbols(image, &section);
    }
    qsort(image->starts, image->start_count, sizeof *image->starts, compare);
    return true;
}

/* LENGTH bytes of the segment, OFFSET bytes into it. */
static void scan(struct image *image, const Elf64_Phdr *segment, uint64_t offset, uint64_t length,
                 const struct guest_memory *memory, const struct patch_policy *policy, struct patch_report *report)
{
    struct patch_code code = {
        .length = length,
        .address = segment->p_vaddr + offset,
        .starts = image->starts,
        .start_count = image->start_count,
    };

    if (length > image->budget || segment->p_paddr > UINT64_MAX - offset ||
        !(code.bytes = guest_memory_at(memory, segment->p_paddr + offset, length)))
        return;
    image->budget -= length;
    /* The first start that is not before the code. */
    size_t low = 0, high = image->start_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (image->starts[middle] < code.address)
            low = middle + 1;
        else
            high = middle;
    }
    code.starts += low;
    code.start_count -= low;
    patch_scan(&code, policy, report);
}

/* Its executable sections, which leave out constants that the linker has put beside the code. False: there are none. */
static bool scan_sections(struct image *image, const Elf64_Phdr *segment, const struct guest_memory *memory,
                          const struct patch_policy *policy, struct patch_report *report)
{
    bool found = false;

    for (unsigned i = 0; i < image->header.e_shnum; i++) {
        Elf64_Shdr section = section_at(image, i);

        if (section.sh_type != SHT_PROGBITS || !(section.sh_flags & SHF_EXECINSTR) || section.sh_size == 0 ||
            section.sh_addr < segment->p_vaddr || section.sh_addr - segment->p_vaddr >= segment->p_filesz ||
            section.sh_size > segment->p_filesz - (section.sh_addr - segment->p_vaddr))
            continue;
        found = true;
        scan(image, segment, section.sh_addr - segment->p_vaddr, section.sh_size, memory, policy, report);
    }
    return found;
}

const char *patch_elf(const uint8_t *bytes, uint64_t length, const struct guest_memory *memory,
                      const struct patch_policy *policy, struct patch_report *report)
{
    struct image image = { .bytes = bytes, .length = length };
    const char *problem = check(&image);
    uint64_t code = 0;

    if (problem)
        return problem;
    for (unsigned i = 0; i < image.header.e_phnum; i++) {
        Elf64_Phdr segment = segment_at(&image, i);

        if (!is_code_segment(&image, &segment))
            continue;
        if (!guest_memory_at(memory, segment.p_paddr, segment.p_filesz))
            return "a segment of its kernel lies outside of its memory";
        code += segment.p_filesz;
    }
    if (code == 0)
        return "its kernel has no executable segment";
    if (!find_starts(&image))
        return "there is no memory for the symbols of its kernel";
    image.budget = code;
    for (unsigned i = 0; i < image.header.e_phnum; i++) {
        Elf64_Phdr segment = segment_at(&image, i);

        if (is_code_segment(&image, &segment) && !scan_sections(&image, &segment, memory, policy, report))
            scan(&image, &segment, 0, segment.p_filesz, memory, policy, report);
    }
    free(image.starts);
    return NULL;
}
