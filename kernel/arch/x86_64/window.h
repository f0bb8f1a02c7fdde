/* The kernel's part of every address space: RAM, the kernel image, a few device pages. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sel4/config.h>
#include <arch/x86_64/layout.h>
#include <arch/x86_64/regions.h>

/* The last GiB of the window is kept for device pages, so RAM reaches up to here. */
#define WINDOW_RAM_END (KERNEL_WINDOW_SIZE - 0x40000000ul)

#define DEVICE_BASE       (KERNEL_WINDOW + WINDOW_RAM_END)
#define DEVICE_LOCAL_APIC DEVICE_BASE
#define DEVICE_IOAPIC     (DEVICE_BASE + 0x1000)

/* The entry of PML4 slot KERNEL_WINDOW_SLOT that every address space carries. */
uint64_t window_pml4_entry(void);

/* Physical address of an address space that holds nothing but the window, for CPUs without a thread. */
uint64_t window_root(void);

/* Replaces the boot page tables: RAM no-execute, the kernel image by section, guard pages below the stacks unmapped,
 * low memory and everything else unmapped. Takes page tables for RAM above 4 GiB out of FREE (there has to be some
 * below 4 GiB). Answers false, having said why, where that does not suffice. */
bool window_init(const struct regions *ram, struct regions *free);

/* Maps the physical page ADDRESS uncached at INDEX pages behind DEVICE_BASE. */
void window_map_device(unsigned index, uint64_t address);
