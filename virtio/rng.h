/* virtio-entropy (VIRTIO 1.2, 5.4): fills the driver's buffers with random bytes. Pure. */
#pragma once

#include "virtio/virtio_device.h"

struct virtio_rng {
    struct virtio_device device;
    /* Up to LENGTH random bytes; how many. 0: the source has failed, and the request ends with what there is. */
    uint32_t (*fill)(void *context, void *bytes, uint32_t length);
    void *context;
};

void virtio_rng_init(struct virtio_rng *rng, uint32_t (*fill)(void *, void *, uint32_t), void *context,
                     const struct guest_memory *memory);
