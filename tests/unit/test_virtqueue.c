/* The device's side of a split virtqueue: chains of every shape, suppression of notifications and interrupts, and
 * drivers that break each rule there is. */
#include "tests/unit/fake_driver.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE       16u
#define SIZE_MAX_OFFERED 32u
#define INDIRECT   (UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT      (UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX)
#define TABLE      0x18000u /* of indirect descriptors */
#define DATA       DRIVER_DATA

/* A device that adds up what it reads and fills what it may write with a counter. */
struct sink {
    struct virtio_device device;
    unsigned handled;
    uint32_t readable, writable;
    uint64_t sum;
    bool refuses;
};

static bool handle(struct virtio_device *device, unsigned queue, const struct virtqueue_chain *chain,
                   uint32_t *written)
{
    struct virtqueue_cursor from = virtqueue_readable(chain), to = virtqueue_writable(chain);
    struct sink *sink = device->context;
    uint8_t byte, counter = 0;

    assert_int_equal(queue, 0);
    sink->handled++;
    sink->readable = chain->readable_bytes;
    sink->writable = chain->writable_bytes;
    while (virtqueue_copy_from(&from, &byte, 1) == 1)
        sink->sum += byte;
    while (virtqueue_copy_to(&to, &counter, 1) == 1)
        counter++;
    *written = chain->writable_bytes;
    return !sink->refuses;
}

static const struct virtio_device_operations operations = { .handle = handle };

struct fixture {
    struct virtio_driver driver;
    struct sink sink;
};

static void probe(struct fixture *f, uint64_t features)
{
    driver_probe(&f->driver, &f->sink.device, features, SIZE);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    driver_init(&f->driver);
    virtio_device_init(&f->sink.device, &operations, &f->sink, 4, 0);
    virtio_device_add_queue(&f->sink.device, &f->driver.memory, SIZE_MAX_OFFERED);
    probe(f, INDIRECT | EVENT);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    driver_release(&f->driver);
    free(f);
    return 0;
}

static bool broken(struct fixture *f)
{
    return driver_read(&f->driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void test_a_chain_of_both_kinds_of_buffers_is_handled_and_comes_back(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffers[] = {
        { DATA, 3, false }, { DATA + 0x100, 2, false }, { DATA + 0x200, 5, true },
    };
    uint32_t written;

    memcpy(f->driver.bytes + DATA, "\1\2\3", 3);
    memcpy(f->driver.bytes + DATA + 0x100, "\4\5", 2);
    int head = driver_add(&f->driver, buffers, 3, 0);
    assert_int_equal(driver_collect(&f->driver, &written), -1);
    assert_true(driver_kick(&f->driver));
    assert_int_equal(driver_collect(&f->driver, &written), head);
    assert_int_equal(written, 5);
    assert_int_equal(f->sink.sum, 15);
    assert_memory_equal(f->driver.bytes + DATA + 0x200, "\0\1\2\3\4", 5);
    assert_int_equal(f->driver.interrupts, 1);
}

static void test_an_indirect_table_may_be_as_long_as_the_largest_queue(void **state)
{
    struct fixture *f = *state;
    struct driver_buffer buffers[SIZE_MAX_OFFERED + 1];
    uint32_t written;

    for (unsigned i = 0; i < SIZE_MAX_OFFERED + 1; i++)
        buffers[i] = (struct driver_buffer) { DATA + i, 1, i >= 8 };
    int head = driver_add(&f->driver, buffers, SIZE_MAX_OFFERED, TABLE);
    driver_kick(&f->driver);
    assert_int_equal(driver_collect(&f->driver, &written), head);
    assert_int_equal(written, SIZE_MAX_OFFERED - 8);
    assert_false(broken(f));

    driver_add(&f->driver, buffers, SIZE_MAX_OFFERED + 1, TABLE);
    driver_kick(&f->driver);
    assert_true(broken(f));
}

static void test_buffers_without_bytes_are_allowed_anywhere(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffers[] = { { 0x7fffffff, 0, false }, { DATA, 1, false }, { 0x7fffffff, 0, true } };
    uint32_t written;

    driver_add(&f->driver, buffers, 3, 0);
    driver_kick(&f->driver);
    assert_true(driver_collect(&f->driver, &written) >= 0);
    assert_int_equal(written, 0);
    assert_int_equal(f->sink.readable, 1);
}

static void test_a_driver_that_wants_no_interrupts_gets_none(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffer = { DATA, 1, false };

    probe(f, 0);
    f->driver.interrupts = 0;
    driver_available(&f->driver)[0] = VRING_AVAIL_F_NO_INTERRUPT;
    driver_add(&f->driver, &buffer, 1, 0);
    assert_true(driver_kick(&f->driver));
    assert_int_equal(f->sink.handled, 1);
    assert_int_equal(f->driver.interrupts, 0);
    driver_available(&f->driver)[0] = 0;
    driver_add(&f->driver, &buffer, 1, 0);
    driver_kick(&f->driver);
    assert_int_equal(f->driver.interrupts, 1);
}

static void test_the_event_index_puts_the_interrupt_off_until_the_driver_wants_it(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffer = { DATA, 1, false };

    f->driver.interrupts = 0;
    driver_available(&f->driver)[2 + SIZE] = 2; /* after the third */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(f->driver.interrupts, i > 2);
        driver_add(&f->driver, &buffer, 1, 0);
        assert_true(driver_kick(&f->driver));
    }
    assert_int_equal(f->driver.interrupts, 1);
}

static void test_many_chains_cost_one_interrupt(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffer = { DATA, 1, false };

    f->driver.interrupts = 0;
    for (unsigned i = 0; i < SIZE; i++)
        assert_true(driver_add(&f->driver, &buffer, 1, 0) >= 0);
    assert_true(driver_kick(&f->driver));
    assert_int_equal(f->sink.handled, SIZE);
    assert_int_equal(f->driver.interrupts, 1);
}

/* The kicks that the device does not want are those for which it would look anyway. */
static void test_no_chain_is_forgotten_when_the_driver_kicks_as_told(void **state)
{
    static const uint64_t choices[] = { 0, EVENT, INDIRECT, EVENT | INDIRECT };
    struct fixture *f = *state;
    uint64_t random = 7;

    for (unsigned choice = 0; choice < 4; choice++) {
        unsigned added = 0, back = 0;
        uint32_t written;

        probe(f, choices[choice]);
        f->sink.handled = 0;
        for (unsigned step = 0; step < 100000; step++) { /* the 16-bit indices wrap around */
            unsigned count = 1 + driver_random(&random) % 5, readable = driver_random(&random) % (count + 1);
            struct driver_buffer buffers[5];

            for (unsigned i = 0; i < count; i++)
                buffers[i] = (struct driver_buffer) {
                    DATA + driver_random(&random) % 0x10000, driver_random(&random) % 20, i >= readable,
                };
            bool indirect = choices[choice] & INDIRECT && driver_random(&random) % 2;
            if (driver_add(&f->driver, buffers, count, indirect ? TABLE + added % SIZE * 128 : 0) >= 0)
                added++;
            if (driver_random(&random) % 3 == 0) {
                driver_kick(&f->driver);
                assert_int_equal(f->sink.handled, added);
                while (driver_collect(&f->driver, &written) >= 0)
                    back++;
                assert_int_equal(back, added);
                assert_int_equal(f->driver.free_count, SIZE);
            }
        }
        assert_false(broken(f));
    }
}

/* Each way of breaking the rules, on a queue that has just been made ready. */
static void spoil(struct fixture *f, unsigned how)
{
    const struct driver_buffer buffers[] = { { DATA, 4, false }, { DATA, 4, true } };
    int head = driver_add(&f->driver, buffers, 2, how >= 8 ? TABLE : 0);
    struct vring_desc *first = driver_descriptor(&f->driver, (unsigned)head);
    struct vring_desc *table = (struct vring_desc *)(void *)(f->driver.bytes + TABLE);

    switch (how) {
    case 0: driver_available(&f->driver)[1] = SIZE + 1; break;
    case 1: driver_available(&f->driver)[2] = SIZE; break;
    case 2: first->next = SIZE; break;
    case 3: first->next = (uint16_t)head; break;
    case 4: first->addr = DRIVER_MEMORY_START - 1; break;
    case 5: first->addr = DRIVER_MEMORY_START + DRIVER_MEMORY_BYTES - 3; break;
    case 6: first->addr = UINT64_MAX - 1; break;
    case 7: first->flags |= VRING_DESC_F_WRITE; driver_descriptor(&f->driver, first->next)->flags = 0; break;
    case 8: first->len = 0; break;
    case 9: first->len = 24; break;
    case 10: first->flags |= VRING_DESC_F_NEXT; break;
    case 11: first->addr = DRIVER_MEMORY_START + DRIVER_MEMORY_BYTES - 16; break;
    case 12: table[0].next = 2; break;
    case 13: table[0].next = 0; break;
    case 14: table[1].flags = VRING_DESC_F_INDIRECT; break;
    case 15: first->len = UINT32_MAX - 15; break;
    default: fail();
    }
}
#define WAYS 16u

static void test_every_broken_rule_breaks_the_device_until_it_is_reset(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffer = { DATA, 1, false };
    uint32_t written;

    for (unsigned how = 0; how < WAYS; how++) {
        probe(f, INDIRECT | EVENT);
        f->sink.handled = 0;
        spoil(f, how);
        driver_kick(&f->driver);
        if (!broken(f))
            fail_msg("way %u went unnoticed", how);
        assert_int_equal(f->sink.handled, 0);
        assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_INTERRUPT_CONFIG);
        assert_false(virtio_device_run_queue(&f->sink.device, 0));
        assert_int_equal(driver_collect(&f->driver, &written), -1);

        probe(f, INDIRECT | EVENT);
        driver_add(&f->driver, &buffer, 1, 0);
        assert_true(driver_kick(&f->driver));
        assert_int_equal(f->sink.handled, 1);
    }
}

static void test_an_indirect_descriptor_without_the_feature_breaks_the_device(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffer = { DATA, 1, false };

    probe(f, 0);
    driver_add(&f->driver, &buffer, 1, TABLE);
    driver_kick(&f->driver);
    assert_true(broken(f));
}

static void test_chains_longer_than_32_bits_of_bytes_are_refused(void **state)
{
    /* Memory of 4 GiB as far as addresses go; nothing touches the buffers. */
    const struct guest_memory memory = { .count = 1, .region = { { 0, UINT64_C(1) << 32, NULL } } };
    struct virtqueue queue = { .memory = &memory, .size = 2, .size_max = 2 };
    _Alignas(16) struct vring_desc table[2] = {
        { .addr = 0, .len = UINT32_MAX, .flags = VRING_DESC_F_NEXT, .next = 1 }, { .addr = 0, .len = 1 },
    };
    _Alignas(2) uint16_t available[6] = { 0, 1, 0 };
    struct virtqueue_chain *chain = malloc(sizeof *chain);

    (void)state;
    /* The place NULL is taken for "no memory": begin behind it. */
    struct guest_memory moved = memory;
    moved.region[0].host = (uint8_t *)0x1000;
    queue.memory = &moved;
    queue.descriptors = (const uint8_t *)table;
    queue.available = (const uint8_t *)available;
    queue.ready = true;
    assert_int_equal(virtqueue_take(&queue, chain), VIRTQUEUE_BROKEN);
    table[1].len = 0;
    assert_int_equal(virtqueue_take(&queue, chain), VIRTQUEUE_CHAIN);
    assert_int_equal(chain->readable_bytes, UINT32_MAX);
    free(chain);
}

static void test_a_device_that_refuses_a_chain_is_broken(void **state)
{
    struct fixture *f = *state;
    const struct driver_buffer buffer = { DATA, 1, false };
    uint32_t written;

    f->sink.refuses = true;
    driver_add(&f->driver, &buffer, 1, 0);
    driver_kick(&f->driver);
    assert_true(broken(f));
    assert_int_equal(driver_collect(&f->driver, &written), -1);
}

static void test_a_queue_starts_only_where_all_of_it_is_memory(void **state)
{
    static const struct {
        uint16_t size;
        uint64_t descriptors, available, used;
        bool starts;
    } cases[] = {
        { 8, DRIVER_MEMORY_START, DRIVER_MEMORY_START, DRIVER_MEMORY_START, true },
        { 0, DRIVER_MEMORY_START, DRIVER_MEMORY_START, DRIVER_MEMORY_START, false },
        { 12, DRIVER_MEMORY_START, DRIVER_MEMORY_START, DRIVER_MEMORY_START, false },
        { 64, DRIVER_MEMORY_START, DRIVER_MEMORY_START, DRIVER_MEMORY_START, false },
        { 8, DRIVER_MEMORY_START + 8, DRIVER_MEMORY_START, DRIVER_MEMORY_START, false },
        { 8, DRIVER_MEMORY_START, DRIVER_MEMORY_START + 1, DRIVER_MEMORY_START, false },
        { 8, DRIVER_MEMORY_START, DRIVER_MEMORY_START, DRIVER_MEMORY_START + 2, false },
        { 8, DRIVER_MEMORY_START + DRIVER_MEMORY_BYTES - 112, DRIVER_MEMORY_START, DRIVER_MEMORY_START, false },
        { 8, DRIVER_MEMORY_START, DRIVER_MEMORY_START + DRIVER_MEMORY_BYTES - 20, DRIVER_MEMORY_START, false },
        { 8, DRIVER_MEMORY_START, DRIVER_MEMORY_START, DRIVER_MEMORY_START + DRIVER_MEMORY_BYTES - 68, false },
        { 8, DRIVER_MEMORY_START + DRIVER_MEMORY_BYTES - 128, DRIVER_MEMORY_START + DRIVER_MEMORY_BYTES - 22,
          DRIVER_MEMORY_START + DRIVER_MEMORY_BYTES - 72, true },
        { 8, UINT64_MAX - 15, UINT64_MAX - 1, UINT64_MAX - 3, false },
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct virtqueue queue;

        virtqueue_init(&queue, &f->driver.memory, SIZE_MAX_OFFERED);
        queue.size = cases[i].size;
        queue.descriptor_table = cases[i].descriptors;
        queue.available_ring = cases[i].available;
        queue.used_ring = cases[i].used;
        if (virtqueue_start(&queue, true, true) != cases[i].starts)
            fail_msg("case %u", i);
        assert_int_equal(queue.ready, cases[i].starts);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_chain_of_both_kinds_of_buffers_is_handled_and_comes_back),
        TEST(test_an_indirect_table_may_be_as_long_as_the_largest_queue),
        TEST(test_buffers_without_bytes_are_allowed_anywhere),
        TEST(test_a_driver_that_wants_no_interrupts_gets_none),
        TEST(test_the_event_index_puts_the_interrupt_off_until_the_driver_wants_it),
        TEST(test_many_chains_cost_one_interrupt),
        TEST(test_no_chain_is_forgotten_when_the_driver_kicks_as_told),
        TEST(test_every_broken_rule_breaks_the_device_until_it_is_reset),
        TEST(test_an_indirect_descriptor_without_the_feature_breaks_the_device),
        TEST(test_chains_longer_than_32_bits_of_bytes_are_refused),
        TEST(test_a_device_that_refuses_a_chain_is_broken),
        TEST(test_a_queue_starts_only_where_all_of_it_is_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
