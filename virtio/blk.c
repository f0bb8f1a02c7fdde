#include "virtio/blk.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#define BIT(number) (UINT64_C(1) << (number))

#define QUEUE_SIZE   128u
#define SEGMENTS_MAX (QUEUE_SIZE - 2) /* besides header and status */

/* 5.2.4, as far as features that we offer make it mean something. */
struct __attribute__((packed)) config {
    uint64_t capacity;
    uint32_t size_max; /* without VIRTIO_BLK_F_SIZE_MAX: not used */
    uint32_t segments_max;
};

/* The requests of one queue are what is private to their handling. */
struct request {
    struct virtio_blk *blk;
    struct virtqueue_cursor readable, writable; /* behind the header; the status is the last byte of the latter */
    struct virtio_blk_outhdr header;
    uint32_t written;
};

/* Whether LENGTH bytes from the header's sector on are whole sectors of the disk. */
static bool fits(const struct request *request, uint32_t length)
{
    uint64_t sectors = request->blk->disk.sectors, count = length / VIRTIO_BLK_SECTOR;

    return length % VIRTIO_BLK_SECTOR == 0 && request->header.sector <= sectors &&
           count <= sectors - request->header.sector;
}

static uint8_t read_sectors(struct request *request)
{
    const struct virtio_blk_disk *disk = &request->blk->disk;
    uint32_t left = request->writable.bytes_left - 1, part;
    uint64_t offset = request->header.sector * VIRTIO_BLK_SECTOR;
    uint8_t *bytes;

    if (!fits(request, left))
        return VIRTIO_BLK_S_IOERR;
    for (; left > 0; left -= part, offset += part) {
        part = virtqueue_next(&request->writable, left, &bytes);
        if (!disk->read(disk->context, offset, bytes, part))
            return VIRTIO_BLK_S_IOERR;
        request->written += part;
    }
    return VIRTIO_BLK_S_OK;
}

static uint8_t write_sectors(struct request *request)
{
    const struct virtio_blk_disk *disk = &request->blk->disk;
    uint64_t offset = request->header.sector * VIRTIO_BLK_SECTOR;
    uint32_t part;
    uint8_t *bytes;

    if (!disk->write || !fits(request, request->readable.bytes_left))
        return VIRTIO_BLK_S_IOERR;
    for (; (part = virtqueue_next(&request->readable, UINT32_MAX, &bytes)) > 0; offset += part)
        if (!disk->write(disk->context, offset, bytes, part))
            return VIRTIO_BLK_S_IOERR;
    return VIRTIO_BLK_S_OK;
}

static uint8_t flush(const struct request *request)
{
    const struct virtio_blk_disk *disk = &request->blk->disk;

    return disk->flush(disk->context) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static uint8_t give_name(struct request *request)
{
    uint32_t room = request->writable.bytes_left - 1;

    if (room < VIRTIO_BLK_NAME_BYTES)
        return VIRTIO_BLK_S_IOERR;
    request->written += virtqueue_copy_to(&request->writable, request->blk->disk.name, VIRTIO_BLK_NAME_BYTES);
    return VIRTIO_BLK_S_OK;
}

static uint8_t perform(struct request *request)
{
    switch (request->header.type) {
    case VIRTIO_BLK_T_IN:
        return read_sectors(request);
    case VIRTIO_BLK_T_OUT:
        return write_sectors(request);
    case VIRTIO_BLK_T_FLUSH:
        return flush(request);
    case VIRTIO_BLK_T_GET_ID:
        return give_name(request);
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

/* The status is the last writable byte, however the driver has cut the rest (2.7.4.1). */
static void write_status(struct request *request, uint8_t status)
{
    uint32_t skipped;
    uint8_t *bytes;

    while (request->writable.bytes_left > 1 &&
           (skipped = virtqueue_next(&request->writable, request->writable.bytes_left - 1, &bytes)) > 0)
        ;
    virtqueue_copy_to(&request->writable, &status, sizeof status);
}

static bool handle(struct virtio_device *device, unsigned queue, const struct virtqueue_chain *chain,
                   uint32_t *written)
{
    struct request request = {
        .blk = device->context,
        .readable = virtqueue_readable(chain),
        .writable = virtqueue_writable(chain),
    };

    (void)queue;
    if (virtqueue_copy_from(&request.readable, &request.header, sizeof request.header) != sizeof request.header ||
        request.writable.bytes_left == 0)
        return false;
    uint8_t status = perform(&request);
    /* What is reported as written is without gap from the beginning (2.7.8.2): the status counts when nothing before it
     * is missing. */
    *written = request.writable.bytes_left == 1 ? request.written + 1 : request.written;
    write_status(&request, status);
    return true;
}

static const struct virtio_device_operations operations = { .handle = handle };

void virtio_blk_init(struct virtio_blk *blk, const struct virtio_blk_disk *disk, const struct guest_memory *memory)
{
    uint64_t features = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_FLUSH) | (disk->write ? 0 : BIT(VIRTIO_BLK_F_RO));
    struct config config = { .capacity = disk->sectors, .segments_max = SEGMENTS_MAX };

    blk->disk = *disk;
    virtio_device_init(&blk->device, &operations, blk, VIRTIO_ID_BLOCK, features);
    virtio_device_add_queue(&blk->device, memory, QUEUE_SIZE);
    virtio_device_set_config(&blk->device, &config, sizeof config);
}
