#include "virtio/virtio_device.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define BIT(number) (UINT64_C(1) << (number))

#define COMMON_FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

/* What a driver may set. */
#define DRIVER_STATUS_BITS (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
                            VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

void virtio_device_init(struct virtio_device *device, const struct virtio_device_operations *operations, void *context,
                        uint32_t id, uint64_t features)
{
    *device = (struct virtio_device) {
        .operations = operations, .context = context, .id = id, .features_offered = features | COMMON_FEATURES,
    };
}

void virtio_device_add_queue(struct virtio_device *device, const struct guest_memory *memory, uint16_t size_max)
{
    virtqueue_init(&device->queue[device->queue_count++], memory, size_max);
}

static void interrupt(struct virtio_device *device, uint32_t cause)
{
    device->interrupt_causes |= cause;
    if (device->interrupt)
        device->interrupt(device->interrupt_context);
}

void virtio_device_set_config(struct virtio_device *device, const void *bytes, unsigned length)
{
    memcpy(device->config, bytes, length);
    device->config_bytes = length;
    device->config_generation++;
    if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
        interrupt(device, VIRTIO_INTERRUPT_CONFIG);
}

void virtio_device_reset(struct virtio_device *device)
{
    for (unsigned i = 0; i < device->queue_count; i++)
        virtqueue_reset(&device->queue[i]);
    device->features = 0;
    device->status = 0;
    device->interrupt_causes = 0;
    if (device->operations->reset)
        device->operations->reset(device);
}

void virtio_device_write_status(struct virtio_device *device, uint8_t status)
{
    if (status == 0) {
        virtio_device_reset(device);
        return;
    }
    /* Bits go only by a reset (2.1.1). */
    uint8_t added = status & DRIVER_STATUS_BITS & (uint8_t)~device->status;
    bool features_fit = (device->features & ~device->features_offered) == 0 &&
                        (device->features & BIT(VIRTIO_F_VERSION_1)) != 0;

    if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !features_fit)
        added &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
    device->status |= added & (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
    if ((added & VIRTIO_CONFIG_S_DRIVER_OK) && (device->status & VIRTIO_CONFIG_S_FEATURES_OK))
        device->status |= VIRTIO_CONFIG_S_DRIVER_OK;
}

void virtio_device_start_queue(struct virtio_device *device, unsigned queue)
{
    if (queue >= device->queue_count || device->queue[queue].ready ||
        !(device->status & VIRTIO_CONFIG_S_FEATURES_OK) || (device->status & VIRTIO_CONFIG_S_NEEDS_RESET))
        return;
    virtqueue_start(&device->queue[queue], device->features & BIT(VIRTIO_RING_F_INDIRECT_DESC),
                    device->features & BIT(VIRTIO_RING_F_EVENT_IDX));
}

void virtio_device_break(struct virtio_device *device)
{
    device->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    if (device->status & VIRTIO_CONFIG_S_DRIVER_OK)
        interrupt(device, VIRTIO_INTERRUPT_CONFIG);
}

static bool works(const struct virtio_device *device)
{
    return (device->status & VIRTIO_CONFIG_S_DRIVER_OK) && !(device->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* One chain. False: the driver broke the rules. */
static bool handle_chain(struct virtio_device *device, unsigned index)
{
    uint32_t written = 0;

    if (!device->operations->handle(device, index, &device->chain, &written))
        return false;
    virtqueue_give_back(&device->queue[index], device->chain.head, written);
    return true;
}

bool virtio_device_run_queue(struct virtio_device *device, unsigned index)
{
    struct virtqueue *queue = &device->queue[index < device->queue_count ? index : 0];
    enum virtqueue_result result = VIRTQUEUE_CHAIN;
    bool more = true;

    if (index >= device->queue_count || !works(device) || !queue->ready)
        return false;
    virtqueue_refuse_notifications(queue);
    for (unsigned i = 0; i < queue->size && result == VIRTQUEUE_CHAIN; i++) {
        result = virtqueue_take(queue, &device->chain);
        if (result == VIRTQUEUE_CHAIN && !handle_chain(device, index))
            result = VIRTQUEUE_BROKEN;
    }
    if (result == VIRTQUEUE_BROKEN) {
        virtio_device_break(device);
        return false;
    }
    if (result == VIRTQUEUE_EMPTY)
        more = virtqueue_ask_for_notifications(queue);
    if (virtqueue_wants_interrupt(queue))
        interrupt(device, VIRTIO_INTERRUPT_QUEUE);
    return more;
}
