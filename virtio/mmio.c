#include "virtio/mmio.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#define MAGIC     0x74726976u /* "virt" */
#define VERSION   2u
#define VENDOR    0x344c4d42u /* "BML4" */
#define NO_LENGTH UINT32_MAX  /* of a shared memory region that does not exist (4.2.2) */

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device)
{
    *mmio = (struct virtio_mmio) { .device = device };
}

/* The selected queue, or NULL. */
static struct virtqueue *selected(const struct virtio_mmio *mmio)
{
    return mmio->queue_select < mmio->device->queue_count ? &mmio->device->queue[mmio->queue_select] : NULL;
}

/* The half of a 64-bit set that SELECT names; there is none beyond. */
static uint32_t half(uint64_t features, uint32_t select)
{
    return select < 2 ? (uint32_t)(features >> select * 32) : 0;
}

static void set_half(uint64_t *number, unsigned which, uint32_t value)
{
    unsigned shift = which * 32;

    *number = (*number & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}

static uint32_t read_register(const struct virtio_mmio *mmio, uint64_t offset)
{
    const struct virtio_device *device = mmio->device;
    const struct virtqueue *queue = selected(mmio);

    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
        return MAGIC;
    case VIRTIO_MMIO_VERSION:
        return VERSION;
    case VIRTIO_MMIO_DEVICE_ID:
        return device->id;
    case VIRTIO_MMIO_VENDOR_ID:
        return VENDOR;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return half(device->features_offered, mmio->device_features_select);
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        return queue ? queue->size_max : 0;
    case VIRTIO_MMIO_QUEUE_READY:
        return queue && queue->ready;
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return device->interrupt_causes;
    case VIRTIO_MMIO_STATUS:
        return device->status;
    case VIRTIO_MMIO_CONFIG_GENERATION:
        return device->config_generation;
    case VIRTIO_MMIO_SHM_LEN_LOW:
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
        return NO_LENGTH;
    default:
        return 0;
    }
}

static uint64_t read_config(const struct virtio_device *device, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size && offset + i < device->config_bytes; i++)
        value |= (uint64_t)device->config[offset + i] << i * 8;
    return value;
}

uint64_t virtio_mmio_read(struct virtio_mmio *mmio, uint64_t offset, unsigned size)
{
    if (offset >= VIRTIO_MMIO_BYTES || offset % size)
        return 0;
    if (offset >= VIRTIO_MMIO_CONFIG)
        return read_config(mmio->device, offset - VIRTIO_MMIO_CONFIG, size);
    return size == 4 ? read_register(mmio, offset) : 0;
}

/* The driver chooses features until it says that it is done (3.1.1). */
static void write_features(struct virtio_mmio *mmio, uint32_t value)
{
    if (mmio->driver_features_select < 2 && !(mmio->device->status & VIRTIO_CONFIG_S_FEATURES_OK))
        set_half(&mmio->device->features, mmio->driver_features_select, value);
}

/* The description of the selected queue can be written as long as that does not work (4.2.2.2). */
static void write_queue(struct virtqueue *queue, uint64_t offset, uint32_t value)
{
    if (!queue || queue->ready)
        return;
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM:
        queue->size = value <= queue->size_max ? (uint16_t)value : 0; /* 0 is not taken when it starts */
        break;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
        set_half(&queue->descriptor_table, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
        break;
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
        set_half(&queue->available_ring, offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
        break;
    default:
        set_half(&queue->used_ring, offset == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
        break;
    }
}

static void write_ready(struct virtio_mmio *mmio, uint32_t value)
{
    struct virtqueue *queue = selected(mmio);

    if (value == 1)
        virtio_device_start_queue(mmio->device, mmio->queue_select);
    else if (value == 0 && queue)
        queue->ready = false; /* nothing of it is looked at any more */
}

static void write_status(struct virtio_mmio *mmio, uint32_t value)
{
    virtio_device_write_status(mmio->device, (uint8_t)value);
    if (value == 0)
        virtio_mmio_init(mmio, mmio->device);
}

bool virtio_mmio_write(struct virtio_mmio *mmio, uint64_t offset, unsigned size, uint64_t wide, unsigned *queue)
{
    uint32_t value = (uint32_t)wide;

    if (size != 4 || offset % 4) /* no device here has configuration that a driver writes */
        return false;
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        mmio->device_features_select = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        mmio->driver_features_select = value;
        break;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        write_features(mmio, value);
        break;
    case VIRTIO_MMIO_QUEUE_SEL:
        mmio->queue_select = value;
        break;
    case VIRTIO_MMIO_QUEUE_NUM:
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
    case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
    case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
    case VIRTIO_MMIO_QUEUE_USED_LOW:
    case VIRTIO_MMIO_QUEUE_USED_HIGH:
        write_queue(selected(mmio), offset, value);
        break;
    case VIRTIO_MMIO_QUEUE_READY:
        write_ready(mmio, value);
        break;
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        *queue = value;
        return value < mmio->device->queue_count;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        mmio->device->interrupt_causes &= ~value;
        break;
    case VIRTIO_MMIO_STATUS:
        write_status(mmio, value);
        break;
    default:
        break;
    }
    return false;
}
