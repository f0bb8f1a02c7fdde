/* A guest's kernel before it starts: the sensitive instructions of its executable segments. */
#include "vmm/pv/pv.h"

#include <elf.h>
#include <string.h>

#define PAGE_BYTES UINT64_C(4096)

/* What has been looked through needs no second look when it is executed. */
static void set_code(struct pv *pv, uint64_t start, uint64_t length)
{
    uint64_t end = start + length;

    for (uint64_t page = start & -PAGE_BYTES; page < end; page += PAGE_BYTES)
        if (guest_memory_at(pv->memory, page, PAGE_BYTES))
            shadow_set_code(pv->shadow, page);
}

/* The loader and patch_elf have checked the file; what they let pass may still end before its program headers do. */
const char *pv_patch_kernel(struct pv *pv, const uint8_t *image, uint64_t length, struct patch_report *report)
{
    const char *problem = patch_elf(image, length, pv->memory, &pv->patch_policy, report);
    Elf64_Ehdr header;

    if (problem)
        return problem;
    if (length < sizeof header)
        return "its kernel is no ELF file";
    memcpy(&header, image, sizeof header);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        if (header.e_phoff > length || (length - header.e_phoff) / sizeof segment <= i)
            break;
        memcpy(&segment, image + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) &&
            guest_memory_at(pv->memory, segment.p_paddr, segment.p_filesz))
            set_code(pv, segment.p_paddr, segment.p_filesz);
    }
    return NULL;
}
