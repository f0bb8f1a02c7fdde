/* A disk and an entropy device under a driver that does anything: registers in any order, rings and descriptors that
 * hold anything, and that change while requests are handled, since the back end of the disk writes to guest memory as
 * the script says. No access leaves the guest's memory or the disk, and every call ends.
 */
#include "tests/fuzz/fuzz.h"
#include "virtio/blk.h"
#include "virtio/mmio.h"
#include "virtio/rng.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#define START   UINT64_C(0x10000)
#define BYTES   0x4000u
#define SECTORS 8u

#define TABLE     0u
#define AVAILABLE 0x1000u
#define USED      0x2000u
#define TABLES    0x3000u /* indirect ones */

struct world {
    struct script script;
    struct guest_memory memory;
    uint8_t *bytes, *disk;
    struct virtio_blk blk;
    struct virtio_rng rng;
    struct virtio_mmio mmio;
    uint64_t calls;
};

/* An address that is likely to mean something. */
static uint64_t any_address(struct script *script)
{
    uint8_t how = script_byte(script);
    uint64_t offset = script_take(script, 2);

    if (how < 200)
        return START + offset % BYTES;
    return how < 240 ? START + BYTES - offset % 64 : UINT64_MAX - offset % 64;
}

static void put(struct world *w, uint32_t offset, uint64_t value, size_t size)
{
    if (offset <= BYTES - size)
        memcpy(w->bytes + offset, &value, size);
}

static void write_descriptor(struct world *w)
{
    static const uint32_t lengths[] = { 0, 1, 15, 16, 32, 64, 512, 513, 1024, 4096, BYTES, UINT32_MAX };
    struct script *script = &w->script;
    uint8_t where = script_byte(script);
    uint32_t offset = (where & 0x80 ? TABLES : TABLE) + (where & 0xf) * 16u;

    put(w, offset, any_address(script), 8);
    put(w, offset + 8, lengths[script_byte(script) % (sizeof lengths / sizeof lengths[0])], 4);
    put(w, offset + 12, script_byte(script) & 7, 2);
    put(w, offset + 14, script_byte(script) & 0x1f, 2);
}

/* What a guest may do at any moment. */
static void change_memory(struct world *w)
{
    struct script *script = &w->script;
    uint8_t what = script_byte(script);
    uint16_t next = w->blk.device.queue[0].available_next;

    switch (what % 5) {
    case 0:
        write_descriptor(w);
        break;
    case 1: /* the index goes on by a few, or jumps */
        put(w, AVAILABLE + 2, what & 0x80 ? script_take(script, 2) : (uint64_t)next + (what >> 5), 2);
        break;
    case 2:
        put(w, AVAILABLE + 4 + (what >> 3) % 16u * 2, script_byte(script) & 0x1f, 2);
        break;
    case 3: /* a request's header where a descriptor may point */
        put(w, (uint32_t)(any_address(script) - START), script_byte(script) % 10, 4);
        break;
    default:
        put(w, (uint32_t)script_take(script, 2) % BYTES, script_take(script, 8), 8);
        break;
    }
}

/* A descriptor that does make sense, of the queue or of an indirect table. */
static void describe(struct world *w, uint32_t table, unsigned index, uint32_t offset, uint32_t length, unsigned flags)
{
    put(w, table + index * 16, START + offset, 8);
    put(w, table + index * 16 + 8, length, 4);
    put(w, table + index * 16 + 12, flags, 2);
    put(w, table + index * 16 + 14, index + 1, 2);
}

/* A request as a driver would make it, mostly: a header, up to three pieces of data, a place for the status. */
static void add_request(struct world *w)
{
    static const uint32_t types[] = { 0, 0, 1, 1, 4, 8, 11, 2 };
    static const uint32_t lengths[] = { 512, 512, 1024, 1024, 256, 1, 4096, 20 };
    struct script *script = &w->script;
    uint8_t shape = script_byte(script), where = script_byte(script);
    uint32_t type = types[shape & 7], table = where & 0x80 ? TABLES : TABLE, header = 0x1800;
    unsigned pieces = shape >> 3 & 3, data_flags = type == 1 ? 1 : 3, index = 0;
    uint16_t place = w->mmio.device->queue[0].available_next, size = w->mmio.device->queue[0].size;

    put(w, header, type, 8);
    put(w, header + 8, shape & 0x80 ? script_take(script, 1) % (SECTORS + 1) : 0, 8);
    describe(w, table, index++, header, 16, 1);
    while (pieces-- > 0)
        describe(w, table, index++, script_byte(script) * 32u, lengths[script_byte(script) & 7], data_flags);
    describe(w, table, index++, 0x1900, 1, 2);
    if (table == TABLES)
        describe(w, TABLE, 0, TABLES, index * 16, 4);
    if (size > 0)
        put(w, AVAILABLE + 4 + place % size * 2u, 0, 2);
    put(w, AVAILABLE + 2, place + 1u + (where & 1), 2);
}

static bool touch(struct world *w, uint64_t offset, uint32_t length)
{
    w->calls++;
    REQUIRE(offset <= SECTORS * VIRTIO_BLK_SECTOR && length <= SECTORS * VIRTIO_BLK_SECTOR - offset);
    if (w->script.left > 0)
        change_memory(w);
    return w->calls % 7 != 0;
}

static bool read_disk(void *context, uint64_t offset, void *bytes, uint32_t length)
{
    struct world *w = context;

    memcpy(bytes, w->disk + offset, length);
    return touch(w, offset, length);
}

static bool write_disk(void *context, uint64_t offset, const void *bytes, uint32_t length)
{
    struct world *w = context;

    memcpy(w->disk + offset, bytes, length);
    return touch(w, offset, length);
}

static bool flush_disk(void *context)
{
    return touch(context, 0, 0);
}

static uint32_t fill(void *context, void *bytes, uint32_t length)
{
    struct world *w = context;

    memset(bytes, 'r', length);
    touch(w, 0, 0);
    return length;
}

static void set(struct world *w, unsigned offset, uint64_t value)
{
    unsigned queue;

    virtio_mmio_write(&w->mmio, offset, 4, value, &queue);
}

/* The way of a driver that knows how, so that a script soon comes to the queue. */
static void set_up_queue(struct world *w, uint8_t how)
{
    uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
    uint64_t features = w->mmio.device->features_offered & ~((uint64_t)(how >> 4 & 3) << 28);

    set(w, VIRTIO_MMIO_STATUS, 0);
    set(w, VIRTIO_MMIO_STATUS, status);
    set(w, VIRTIO_MMIO_DRIVER_FEATURES, features);
    set(w, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(w, VIRTIO_MMIO_DRIVER_FEATURES, features >> 32);
    set(w, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_FEATURES_OK);
    set(w, VIRTIO_MMIO_QUEUE_NUM, 1u << (how & 3) << (how >> 2 & 1));
    set(w, VIRTIO_MMIO_QUEUE_DESC_LOW, START + TABLE);
    set(w, VIRTIO_MMIO_QUEUE_AVAIL_LOW, START + AVAILABLE);
    set(w, VIRTIO_MMIO_QUEUE_USED_LOW, how & 8 ? START + AVAILABLE : START + USED);
    set(w, VIRTIO_MMIO_QUEUE_READY, 1);
    set(w, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void run(struct world *w, unsigned queue)
{
    /* A guest that makes available without end makes us come back without end, but each time we do only so much. */
    for (unsigned i = 0; i < 4; i++) {
        uint64_t before = w->calls;
        bool more = virtio_device_run_queue(w->mmio.device, queue);

        REQUIRE(w->calls - before <= (uint64_t)VIRTQUEUE_SIZE_MAX * (VIRTQUEUE_SIZE_MAX + 4));
        if (!more)
            return;
    }
}

static void step(struct world *w)
{
    struct script *script = &w->script;
    uint8_t what = script_byte(script);
    unsigned queue = 0;

    switch (what % 8) {
    case 0: {
        uint64_t offset = script_byte(script), value = script_take(script, 4);
        unsigned size = what & 0x80 ? 1u << (what >> 5 & 3) : 4;

        if (virtio_mmio_write(&w->mmio, what & 0x80 ? offset : offset & 0xfc, size, value, &queue))
            run(w, queue);
        break;
    }
    case 1:
        virtio_mmio_read(&w->mmio, script_take(script, 2) & 0x1fff, 1u << (what >> 5 & 3));
        break;
    case 2:
        virtio_mmio_init(&w->mmio, what & 0x40 ? &w->rng.device : &w->blk.device);
        set_up_queue(w, script_byte(script));
        break;
    case 3:
        add_request(w);
        if (what & 0x60)
            change_memory(w);
        __attribute__((fallthrough));
    case 4:
        if (virtio_mmio_write(&w->mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 4, 0, &queue))
            run(w, queue);
        break;
    default:
        change_memory(w);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct world *w = calloc(1, sizeof *w);
    /* Of exactly this size, so that the sanitizer sees the first byte beyond. */
    uint8_t *memory = aligned_alloc(4096, BYTES), *disk = malloc(SECTORS * VIRTIO_BLK_SECTOR);

    REQUIRE(w && memory && disk);
    memset(memory, 0, BYTES);
    memset(disk, 'd', SECTORS * VIRTIO_BLK_SECTOR);
    w->script = (struct script) { bytes, length };
    w->memory = (struct guest_memory) { .count = 1, .region = { { START, BYTES, memory } } };
    w->bytes = memory;
    w->disk = disk;
    const struct virtio_blk_disk description = {
        .read = read_disk, .write = write_disk, .flush = flush_disk, .context = w, .sectors = SECTORS,
    };
    virtio_blk_init(&w->blk, &description, &w->memory);
    virtio_rng_init(&w->rng, fill, w, &w->memory);
    virtio_mmio_init(&w->mmio, &w->blk.device);
    while (w->script.left > 0)
        step(w);
    free(w);
    free(memory);
    free(disk);
    return 0;
}
