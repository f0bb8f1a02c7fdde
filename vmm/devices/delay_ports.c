/* Ports that software writes to for the time that it takes, or to show where it is: 80h, where a PC has the diagnostic
 * display and a spare page register of its DMA controller, and EDh, which some use in its place. They keep what was
 * written, and count as somebody's, so that the statistics of unclaimed accesses show real surprises.
 */
#include "vmm/device.h"

#include <stdlib.h>

static const uint16_t ports[] = { 0x80, 0xed };

#define PORT_COUNT (sizeof ports / sizeof ports[0])

struct delay_ports {
    uint8_t value[PORT_COUNT];
};

static enum bus_result access_port(void *device, struct bus_access *access)
{
    struct delay_ports *delay = device;
    unsigned which = access->address == ports[0] ? 0 : 1;

    if (access->size != 1)
        return BUS_PASS;
    if (access->write)
        delay->value[which] = (uint8_t)access->value;
    else
        access->value = delay->value[which];
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    bus_unregister(&machine->bus, device);
    free(device);
}

static bool create(struct machine *machine, void **device)
{
    struct delay_ports *delay = calloc(1, sizeof *delay);

    if (!delay)
        return false;
    for (unsigned i = 0; i < PORT_COUNT; i++) {
        struct bus_range range = {
            .space = BUS_PORT, .start = ports[i], .length = 1, .priority = 0,
            .handler = access_port, .device = delay, .name = "delay-ports",
        };
        if (!bus_register(&machine->bus, &range)) {
            destroy(machine, delay);
            return false;
        }
    }
    *device = delay;
    return true;
}

DEVICE(delay_ports_device, .name = "delay-ports", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
