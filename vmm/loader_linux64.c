/* Boot information of Linux's 64-bit protocol: the boot parameters, to which rsi points, and with them the page tables
 * and the GDT that the protocol asks for. (Linux, Documentation/arch/x86/boot.rst, 64-bit boot protocol) */
#include "vmm/acpi_tables.h"
#include "vmm/loader_parts.h"

#include <stddef.h>
#include <string.h>

#define LOADER_TYPE_UNDEFINED 0xffu
#define VIDEO_MODE_NORMAL     0xffffu

#define TABLE_BYTES    4096u
#define TABLE_ENTRIES  512u
#define GIB_SHIFT      30
#define PAGE_2M_SHIFT  21
/* GiB that are always mapped, by kind of kernel. A bzImage may put itself anywhere below 4 GiB before it has tables of its
 * own; an ELF kernel stays where it is, and Nanos takes what is mapped beyond 1 GiB for its own. */
#define BZIMAGE_MAPPED 4u
#define ELF_MAPPED     1u
#define MAPPED_MAX     8u /* GiB beyond that, for a kernel above */

/* SDM 3A 4.5: present, writable, accessed; dirty and "this is a page" where one is mapped. */
#define ENTRY_TABLE   0x23u
#define ENTRY_PAGE_2M 0xe3u

/* SDM 3A 3.4.5: flat, ring 0, accessed; code is 64-bit. */
static const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };

static void write_entry(const struct guest_memory *memory, uint64_t table, uint64_t index, uint64_t entry)
{
    guest_memory_write(memory, table + index * sizeof entry, &entry, sizeof entry);
}

static void map_gib(const struct guest_memory *memory, uint64_t pdpt, uint64_t directory, uint64_t gib)
{
    write_entry(memory, pdpt, gib, directory | ENTRY_TABLE);
    for (uint64_t i = 0; i < TABLE_ENTRIES; i++)
        write_entry(memory, directory, i, gib << GIB_SHIFT | i << PAGE_2M_SHIFT | ENTRY_PAGE_2M);
}

/* Maps the first GiBs, and those where the kernel lies, to themselves. */
static const char *write_page_tables(struct loading *loading)
{
    const struct guest_memory *memory = loading->memory;
    uint64_t always = loading->kernel.setup_header ? BZIMAGE_MAPPED : ELF_MAPPED;
    uint64_t first = loading->kernel.start >> GIB_SHIFT, last = (loading->kernel.end - 1) >> GIB_SHIFT;
    uint64_t pml4 = LOADER_PAGE_TABLES, pdpt = pml4 + TABLE_BYTES, directory = pdpt + TABLE_BYTES;
    static const uint8_t empty[TABLE_BYTES];

    _Static_assert(LOADER_PAGE_TABLES + (2 + BZIMAGE_MAPPED + MAPPED_MAX) * TABLE_BYTES <= LOW_MEMORY_END, "room");
    if (first < always)
        first = always;
    if (last >= TABLE_ENTRIES || (last >= first && last - first >= MAPPED_MAX))
        return loader_refuse(loading, "the kernel lies between %#lx and %#lx; expected it below %lu GiB, or in %u GiB of "
                             "the first 512", loading->kernel.start, loading->kernel.end, always, MAPPED_MAX);
    guest_memory_write(memory, pml4, empty, TABLE_BYTES);
    guest_memory_write(memory, pdpt, empty, TABLE_BYTES);
    write_entry(memory, pml4, 0, pdpt | ENTRY_TABLE);
    for (uint64_t gib = 0; gib <= last || gib < always; gib++) {
        if (gib >= always && gib < first)
            gib = first;
        map_gib(memory, pdpt, directory, gib);
        directory += TABLE_BYTES;
    }
    return NULL;
}

static void write_boot_params(const struct loading *loading)
{
    const struct loaded_kernel *kernel = &loading->kernel;
    struct boot_params params = { 0 };
    struct setup_header *header = &params.hdr;
    struct memory_range range[MEMORY_RANGES_MAX];

    _Static_assert(sizeof params == LOADER_CMDLINE - LOADER_INFORMATION, "one page");
    if (kernel->setup_header) {
        memcpy(header, kernel->setup_header, kernel->setup_header_bytes);
    } else {
        /* An ELF kernel has no header of its own; it looks for the marks of one. */
        header->boot_flag = 0xaa55;
        memcpy(&header->header, "HdrS", 4);
        header->version = 0x020f;
        header->loadflags = LOADED_HIGH;
        header->cmdline_size = CMDLINE_MAX;
    }
    header->type_of_loader = LOADER_TYPE_UNDEFINED;
    header->vid_mode = VIDEO_MODE_NORMAL;
    header->code32_start = (uint32_t)kernel->start;
    header->setup_data = 0;
    header->cmd_line_ptr = LOADER_CMDLINE;
    header->ramdisk_image = (uint32_t)loading->initrd;
    header->ramdisk_size = (uint32_t)loading->request->initrd_bytes;
    params.ext_ramdisk_image = (uint32_t)(loading->initrd >> 32);
    params.ext_ramdisk_size = (uint32_t)(loading->request->initrd_bytes >> 32);
    params.acpi_rsdp_addr = ACPI_RSDP_ADDRESS;
    params.e820_entries = (uint8_t)loader_memory_map(loading->memory, range);
    for (unsigned i = 0; i < params.e820_entries; i++)
        params.e820_table[i] = (struct boot_e820_entry) { range[i].start, range[i].length, range[i].type };
    guest_memory_write(loading->memory, LOADER_INFORMATION, &params, sizeof params);
}

const char *loader_prepare_linux64(struct loading *loading, struct boot_state *state)
{
    const char *refusal = write_page_tables(loading);

    if (refusal)
        return refusal;
    guest_memory_write(loading->memory, LOADER_GDT, gdt, sizeof gdt);
    write_boot_params(loading);
    state->entry = loading->kernel.entry;
    state->information = LOADER_INFORMATION;
    state->page_tables = LOADER_PAGE_TABLES;
    state->stack = LOADER_STACK;
    state->only_32_bit = loading->kernel.pvh_entry == loading->kernel.entry;
    state->gdt = LOADER_GDT;
    state->gdt_limit = sizeof gdt - 1;
    return NULL;
}
