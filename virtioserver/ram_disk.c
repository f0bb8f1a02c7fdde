#include "virtioserver/ram_disk.h"

#include <string.h>

static bool read_bytes(void *context, uint64_t offset, void *bytes, uint32_t length)
{
    const struct ram_disk *disk = context;

    memcpy(bytes, disk->bytes + offset, length);
    return true;
}

static bool write_bytes(void *context, uint64_t offset, const void *bytes, uint32_t length)
{
    struct ram_disk *disk = context;

    memcpy(disk->bytes + offset, bytes, length);
    return true;
}

/* There is nowhere safer to put what was written. */
static bool flush(void *context)
{
    (void)context;
    return true;
}

struct virtio_blk_disk ram_disk_open(struct ram_disk *disk, const struct startup *startup)
{
    struct virtio_blk_disk description = {
        .read = read_bytes, .write = write_bytes, .flush = flush, .context = disk,
        .sectors = startup->virtio.disk_bytes / VIRTIO_BLK_SECTOR,
        .name = "ram-disk-0",
    };

    disk->bytes = startup->virtio.disk;
    description.name[9] = (char)('0' + startup->virtio.number % 10);
    return description;
}
