#include "vmmserver/virtio.h"

#include "ipc/slots.h"
#include "ipc/virtio.h"

#define QUEUE_NOTIFY 0x50u /* VIRTIO 1.2, 4.2.2 */

_Static_assert(VM_VIRTIO_MAX <= VIRTIO_SLOTS, "each device has a place");

void virtio_links_init(struct virtio_links *links, const struct vm_config *config)
{
    *links = (struct virtio_links) { .count = 0 };
    while (links->count < VM_DISKS_MAX && config->disk[links->count][0] != '\0')
        links->count++;
}

const char *virtio_links_share(void *context, seL4_CPtr frame)
{
    const struct virtio_links *links = context;

    for (unsigned i = 0; i < links->count; i++)
        if (virtio_share(SLOT_VM_VIRTIO_CALL + i, frame) != VIRTIO_OK)
            return "the server of a virtio device does not take it";
    return NULL;
}

/* A notification is a signal: the guest goes on, and is interrupted when the server has something for it. For
 * everything else it waits. A server that does not answer well is a device that is not there. */
static enum bus_result access_registers(void *device, struct bus_access *access)
{
    const struct virtio_link *link = device;
    seL4_CPtr server = SLOT_VM_VIRTIO_CALL + link->number;

    if (access->write && access->offset == QUEUE_NOTIFY && access->size == 4) {
        seL4_Signal(SLOT_VM_VIRTIO_NOTIFY + link->number);
        return BUS_DONE;
    }
    if (access->write)
        return virtio_write(server, access->offset, access->size, access->value) == VIRTIO_OK ? BUS_DONE : BUS_PASS;
    uint64_t value;
    if (virtio_read(server, access->offset, access->size, &value) != VIRTIO_OK)
        return BUS_PASS;
    access->value = value;
    return BUS_DONE;
}

static void interrupted(struct task *task)
{
    const struct virtio_link *link = task->context;

    machine_set_irq(link->machine, GSI_VIRTIO + link->number, true);
    machine_set_irq(link->machine, GSI_VIRTIO + link->number, false);
}

const char *virtio_links_connect(struct virtio_links *links, struct runtime *runtime)
{
    struct machine *machine = &runtime->monitor->machine;

    for (unsigned i = 0; i < links->count; i++) {
        struct virtio_link *link = &links->link[i];
        struct bus_range range = {
            .space = BUS_MMIO, .start = VIRTIO_BASE + (uint64_t)i * VIRTIO_SLOT_BYTES, .length = VIRTIO_SLOT_BYTES,
            .priority = 128, .handler = access_registers, .device = link, .name = "virtio-mmio",
        };

        link->number = i;
        link->machine = machine;
        task_init(&link->interrupt_task, runtime, "virtio interrupt", interrupted, link);
        task_wait_notification(&link->interrupt_task, (uint64_t)NOTIFY_VIRTIO_INTERRUPT << i);
        if (!bus_register(&machine->bus, &range))
            return "its bus has no room for its virtio devices";
    }
    return NULL;
}

uint8_t virtio_links_present(const struct virtio_links *links)
{
    return (uint8_t)((1u << links->count) - 1);
}
