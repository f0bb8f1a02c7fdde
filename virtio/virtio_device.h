/* A virtio device whatever bus it is on: features, status, configuration space, queues. A transport (virtio/mmio)
 * drives it on behalf of the guest's driver; a kind of device (virtio/blk, virtio/rng) handles its chains.
 *
 * Citations: VIRTIO 1.2. Pure: no system calls.
 */
#pragma once

#include "virtio/virtqueue.h"

#define VIRTIO_QUEUES_MAX   2u
#define VIRTIO_CONFIG_BYTES 64u

/* Why the device interrupts: the bits of the transports' interrupt status (4.2.2). */
#define VIRTIO_INTERRUPT_QUEUE  1u
#define VIRTIO_INTERRUPT_CONFIG 2u

struct virtio_device;

struct virtio_device_operations {
    /* Does what CHAIN of QUEUE asks for; *WRITTEN is the number of bytes written into its writable part, 0 before. False:
     * the chain makes no sense to the device, which is then broken. */
    bool (*handle)(struct virtio_device *device, unsigned queue, const struct virtqueue_chain *chain,
                   uint32_t *written);
    void (*reset)(struct virtio_device *device); /* NULL: it has nothing to forget */
};

struct virtio_device {
    const struct virtio_device_operations *operations;
    void *context; /* of the operations */
    uint32_t id;   /* the kind of device (5) */
    unsigned queue_count;
    struct virtqueue queue[VIRTIO_QUEUES_MAX];
    uint64_t features_offered, features; /* the latter: accepted, once the status has FEATURES_OK */
    uint8_t status;
    uint8_t config[VIRTIO_CONFIG_BYTES];
    unsigned config_bytes;
    uint32_t config_generation;
    uint32_t interrupt_causes; /* not acknowledged */
    void (*interrupt)(void *context); /* a cause was added; may be called when there are others already */
    void *interrupt_context;
    struct virtqueue_chain chain; /* the one being handled */
};

/* A device of kind ID; FEATURES beside those that queues and transports have. No queue yet. */
void virtio_device_init(struct virtio_device *device, const struct virtio_device_operations *operations, void *context,
                        uint32_t id, uint64_t features);

/* Another queue of at most SIZE_MAX descriptors, whose buffers lie in MEMORY. */
void virtio_device_add_queue(struct virtio_device *device, const struct guest_memory *memory, uint16_t size_max);

/* The configuration space has these bytes from now on, at most VIRTIO_CONFIG_BYTES. */
void virtio_device_set_config(struct virtio_device *device, const void *bytes, unsigned length);

/* As after power-on. Nothing that the driver made available before is touched any more (2.4). */
void virtio_device_reset(struct virtio_device *device);

/* The driver writes the status; what it may not set does not get set (2.1, 3.1.1). 0 resets. */
void virtio_device_write_status(struct virtio_device *device, uint8_t status);

/* The driver starts a queue that it has described. It stays as it is where that cannot be. */
void virtio_device_start_queue(struct virtio_device *device, unsigned queue);

/* Works on the chains of a queue, no more than it has descriptors. True: there may be more. */
bool virtio_device_run_queue(struct virtio_device *device, unsigned queue);

/* The driver broke the rules: nothing is done any more until it resets the device (2.1.1, NEEDS_RESET). */
void virtio_device_break(struct virtio_device *device);
