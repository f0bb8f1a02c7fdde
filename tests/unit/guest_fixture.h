/* A guest in long mode for tests of what the monitor carries out for it: 64 KiB of RAM, four-level page tables, code,
 * and a page of a device that behaves like memory and remembers its accesses. */
#pragma once

#include "tests/unit/fake_vcpu.h"
#include "vmm/bus.h"
#include "vmm/emulate.h"
#include "vmm/guest_memory.h"

#define GUEST_RAM_BYTES UINT64_C(0x10000)
#define GUEST_TABLES    UINT64_C(0x1000) /* PML4, PDPT, PD, PT for the first 2 MiB */
#define GUEST_CODE      UINT64_C(0x6000)
#define GUEST_DATA      UINT64_C(0x8000)
#define DEVICE_PHYSICAL UINT64_C(0xfee00000)
#define DEVICE_BYTES    4096u

/* The first 64 KiB appear at 0 and here, the device's page, without a neighbour, there. */
#define KERNEL_BASE   UINT64_C(0xffffffff80000000)
#define DEVICE_LINEAR UINT64_C(0xffffffff80100000)

#define ACCESSES_MAX 256u

struct guest_fixture {
    struct fake_vcpu cpu;
    struct guest_memory memory;
    struct bus bus;
    struct emulator emulator;
    uint8_t *ram;
    uint8_t device[DEVICE_BYTES];
    struct bus_access access[ACCESSES_MAX]; /* of the device, in their order */
    unsigned accesses;
    uint64_t *page_table; /* of the first 64 KiB */
};

struct guest_fixture *guest_create(void);
void guest_destroy(struct guest_fixture *guest);

/* Puts code at GUEST_CODE and the instruction pointer there, in the upper half. */
void guest_set_code(struct guest_fixture *guest, const void *code, unsigned length);
