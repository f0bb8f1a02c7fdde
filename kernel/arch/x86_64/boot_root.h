/* The root task while it is made: by root_task.c, bootinfo.c and boot_untyped.c, in the order of boot_root.c. */
#pragma once

#include <arch/x86_64/boot.h>
#include <core/cpu.h>
#include <object/cap.h>
#include <sel4/bootinfo.h>

struct root_task {
    struct cpu *cpu;
    struct boot *boot;
    struct slot *cnode;      /* its slots */
    seL4_SlotPos next_slot;  /* those from here on are empty */
    struct cap vspace;       /* its PML4 */
    seL4_BootInfo *info;
    uint64_t buffer_address, info_address, records_address; /* in its address space, behind the image */
    uint64_t records_pages;
};

/* SIZE bytes of zeroed memory, aligned to their size; the boot ends here where there is none. */
uint64_t root_task_memory(struct root_task *root, uint64_t size);

/* Puts a capability into the next empty slot. */
void root_task_provide(struct root_task *root, struct cap cap);

/* What the root task starts with, but for its untypeds: capability space, address space, thread, bootinfo. */
void root_task_create(struct root_task *root, struct cpu *cpu, struct boot *boot);

/* The records behind bootinfo. Answers how many bytes they take; BUFFER may be NULL. */
uint64_t bootinfo_write_records(const struct boot *boot, uint8_t *buffer);

/* Makes untypeds out of the free RAM, and out of all addresses that are neither RAM nor the kernel's devices. */
void untypeds_create(struct root_task *root);
