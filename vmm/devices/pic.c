/* The two interrupt controllers of a PC (Intel 8259A), for a guest that looks whether they are there: they take their
 * initialization, keep their masks, and deliver nothing, since no line of this machine leads to them. (An interrupt
 * through them would be taken for an exception by a guest that has not moved their vectors.)
 *
 * Cited: Intel 8259A data sheet (231468).
 */
#include "vmm/device.h"

#include <stdlib.h>

#define MASTER_BASE 0x20u
#define SLAVE_BASE  0xa0u
#define ELCR_BASE   0x4d0u
#define PICS        2u

#define ICW1        0x10u /* in a write to the first port */
#define ICW1_ICW4   0x01u /* ICW4 will come */
#define ICW1_SINGLE 0x02u /* ICW3 will not */

/* Lines that are edge-triggered whatever the ELCR says: 0, 1, 2, and 8 and 13. */
static const uint8_t elcr_writable[PICS] = { 0xf8, 0xde };

struct pics {
    uint8_t mask[PICS];
    uint8_t edge_level[PICS];
    uint8_t words_to_come[PICS]; /* of the initialization that is under way */
};

static enum bus_result access_pic(struct pics *pics, unsigned pic, struct bus_access *access)
{
    if (access->size != 1)
        return BUS_PASS;
    if (access->offset == 0) {
        if (!access->write) {
            access->value = 0; /* IRR, ISR or poll word: no request, none in service */
        } else if (access->value & ICW1) {
            pics->mask[pic] = 0;
            pics->words_to_come[pic] = 1 + (access->value & ICW1_SINGLE ? 0 : 1) + (access->value & ICW1_ICW4 ? 1 : 0);
        }
    } else if (!access->write) {
        access->value = pics->mask[pic];
    } else if (pics->words_to_come[pic] > 0) {
        pics->words_to_come[pic]--;
    } else {
        pics->mask[pic] = (uint8_t)access->value;
    }
    return BUS_DONE;
}

static enum bus_result access_master(void *device, struct bus_access *access)
{
    return access_pic(device, 0, access);
}

static enum bus_result access_slave(void *device, struct bus_access *access)
{
    return access_pic(device, 1, access);
}

static enum bus_result access_elcr(void *device, struct bus_access *access)
{
    struct pics *pics = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->write)
        pics->edge_level[access->offset] = (uint8_t)access->value & elcr_writable[access->offset];
    else
        access->value = pics->edge_level[access->offset];
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    bus_unregister(&machine->bus, device);
    free(device);
}

static bool create(struct machine *machine, void **device)
{
    const struct bus_range ranges[] = {
        { .start = MASTER_BASE, .handler = access_master },
        { .start = SLAVE_BASE, .handler = access_slave },
        { .start = ELCR_BASE, .handler = access_elcr },
    };
    struct pics *pics = calloc(1, sizeof *pics);

    if (!pics)
        return false;
    pics->mask[0] = pics->mask[1] = 0xff;
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct bus_range range = ranges[i];

        range.space = BUS_PORT;
        range.length = 2;
        range.priority = 128;
        range.device = pics;
        range.name = "pic";
        if (!bus_register(&machine->bus, &range)) {
            destroy(machine, pics);
            return false;
        }
    }
    *device = pics;
    return true;
}

DEVICE(pic_device, .name = "pic", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
