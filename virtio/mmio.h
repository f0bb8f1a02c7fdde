/* virtio-mmio, version 2 (VIRTIO 1.2, 4.2.2): the register block through which a driver finds and drives a device.
 *
 * The block is as large as a page, though registers fill only its first part; what is not a register reads as 0 and
 * ignores writes, and so does an access of a size or alignment that is not allowed (4.2.2.2). Pure: no system calls.
 */
#pragma once

#include "virtio/virtio_device.h"

#define VIRTIO_MMIO_BYTES 0x1000u

struct virtio_mmio {
    struct virtio_device *device;
    uint32_t device_features_select, driver_features_select, queue_select;
};

void virtio_mmio_init(struct virtio_mmio *mmio, struct virtio_device *device);

/* SIZE is 1, 2, 4 or 8. */
uint64_t virtio_mmio_read(struct virtio_mmio *mmio, uint64_t offset, unsigned size);

/* True: the driver has notified the device of QUEUE, which is one of its queues; virtio_device_run_queue is to be
 * called. */
bool virtio_mmio_write(struct virtio_mmio *mmio, uint64_t offset, unsigned size, uint64_t value, unsigned *queue);
