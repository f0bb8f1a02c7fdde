/* A virtio driver, as a guest would have one, for tests: it talks to a device through the registers of virtio-mmio and
 * through rings in a piece of memory that plays the guest's. It keeps account of what it made available, and fails the
 * test when the device gives back something else.
 */
#pragma once

#include "virtio/mmio.h"

#include <stdbool.h>
#include <stdint.h>

#define DRIVER_MEMORY_START 0x100000u /* guest physical */
#define DRIVER_MEMORY_BYTES 0x40000u
#define DRIVER_DATA         0x20000u /* from here on in that memory: free for buffers */

struct virtio_driver {
    struct virtio_mmio mmio;
    struct guest_memory memory;
    uint8_t *bytes; /* the memory */
    uint64_t features;
    uint16_t size;
    bool event_index;

    uint16_t free_count, free[VIRTQUEUE_SIZE_MAX]; /* descriptors */
    uint16_t length[VIRTQUEUE_SIZE_MAX];           /* descriptors of the chain that begins there; 0: none does */
    uint16_t available_next, used_next, kicked;
    unsigned interrupts; /* how often the device has raised one */
};

struct driver_buffer {
    uint32_t offset; /* in the memory */
    uint32_t length;
    bool writable;
};

/* The memory alone; the device is made with driver->memory, then given to driver_probe. */
void driver_init(struct virtio_driver *driver);
void driver_release(struct virtio_driver *driver);

void driver_write(struct virtio_driver *driver, unsigned offset, uint32_t value);
uint32_t driver_read(struct virtio_driver *driver, unsigned offset);

/* Makes the device ready with what of FEATURES it offers, and a queue of SIZE descriptors. */
void driver_probe(struct virtio_driver *driver, struct virtio_device *device, uint64_t features, uint16_t size);

/* Makes a chain available, in an indirect table at TABLE in the memory where that is not 0; its head, or -1: not enough
 * descriptors are free. */
int driver_add(struct virtio_driver *driver, const struct driver_buffer *buffer, unsigned count, uint32_t table);

/* Tells the device, if it wants to be told, and lets it work. Whether it was told. */
bool driver_kick(struct virtio_driver *driver);

/* The next chain that has come back, and in *WRITTEN what the device says it wrote; -1: none. */
int driver_collect(struct virtio_driver *driver, uint32_t *written);

/* A descriptor of the queue, and the places of the rings, to spoil them. */
struct vring_desc *driver_descriptor(struct virtio_driver *driver, unsigned index);
uint16_t *driver_available(struct virtio_driver *driver); /* flags, index, entries, used event */
uint16_t *driver_used(struct virtio_driver *driver);      /* flags, index, … */

uint64_t driver_random(uint64_t *state);
