/* virtio-blk (VIRTIO 1.2, 5.2): a disk of 512-byte sectors. Reads, writes, flushes, its name; nothing is discarded.
 * Pure: where the sectors are is the business of a back end. */
#pragma once

#include "virtio/virtio_device.h"

#define VIRTIO_BLK_SECTOR     512u
#define VIRTIO_BLK_NAME_BYTES 20u

/* OFFSET and LENGTH are bytes and within the disk; a request may come in pieces that are not whole sectors. The memory
 * is the guest's and may change meanwhile. False: the disk failed, and so does the guest's request. */
struct virtio_blk_disk {
    bool (*read)(void *context, uint64_t offset, void *bytes, uint32_t length);
    bool (*write)(void *context, uint64_t offset, const void *bytes, uint32_t length); /* NULL: a read-only disk */
    bool (*flush)(void *context); /* what was written is safe when it returns */
    void *context;
    uint64_t sectors;
    char name[VIRTIO_BLK_NAME_BYTES]; /* ended by a 0 where it is shorter (5.2.6.1) */
};

struct virtio_blk {
    struct virtio_device device;
    struct virtio_blk_disk disk;
};

/* A disk whose requests lie in MEMORY. */
void virtio_blk_init(struct virtio_blk *blk, const struct virtio_blk_disk *disk, const struct guest_memory *memory);
