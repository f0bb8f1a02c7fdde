/* What the boot loader said, copied out of its structures. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sel4/bootinfo.h>
#include <arch/x86_64/regions.h>

/* Root system description pointer of ACPI 2; for ACPI 1 the tail is zero. */
struct acpi_rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} __attribute__((packed));

/* Body of the SEL4_BOOTINFO_HEADER_X86_VBE record. */
struct vbe_info {
    uint8_t control[512];
    uint8_t mode_info[256];
    uint32_t mode, interface_segment, interface_offset, interface_length;
} __attribute__((packed));

struct loader_info {
    unsigned multiboot; /* version of the protocol: 1 or 2 */
    struct region module; /* the root task's ELF file */
    char module_name[64];
    unsigned module_count;
    struct regions ram; /* usable ranges from 1 MiB up, whole pages */
    unsigned map_count;
    seL4_X86_mb_mmap_t map[SEL4_MULTIBOOT_MAX_MMAP_ENTRIES];
    bool has_rsdp, has_framebuffer, has_vbe;
    struct acpi_rsdp rsdp;
    seL4_X86_BootInfo_fb_t framebuffer;
    struct vbe_info vbe;
};

/* Reads the loader's structures at physical address INFORMATION, which must lie in the first 4 GiB. Answers false,
 * having said why, where the system cannot boot with them. */
bool loader_info_read(struct loader_info *info, uint32_t magic, uint32_t information);
