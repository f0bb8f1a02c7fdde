/* Small guest kernels made by hand for the loader's tests. Every image is a heap block of exactly its size, so that the
 * address sanitizer sees a read beyond; the same holds for the guest memory. */
#pragma once

#include "vmm/loader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <asm/bootparam.h>
#include <cmocka.h>
#include <elf.h>

#define MIB       UINT64_C(0x100000)
#define GIB       UINT64_C(0x40000000)
#define HIGH_BASE UINT64_C(0x2000000000)

struct image {
    uint8_t *bytes;
    uint64_t length;
};

static inline struct guest_memory memory_of(uint64_t low, uint64_t high)
{
    struct guest_memory memory = { .count = high ? 2 : 1, .region = { { 0, low, calloc(1, low) } } };

    if (high)
        memory.region[1] = (struct guest_region) { HIGH_BASE, high, calloc(1, high) };
    return memory;
}

static inline void memory_free(struct guest_memory *memory)
{
    for (unsigned i = 0; i < memory->count; i++)
        free(memory->region[i].host);
}

static inline struct image image_of(uint64_t length)
{
    struct image image = { malloc(length), length };

    for (uint64_t i = 0; i < length; i++)
        image.bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + 1);
    return image;
}

static inline void image_cut(struct image *image, uint64_t length)
{
    image->bytes = realloc(image->bytes, length);
    image->length = length;
}

static inline Elf64_Ehdr *elf_header(struct image *image)
{
    return (Elf64_Ehdr *)image->bytes;
}

static inline Elf64_Phdr *elf_segment(struct image *image, unsigned index)
{
    return (Elf64_Phdr *)(image->bytes + sizeof(Elf64_Ehdr)) + index;
}

/* An ELF kernel of 0x3000 bytes: text at 1 MiB, data with 0x1800 bytes of bss at 0x102000, and, if PVH_ENTRY is not 0,
 * notes: an unrelated one, then the one with the PVH entry. */
static inline struct image elf_kernel(uint64_t pvh_entry)
{
    struct image image = image_of(0x3000);
    struct {
        Elf64_Nhdr head;
        char name[8], text[8];
        Elf64_Nhdr pvh;
        char xen[4];
        uint64_t entry;
    } __attribute__((packed)) notes = { { 6, 5, 1 }, "Other", "12345", { 4, 8, 18 }, "Xen", pvh_entry };

    *elf_header(&image) = (Elf64_Ehdr) {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = 0x100040,
        .e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3,
    };
    *elf_segment(&image, 0) = (Elf64_Phdr) {
        .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0x1000,
        .p_vaddr = 0xffffffff80100000, .p_paddr = 0x100000, .p_filesz = 0x1000, .p_memsz = 0x1000, .p_align = 0x1000,
    };
    *elf_segment(&image, 1) = (Elf64_Phdr) {
        .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x2000,
        .p_vaddr = 0xffffffff80102000, .p_paddr = 0x102000, .p_filesz = 0x800, .p_memsz = 0x2000, .p_align = 0x1000,
    };
    *elf_segment(&image, 2) = (Elf64_Phdr) {
        .p_type = pvh_entry ? PT_NOTE : PT_NULL, .p_offset = 0x2f00, .p_filesz = sizeof notes, .p_memsz = sizeof notes,
        .p_align = 4,
    };
    memcpy(image.bytes + 0x2f00, &notes, sizeof notes);
    return image;
}

static inline struct setup_header *bzimage_header(struct image *image)
{
    return (struct setup_header *)(image->bytes + offsetof(struct boot_params, hdr));
}

/* A bzImage with two setup sectors beside the boot sector and 0x800 bytes of code, as Linux's build makes one. */
static inline struct image bzimage_kernel(void)
{
    struct image image = image_of(3 * 512 + 0x800);

    *bzimage_header(&image) = (struct setup_header) {
        .setup_sects = 2, .syssize = 0x80, .boot_flag = 0xaa55, .jump = 0x6aeb, .version = 0x20f,
        .loadflags = LOADED_HIGH, .initrd_addr_max = 0x7fffffff, .kernel_alignment = 0x200000, .relocatable_kernel = 1,
        .min_alignment = 21, .xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G, .cmdline_size = 2047,
        .pref_address = 0x400000, .init_size = 0x300000,
    };
    memcpy(&bzimage_header(&image)->header, "HdrS", 4);
    return image;
}

static inline struct boot_request request_of(const struct image *kernel)
{
    return (struct boot_request) {
        .kernel = kernel->bytes, .kernel_bytes = kernel->length, .cmdline = "console=ttyS0",
    };
}
