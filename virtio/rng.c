#include "virtio/rng.h"

#include <linux/virtio_ids.h>

#define QUEUE_SIZE 8u

/* A request gets no more than this, which the driver has to expect (5.4.6.2): one guest's appetite does not decide how
 * long the device is busy. */
#define REQUEST_MAX 4096u

/* Random bytes go to the guest through private memory, so that it cannot see or change how they come about. */
static uint32_t fill_part(struct virtio_rng *rng, struct virtqueue_cursor *cursor, uint32_t length)
{
    uint8_t bytes[64];
    uint32_t wanted = length < sizeof bytes ? length : (uint32_t)sizeof bytes;
    uint32_t got = rng->fill(rng->context, bytes, wanted);

    return virtqueue_copy_to(cursor, bytes, got < wanted ? got : wanted);
}

static bool handle(struct virtio_device *device, unsigned queue, const struct virtqueue_chain *chain,
                   uint32_t *written)
{
    struct virtqueue_cursor cursor = virtqueue_writable(chain);
    uint32_t length = cursor.bytes_left < REQUEST_MAX ? cursor.bytes_left : REQUEST_MAX, part;

    (void)queue;
    if (chain->readable > 0 || chain->writable == 0) /* 5.4.6.1 */
        return false;
    for (; *written < length; *written += part)
        if ((part = fill_part(device->context, &cursor, length - *written)) == 0)
            break;
    return true;
}

static const struct virtio_device_operations operations = { .handle = handle };

void virtio_rng_init(struct virtio_rng *rng, uint32_t (*fill)(void *, void *, uint32_t), void *context,
                     const struct guest_memory *memory)
{
    rng->fill = fill;
    rng->context = context;
    virtio_device_init(&rng->device, &operations, rng, VIRTIO_ID_RNG, 0);
    virtio_device_add_queue(&rng->device, memory, QUEUE_SIZE);
}
