/* Puts a guest's kernel, initrd and boot information into its memory. Pure. Everything in the files is untrusted. */
#pragma once

#include "vmm/guest_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum boot_protocol { BOOT_PVH, BOOT_LINUX64 };
enum boot_choice { BOOT_CHOICE_AUTO, BOOT_CHOICE_PVH, BOOT_CHOICE_LINUX64 }; /* as enum vm_boot */

struct boot_request {
    const uint8_t *kernel, *initrd;
    uint64_t kernel_bytes, initrd_bytes; /* initrd: 0: none */
    const char *cmdline;
    enum boot_choice choice;
};

/* How the virtual CPU has to start. PVH: 32-bit protected mode, paging off, ebx = start info. LINUX64: long mode with
 * identity page tables at page_tables, rsi = boot parameters. */
struct boot_state {
    enum boot_protocol protocol;
    uint64_t entry;
    uint64_t information; /* guest physical: struct hvm_start_info, or struct boot_params */
    uint64_t page_tables; /* LINUX64: value for cr3 */
    uint64_t stack;       /* LINUX64: value for rsp; the protocol has none, and Nanos calls before it sets one up */
    bool only_32_bit;     /* LINUX64: the entry is that of PVH as well, so that it is none for long mode */
    uint64_t gdt, gdt_limit; /* LINUX64: a table with 64-bit code at 0x10 and data at 0x18 */
};

/* NULL, with *STATE filled and everything in MEMORY; or why the image is refused, in words for the user (static text or
 * text in MESSAGE). */
const char *loader_load(const struct guest_memory *memory, const struct boot_request *request, struct boot_state *state,
                        char message[160]);
