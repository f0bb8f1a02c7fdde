/* PCI configuration space by mechanism #1 with nothing behind it (PCI Local Bus 3.0, 3.2.2.3.2): the address register
 * is there, every function answers as an absent one does.
 */
#include "vmm/device.h"

#include <stdlib.h>

#define PORT_ADDRESS 0xcf8u
#define PORT_DATA    0xcfcu
#define ADDRESS_BITS 0x80fffffcu

struct pci {
    uint32_t address;
};

/* Only a whole double word is the register; what is smaller belongs to whoever has those ports (the reset register). */
static enum bus_result access_address(void *device, struct bus_access *access)
{
    struct pci *pci = device;

    if (access->size != 4)
        return BUS_PASS;
    if (access->write)
        pci->address = (uint32_t)access->value & ADDRESS_BITS;
    else
        access->value = pci->address;
    return BUS_DONE;
}

/* A transaction that no device claims: reads give all ones, which the bus has set already; writes vanish. */
static enum bus_result access_data(void *device, struct bus_access *access)
{
    (void)device;
    (void)access;
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    bus_unregister(&machine->bus, device);
    free(device);
}

static bool create(struct machine *machine, void **device)
{
    struct pci *pci = calloc(1, sizeof *pci);

    if (!pci)
        return false;
    struct bus_range address = {
        .space = BUS_PORT, .start = PORT_ADDRESS, .length = 4, .priority = 128,
        .handler = access_address, .device = pci, .name = "pci",
    };
    struct bus_range data = {
        .space = BUS_PORT, .start = PORT_DATA, .length = 4, .priority = 128,
        .handler = access_data, .device = pci, .name = "pci",
    };
    if (!bus_register(&machine->bus, &address) || !bus_register(&machine->bus, &data)) {
        destroy(machine, pci);
        return false;
    }
    *device = pci;
    return true;
}

DEVICE(pci_device, .name = "pci", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
