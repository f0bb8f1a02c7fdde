/* The back end that is in memory: a copy of an image, which init has made for this server. What a guest writes is gone
 * when its VM ends. */
#pragma once

#include "ipc/startup.h"
#include "virtio/blk.h"

struct ram_disk {
    uint8_t *bytes;
};

struct virtio_blk_disk ram_disk_open(struct ram_disk *disk, const struct startup *startup);
