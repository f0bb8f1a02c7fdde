#include "tests/unit/fake_driver.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TABLE_AT     0x1000u
#define AVAILABLE_AT 0x8000u
#define USED_AT      0xa000u

void driver_init(struct virtio_driver *driver)
{
    *driver = (struct virtio_driver) { .bytes = aligned_alloc(4096, DRIVER_MEMORY_BYTES) };
    memset(driver->bytes, 0, DRIVER_MEMORY_BYTES);
    driver->memory = (struct guest_memory) {
        .count = 1, .region = { { DRIVER_MEMORY_START, DRIVER_MEMORY_BYTES, driver->bytes } },
    };
}

void driver_release(struct virtio_driver *driver)
{
    free(driver->bytes);
}

void driver_write(struct virtio_driver *driver, unsigned offset, uint32_t value)
{
    unsigned queue;

    assert_false(virtio_mmio_write(&driver->mmio, offset, 4, value, &queue));
}

uint32_t driver_read(struct virtio_driver *driver, unsigned offset)
{
    return (uint32_t)virtio_mmio_read(&driver->mmio, offset, 4);
}

static void interrupted(void *context)
{
    struct virtio_driver *driver = context;

    driver->interrupts++;
}

static uint64_t offered(struct virtio_driver *driver)
{
    driver_write(driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    uint64_t features = (uint64_t)driver_read(driver, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
    driver_write(driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    return features | driver_read(driver, VIRTIO_MMIO_DEVICE_FEATURES);
}

static void set_place(struct virtio_driver *driver, unsigned offset, uint32_t at)
{
    driver_write(driver, offset, DRIVER_MEMORY_START + at);
    driver_write(driver, offset + 4, 0);
}

void driver_probe(struct virtio_driver *driver, struct virtio_device *device, uint64_t features, uint16_t size)
{
    const uint32_t begun = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

    virtio_mmio_init(&driver->mmio, device);
    device->interrupt = interrupted;
    device->interrupt_context = driver;
    memset(driver->bytes, 0, USED_AT + 0x2000);
    memset(driver->length, 0, sizeof driver->length);
    driver->size = driver->free_count = size;
    driver->available_next = driver->used_next = driver->kicked = 0;
    for (uint16_t i = 0; i < size; i++)
        driver->free[i] = (uint16_t)(size - 1 - i);

    assert_int_equal(driver_read(driver, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(driver_read(driver, VIRTIO_MMIO_VERSION), 2);
    driver_write(driver, VIRTIO_MMIO_STATUS, 0);
    driver_write(driver, VIRTIO_MMIO_STATUS, begun);
    driver->features = offered(driver) & (features | UINT64_C(1) << VIRTIO_F_VERSION_1);
    driver->event_index = driver->features & UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX;
    for (unsigned half = 0; half < 2; half++) {
        driver_write(driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
        driver_write(driver, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(driver->features >> 32 * half));
    }
    driver_write(driver, VIRTIO_MMIO_STATUS, begun | VIRTIO_CONFIG_S_FEATURES_OK);
    assert_int_equal(driver_read(driver, VIRTIO_MMIO_STATUS), begun | VIRTIO_CONFIG_S_FEATURES_OK);

    driver_write(driver, VIRTIO_MMIO_QUEUE_SEL, 0);
    assert_int_equal(driver_read(driver, VIRTIO_MMIO_QUEUE_READY), 0);
    assert_true(driver_read(driver, VIRTIO_MMIO_QUEUE_NUM_MAX) >= size);
    driver_write(driver, VIRTIO_MMIO_QUEUE_NUM, size);
    set_place(driver, VIRTIO_MMIO_QUEUE_DESC_LOW, TABLE_AT);
    set_place(driver, VIRTIO_MMIO_QUEUE_AVAIL_LOW, AVAILABLE_AT);
    set_place(driver, VIRTIO_MMIO_QUEUE_USED_LOW, USED_AT);
    driver_write(driver, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_int_equal(driver_read(driver, VIRTIO_MMIO_QUEUE_READY), 1);
    driver_write(driver, VIRTIO_MMIO_STATUS, begun | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

struct vring_desc *driver_descriptor(struct virtio_driver *driver, unsigned index)
{
    return (struct vring_desc *)(void *)(driver->bytes + TABLE_AT) + index;
}

uint16_t *driver_available(struct virtio_driver *driver)
{
    return (uint16_t *)(void *)(driver->bytes + AVAILABLE_AT);
}

uint16_t *driver_used(struct virtio_driver *driver)
{
    return (uint16_t *)(void *)(driver->bytes + USED_AT);
}

static struct vring_desc described(const struct driver_buffer *buffer)
{
    return (struct vring_desc) {
        .addr = DRIVER_MEMORY_START + buffer->offset,
        .len = buffer->length,
        .flags = buffer->writable ? VRING_DESC_F_WRITE : 0,
    };
}

static uint16_t take_descriptor(struct virtio_driver *driver)
{
    return driver->free[--driver->free_count];
}

static uint16_t add_indirect(struct virtio_driver *driver, const struct driver_buffer *buffer, unsigned count,
                             uint32_t table)
{
    uint16_t head = take_descriptor(driver);

    for (unsigned i = 0; i < count; i++) {
        struct vring_desc descriptor = described(&buffer[i]);

        if (i + 1 < count) {
            descriptor.flags |= VRING_DESC_F_NEXT;
            descriptor.next = (uint16_t)(i + 1);
        }
        memcpy(driver->bytes + table + i * sizeof descriptor, &descriptor, sizeof descriptor);
    }
    *driver_descriptor(driver, head) = (struct vring_desc) {
        .addr = DRIVER_MEMORY_START + table, .len = count * 16, .flags = VRING_DESC_F_INDIRECT,
    };
    driver->length[head] = 1;
    return head;
}

static uint16_t add_direct(struct virtio_driver *driver, const struct driver_buffer *buffer, unsigned count)
{
    uint16_t head = take_descriptor(driver), place = head;

    for (unsigned i = 0; i < count; i++) {
        *driver_descriptor(driver, place) = described(&buffer[i]);
        if (i + 1 < count) {
            uint16_t next = take_descriptor(driver);
            driver_descriptor(driver, place)->flags |= VRING_DESC_F_NEXT;
            driver_descriptor(driver, place)->next = next;
            place = next;
        }
    }
    driver->length[head] = (uint16_t)count;
    return head;
}

int driver_add(struct virtio_driver *driver, const struct driver_buffer *buffer, unsigned count, uint32_t table)
{
    if (driver->free_count < (table ? 1 : count))
        return -1;
    uint16_t head = table ? add_indirect(driver, buffer, count, table) : add_direct(driver, buffer, count);
    uint16_t *available = driver_available(driver);

    available[2 + driver->available_next % driver->size] = head;
    available[1] = ++driver->available_next;
    return head;
}

/* The device's wish, as the driver has to read it (2.7.10.1). */
static bool wants_kick(struct virtio_driver *driver)
{
    const uint16_t *used = driver_used(driver);
    uint16_t before = driver->kicked, now = driver->available_next;

    driver->kicked = now;
    if (!driver->event_index)
        return !(used[0] & VRING_USED_F_NO_NOTIFY) && now != before;
    uint16_t event = used[2 + driver->size * 4];
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

bool driver_kick(struct virtio_driver *driver)
{
    unsigned queue;

    if (!wants_kick(driver))
        return false;
    if (virtio_mmio_write(&driver->mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 4, 0, &queue)) {
        assert_int_equal(queue, 0);
        while (virtio_device_run_queue(driver->mmio.device, queue))
            ;
    }
    return true;
}

int driver_collect(struct virtio_driver *driver, uint32_t *written)
{
    const uint16_t *used = driver_used(driver);
    struct vring_used_elem element;

    if (used[1] == driver->used_next)
        return -1;
    memcpy(&element, used + 2 + driver->used_next++ % driver->size * 4, sizeof element);
    assert_true(element.id < driver->size);
    assert_int_not_equal(driver->length[element.id], 0);

    uint16_t place = (uint16_t)element.id;
    for (unsigned i = 0; i < driver->length[element.id]; i++) {
        driver->free[driver->free_count++] = place;
        place = driver_descriptor(driver, place)->next;
    }
    driver->length[element.id] = 0;
    *written = element.len;
    return (int)element.id;
}

uint64_t driver_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
