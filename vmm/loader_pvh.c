/* Boot information of the PVH protocol: struct hvm_start_info, to which ebx points. (Xen, docs/misc/pvh) */
#include "vmm/acpi_tables.h"
#include "vmm/loader_parts.h"

#include <string.h>
#include <xen/arch-x86/hvm/start_info.h>

/* All that is at LOADER_INFORMATION. */
struct pvh_information {
    struct hvm_start_info start;
    struct hvm_modlist_entry initrd;
    struct hvm_memmap_table_entry memory[MEMORY_RANGES_MAX];
};

_Static_assert(sizeof(struct pvh_information) <= LOADER_CMDLINE - LOADER_INFORMATION, "one page");
_Static_assert((int)MEMORY_RAM == XEN_HVM_MEMMAP_TYPE_RAM && (int)MEMORY_RESERVED == XEN_HVM_MEMMAP_TYPE_RESERVED,
               "the protocol's numbers");

const char *loader_prepare_pvh(struct loading *loading, struct boot_state *state)
{
    struct pvh_information information = {
        .start = {
            .magic = XEN_HVM_START_MAGIC_VALUE,
            .version = 1,
            .cmdline_paddr = LOADER_CMDLINE,
            .rsdp_paddr = ACPI_RSDP_ADDRESS,
            .memmap_paddr = LOADER_INFORMATION + offsetof(struct pvh_information, memory),
        },
    };
    struct memory_range range[MEMORY_RANGES_MAX];
    unsigned count = loader_memory_map(loading->memory, range);

    if (loading->initrd) {
        information.start.nr_modules = 1;
        information.start.modlist_paddr = LOADER_INFORMATION + offsetof(struct pvh_information, initrd);
        information.initrd.paddr = loading->initrd;
        information.initrd.size = loading->request->initrd_bytes;
    }
    information.start.memmap_entries = count;
    for (unsigned i = 0; i < count; i++)
        information.memory[i] = (struct hvm_memmap_table_entry) {
            .addr = range[i].start, .size = range[i].length, .type = range[i].type,
        };
    guest_memory_write(loading->memory, LOADER_INFORMATION, &information, sizeof information);
    state->entry = loading->kernel.pvh_entry;
    state->information = LOADER_INFORMATION;
    return NULL;
}
