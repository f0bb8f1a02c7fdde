/* ELF kernels: the segments to where their physical addresses say, and the PVH entry out of their notes. */
#include "vmm/loader_parts.h"

#include <elf.h>
#include <string.h>
#include <xen/elfnote.h>

#define SEGMENTS_MAX 64u

struct elf_image {
    const uint8_t *bytes;
    uint64_t length;
    Elf64_Ehdr header;
};

bool loader_is_elf(const uint8_t *image, uint64_t bytes)
{
    return bytes >= SELFMAG && memcmp(image, ELFMAG, SELFMAG) == 0;
}

static const char *machine_name(uint16_t machine)
{
    switch (machine) {
    case EM_386: return "i386";
    case EM_ARM: return "32-bit Arm";
    case EM_AARCH64: return "64-bit Arm";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "PowerPC";
    case EM_MIPS: return "MIPS";
    case EM_S390: return "s390";
    default: return "an unknown machine";
    }
}

static const char *check_header(struct loading *loading, struct elf_image *image)
{
    const Elf64_Ehdr *header = &image->header;

    if (image->length >= EI_NIDENT && image->bytes[EI_CLASS] == ELFCLASS32)
        return loader_refuse(loading, "the kernel is a 32-bit ELF file; expected a 64-bit one for x86-64");
    if (image->length < sizeof *header)
        return loader_refuse(loading, "the kernel is truncated: %lu bytes, too few for the header of an ELF file",
                             image->length);
    memcpy(&image->header, image->bytes, sizeof *header);
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
        return loader_refuse(loading, "the kernel is not a 64-bit little-endian ELF file; expected one for x86-64");
    if (header->e_machine != EM_X86_64)
        return loader_refuse(loading, "the kernel is an ELF file for %s (number %u); expected one for x86-64",
                             machine_name(header->e_machine), header->e_machine);
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
        return loader_refuse(loading, "the kernel is an ELF file of type %u; expected an executable", header->e_type);
    if (header->e_phnum == 0 || header->e_phentsize != sizeof(Elf64_Phdr))
        return loader_refuse(loading, "the kernel is an ELF file with %u program headers of %u bytes; expected some of "
                             "%zu", header->e_phnum, header->e_phentsize, sizeof(Elf64_Phdr));
    if (header->e_phnum > SEGMENTS_MAX)
        return loader_refuse(loading, "the kernel is an ELF file with %u program headers; expected %u at most",
                             header->e_phnum, SEGMENTS_MAX);
    if (header->e_phoff > image->length || image->length - header->e_phoff < header->e_phnum * sizeof(Elf64_Phdr))
        return loader_refuse(loading, "the kernel is truncated: its program headers lie beyond its %lu bytes",
                             image->length);
    return NULL;
}

static Elf64_Phdr segment_at(const struct elf_image *image, unsigned index)
{
    Elf64_Phdr segment;

    memcpy(&segment, image->bytes + image->header.e_phoff + index * sizeof segment, sizeof segment);
    return segment;
}

static bool is_loaded(const Elf64_Phdr *segment)
{
    return segment->p_type == PT_LOAD && segment->p_memsz > 0;
}

static bool is_in_file(const struct elf_image *image, const Elf64_Phdr *segment)
{
    return segment->p_offset <= image->length && segment->p_filesz <= image->length - segment->p_offset;
}

static const char *check_segment(struct loading *loading, const struct elf_image *image, unsigned index)
{
    Elf64_Phdr segment = segment_at(image, index);
    const char *refusal;

    if (!is_in_file(image, &segment))
        return loader_refuse(loading, "the kernel is truncated: its segment %u lies beyond its %lu bytes", index,
                             image->length);
    if (segment.p_filesz > segment.p_memsz)
        return loader_refuse(loading, "the kernel is damaged: its segment %u has more bytes in the file than in memory",
                             index);
    refusal = loader_check_range(loading, segment.p_paddr, segment.p_paddr + segment.p_memsz);
    if (refusal)
        return refusal;
    for (unsigned i = 0; i < index; i++) {
        Elf64_Phdr other = segment_at(image, i);

        if (is_loaded(&other) && other.p_paddr < segment.p_paddr + segment.p_memsz
            && segment.p_paddr < other.p_paddr + other.p_memsz)
            return loader_refuse(loading, "the kernel is damaged: its segments %u and %u overlap at address %#lx", i,
                                 index, (other.p_paddr > segment.p_paddr ? other.p_paddr : segment.p_paddr));
    }
    return NULL;
}

static bool is_in_a_segment(const struct elf_image *image, uint64_t address)
{
    for (unsigned i = 0; i < image->header.e_phnum; i++) {
        Elf64_Phdr segment = segment_at(image, i);

        if (is_loaded(&segment) && address >= segment.p_paddr && address - segment.p_paddr < segment.p_memsz)
            return true;
    }
    return false;
}

/* The entry that a note "Xen" of type 18 gives, or 0. A damaged note ends the search. */
static uint64_t pvh_entry_in(const uint8_t *notes, uint64_t length, uint64_t alignment)
{
    while (length >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;

        memcpy(&note, notes, sizeof note);
        /* 32-bit sizes: no sum of theirs overflows 64 bits. */
        uint64_t description = (sizeof note + note.n_namesz + alignment - 1) & ~(alignment - 1);
        uint64_t next = (description + note.n_descsz + alignment - 1) & ~(alignment - 1);
        if (description + note.n_descsz > length)
            return 0;
        if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_namesz == sizeof "Xen"
            && memcmp(notes + sizeof note, "Xen", sizeof "Xen") == 0
            && (note.n_descsz == sizeof(uint32_t) || note.n_descsz == sizeof(uint64_t))) {
            uint64_t entry = 0;

            memcpy(&entry, notes + description, note.n_descsz);
            return entry;
        }
        if (next >= length)
            return 0;
        notes += next;
        length -= next;
    }
    return 0;
}

static const char *find_pvh_entry(struct loading *loading, const struct elf_image *image)
{
    struct loaded_kernel *kernel = &loading->kernel;

    for (unsigned i = 0; i < image->header.e_phnum && !kernel->pvh_entry; i++) {
        Elf64_Phdr segment = segment_at(image, i);

        if (segment.p_type != PT_NOTE)
            continue;
        if (!is_in_file(image, &segment))
            return loader_refuse(loading, "the kernel is truncated: its notes lie beyond its %lu bytes",
                                 image->length);
        kernel->pvh_entry = pvh_entry_in(image->bytes + segment.p_offset, segment.p_filesz,
                                         segment.p_align == 8 ? 8 : 4);
    }
    if (kernel->pvh_entry && (kernel->pvh_entry >= FOUR_GIB || !is_in_a_segment(image, kernel->pvh_entry)))
        return loader_refuse(loading, "the kernel's PVH entry %#lx lies outside of its segments, or above 4 GiB",
                             kernel->pvh_entry);
    return NULL;
}

const char *loader_load_elf(struct loading *loading)
{
    struct elf_image image = { .bytes = loading->request->kernel, .length = loading->request->kernel_bytes };
    struct loaded_kernel *kernel = &loading->kernel;
    const char *refusal = check_header(loading, &image);

    if (refusal)
        return refusal;
    *kernel = (struct loaded_kernel) {
        .start = UINT64_MAX,
        .entry = image.header.e_entry,
        .initrd_end = FOUR_GIB,
        .cmdline_max = CMDLINE_MAX,
    };
    for (unsigned i = 0; i < image.header.e_phnum; i++) {
        Elf64_Phdr segment = segment_at(&image, i);

        if (!is_loaded(&segment))
            continue;
        refusal = check_segment(loading, &image, i);
        if (refusal)
            return refusal;
        if (segment.p_paddr < kernel->start)
            kernel->start = segment.p_paddr;
        if (segment.p_paddr + segment.p_memsz > kernel->end)
            kernel->end = segment.p_paddr + segment.p_memsz;
    }
    if (kernel->end == 0)
        return loader_refuse(loading, "the kernel is an ELF file without a segment to load; expected an executable");
    refusal = find_pvh_entry(loading, &image);
    if (refusal)
        return refusal;
    if ((!kernel->pvh_entry || loading->request->choice == BOOT_CHOICE_LINUX64)
        && !is_in_a_segment(&image, kernel->entry))
        return loader_refuse(loading, "the kernel's entry %#lx lies outside of its segments (by their physical "
                             "addresses)", kernel->entry);

    for (unsigned i = 0; i < image.header.e_phnum; i++) {
        Elf64_Phdr segment = segment_at(&image, i);

        if (!is_loaded(&segment))
            continue;
        uint8_t *to = guest_memory_at(loading->memory, segment.p_paddr, segment.p_memsz);
        memcpy(to, image.bytes + segment.p_offset, segment.p_filesz);
        memset(to + segment.p_filesz, 0, segment.p_memsz - segment.p_filesz);
    }
    return NULL;
}
