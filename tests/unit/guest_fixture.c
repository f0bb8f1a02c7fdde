#include "tests/unit/guest_fixture.h"

#include <stdlib.h>
#include <string.h>

#define PRESENT  1u
#define WRITABLE 2u
#define USER     4u

static enum bus_result access_device(void *device, struct bus_access *access)
{
    struct guest_fixture *guest = device;

    if (access->write)
        memcpy(guest->device + access->offset, &access->value, access->size);
    else
        memcpy(&access->value, guest->device + access->offset, access->size);
    if (guest->accesses < ACCESSES_MAX)
        guest->access[guest->accesses++] = *access;
    return BUS_DONE;
}

static void map_pages(struct guest_fixture *guest)
{
    uint64_t *pml4 = (uint64_t *)(guest->ram + GUEST_TABLES), *pdpt = pml4 + 512, *pd = pdpt + 512, *pt = pd + 512;

    pml4[0] = pml4[511] = (GUEST_TABLES + 0x1000) | PRESENT | WRITABLE | USER;
    pdpt[0] = pdpt[510] = (GUEST_TABLES + 0x2000) | PRESENT | WRITABLE | USER;
    pd[0] = (GUEST_TABLES + 0x3000) | PRESENT | WRITABLE | USER;
    for (uint64_t page = 0; page < GUEST_RAM_BYTES / 4096; page++)
        pt[page] = page << 12 | PRESENT | WRITABLE;
    pt[(DEVICE_LINEAR - KERNEL_BASE) >> 12] = DEVICE_PHYSICAL | PRESENT | WRITABLE;
    guest->page_table = pt;
}

struct guest_fixture *guest_create(void)
{
    struct guest_fixture *guest = calloc(1, sizeof *guest);
    const struct bus_range range = {
        .space = BUS_MMIO, .start = DEVICE_PHYSICAL, .length = DEVICE_BYTES, .priority = 128,
        .handler = access_device, .device = guest, .name = "memory",
    };

    if (!guest || !(guest->ram = calloc(1, GUEST_RAM_BYTES)))
        abort();
    guest->memory = (struct guest_memory) { .count = 1, .region = { { 0, GUEST_RAM_BYTES, guest->ram } } };
    bus_init(&guest->bus);
    if (!bus_register(&guest->bus, &range))
        abort();
    map_pages(guest);
    fake_vcpu_long_mode(&guest->cpu, GUEST_TABLES);
    emulator_init(&guest->emulator, &guest->memory, &guest->bus);
    return guest;
}

void guest_destroy(struct guest_fixture *guest)
{
    free(guest->ram);
    free(guest);
}

void guest_set_code(struct guest_fixture *guest, const void *code, unsigned length)
{
    memcpy(guest->ram + GUEST_CODE, code, length);
    guest->cpu.vcpu.value[VCPU_RIP] = KERNEL_BASE + GUEST_CODE;
}
