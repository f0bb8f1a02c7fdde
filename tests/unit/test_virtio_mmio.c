/* The register block of virtio-mmio: what a driver reads, in which order it may do what, and that no sequence of
 * accesses does harm. */
#include "tests/unit/fake_driver.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID      25u
#define FEATURE UINT64_C(0x20)
#define SIZE    8u
#define EXPECTED_FEATURES (FEATURE | UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC | \
                           UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX)

#define ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER      VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

struct fixture {
    struct virtio_driver driver;
    struct virtio_device device;
    unsigned handled, resets;
};

static bool handle(struct virtio_device *device, unsigned queue, const struct virtqueue_chain *chain,
                   uint32_t *written)
{
    struct fixture *f = device->context;

    (void)queue;
    (void)chain;
    (void)written;
    f->handled++;
    return true;
}

static void reset(struct virtio_device *device)
{
    struct fixture *f = device->context;

    f->resets++;
}

static const struct virtio_device_operations operations = { .handle = handle, .reset = reset };

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    driver_init(&f->driver);
    virtio_device_init(&f->device, &operations, f, ID, FEATURE);
    virtio_device_add_queue(&f->device, &f->driver.memory, SIZE);
    virtio_device_add_queue(&f->device, &f->driver.memory, 2 * SIZE);
    virtio_device_set_config(&f->device, "\1\2\3\4\5\6\7\10\11", 9);
    virtio_mmio_init(&f->driver.mmio, &f->device);
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

static uint32_t status(struct fixture *f)
{
    return driver_read(&f->driver, VIRTIO_MMIO_STATUS);
}

static void test_the_device_names_itself(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_VERSION), 2);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_DEVICE_ID), ID);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_VENDOR_ID), 0x344c4d42);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
    assert_int_equal(status(f), 0);
}

static void test_features_are_read_by_halves(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)EXPECTED_FEATURES);
    driver_write(&f->driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_DEVICE_FEATURES), EXPECTED_FEATURES >> 32);
    driver_write(&f->driver, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void accept(struct fixture *f, uint64_t features)
{
    driver_write(&f->driver, VIRTIO_MMIO_STATUS, 0);
    driver_write(&f->driver, VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER);
    for (unsigned half = 0; half < 2; half++) {
        driver_write(&f->driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
        driver_write(&f->driver, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * half));
    }
    driver_write(&f->driver, VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

static void test_features_that_are_not_offered_or_lack_version_1_are_not_accepted(void **state)
{
    struct fixture *f = *state;

    accept(f, EXPECTED_FEATURES | 1);
    assert_int_equal(status(f), ACKNOWLEDGE | DRIVER);
    accept(f, FEATURE);
    assert_int_equal(status(f), ACKNOWLEDGE | DRIVER);
    driver_write(&f->driver, VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
    assert_int_equal(status(f), ACKNOWLEDGE | DRIVER);
    accept(f, UINT64_C(1) << VIRTIO_F_VERSION_1);
    assert_int_equal(status(f), ACKNOWLEDGE | DRIVER | FEATURES_OK);
    accept(f, EXPECTED_FEATURES);
    assert_int_equal(status(f), ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

static void test_features_are_fixed_once_accepted(void **state)
{
    struct fixture *f = *state;

    accept(f, EXPECTED_FEATURES);
    driver_write(&f->driver, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    driver_write(&f->driver, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
    assert_true(f->device.features == EXPECTED_FEATURES);
}

static void test_status_bits_go_only_by_a_reset(void **state)
{
    struct fixture *f = *state;

    accept(f, EXPECTED_FEATURES);
    driver_write(&f->driver, VIRTIO_MMIO_STATUS, DRIVER_OK | NEEDS_RESET | 0x30);
    assert_int_equal(status(f), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    driver_write(&f->driver, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_FAILED);
    assert_int_equal(status(f), ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK | VIRTIO_CONFIG_S_FAILED);
    unsigned resets = f->resets;
    driver_write(&f->driver, VIRTIO_MMIO_STATUS, 0);
    assert_int_equal(status(f), 0);
    assert_int_equal(f->resets, resets + 1);
}

static void test_each_queue_has_its_own_description(void **state)
{
    struct fixture *f = *state;

    for (unsigned queue = 0; queue < 3; queue++) {
        driver_write(&f->driver, VIRTIO_MMIO_QUEUE_SEL, queue);
        assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_QUEUE_NUM_MAX), queue < 2 ? SIZE << queue : 0);
        driver_write(&f->driver, VIRTIO_MMIO_QUEUE_NUM, 2 + queue);
        driver_write(&f->driver, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000 + queue);
        driver_write(&f->driver, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0x20 + queue);
        driver_write(&f->driver, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x3000 + queue);
        driver_write(&f->driver, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0x40 + queue);
        driver_write(&f->driver, VIRTIO_MMIO_QUEUE_USED_LOW, 0x5000 + queue);
        driver_write(&f->driver, VIRTIO_MMIO_QUEUE_USED_HIGH, 0x60 + queue);
    }
    for (unsigned queue = 0; queue < 2; queue++) {
        assert_int_equal(f->device.queue[queue].size, 2 + queue);
        assert_true(f->device.queue[queue].descriptor_table == UINT64_C(0x2000001000) + queue * UINT64_C(0x100000001));
        assert_true(f->device.queue[queue].available_ring == UINT64_C(0x4000003000) + queue * UINT64_C(0x100000001));
        assert_true(f->device.queue[queue].used_ring == UINT64_C(0x6000005000) + queue * UINT64_C(0x100000001));
    }
}

static void test_a_queue_that_cannot_be_stays_unready(void **state)
{
    struct fixture *f = *state;

    accept(f, EXPECTED_FEATURES);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_NUM, 0x10008); /* 8 in 16 bits */
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_DESC_LOW, DRIVER_MEMORY_START);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_AVAIL_LOW, DRIVER_MEMORY_START);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_USED_LOW, DRIVER_MEMORY_START);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_QUEUE_READY), 0);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_NUM, 8);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_QUEUE_READY), 1);

    /* Its description cannot be changed under it. */
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_NUM, 4);
    assert_true(f->device.queue[0].descriptor_table == DRIVER_MEMORY_START);
    assert_int_equal(f->device.queue[0].size, 8);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_READY, 0);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void test_no_queue_starts_before_the_features_are_agreed(void **state)
{
    struct fixture *f = *state;

    driver_write(&f->driver, VIRTIO_MMIO_STATUS, ACKNOWLEDGE | DRIVER);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_NUM, 8);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_DESC_LOW, DRIVER_MEMORY_START);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_AVAIL_LOW, DRIVER_MEMORY_START);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_USED_LOW, DRIVER_MEMORY_START);
    driver_write(&f->driver, VIRTIO_MMIO_QUEUE_READY, 1);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_QUEUE_READY), 0);
}

static void test_interrupt_causes_stay_until_acknowledged(void **state)
{
    const struct driver_buffer buffer = { DRIVER_DATA, 4, false };
    struct fixture *f = *state;

    driver_probe(&f->driver, &f->device, 0, SIZE);
    driver_add(&f->driver, &buffer, 1, 0);
    driver_kick(&f->driver);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
    uint32_t generation = driver_read(&f->driver, VIRTIO_MMIO_CONFIG_GENERATION);
    virtio_device_set_config(&f->device, "x", 1);
    assert_int_equal(f->driver.interrupts, 2);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_CONFIG_GENERATION), generation + 1);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_INTERRUPT_STATUS), 3);
    driver_write(&f->driver, VIRTIO_MMIO_INTERRUPT_ACK, 1);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
    driver_write(&f->driver, VIRTIO_MMIO_INTERRUPT_ACK, 2);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void test_nothing_is_done_before_the_driver_is_ready_or_after_a_reset(void **state)
{
    const struct driver_buffer buffer = { DRIVER_DATA, 4, false };
    struct fixture *f = *state;

    driver_probe(&f->driver, &f->device, 0, SIZE);
    f->device.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    driver_add(&f->driver, &buffer, 1, 0);
    driver_kick(&f->driver);
    assert_int_equal(f->handled, 0);
    f->device.status |= DRIVER_OK;
    virtio_device_run_queue(&f->device, 0);
    assert_int_equal(f->handled, 1);

    driver_add(&f->driver, &buffer, 1, 0);
    driver_write(&f->driver, VIRTIO_MMIO_STATUS, 0);
    assert_false(virtio_device_run_queue(&f->device, 0));
    assert_int_equal(f->handled, 1);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void test_configuration_is_read_in_natural_pieces(void **state)
{
    struct fixture *f = *state;
    struct virtio_mmio *mmio = &f->driver.mmio;
    unsigned queue;

    assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_CONFIG, 1), 1);
    assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_CONFIG + 2, 2), 0x403);
    assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_CONFIG + 4, 4), 0x8070605);
    assert_true(virtio_mmio_read(mmio, VIRTIO_MMIO_CONFIG, 8) == UINT64_C(0x807060504030201));
    assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_CONFIG + 1, 2), 0); /* not aligned */
    assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_CONFIG + 8, 4), 9); /* its end */
    assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_BYTES - 4, 4), 0);
    assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_BYTES, 4), 0);
    assert_false(virtio_mmio_write(mmio, VIRTIO_MMIO_CONFIG, 4, 0, &queue));
    assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_CONFIG, 1), 1);
}

static void test_registers_take_only_whole_words(void **state)
{
    struct fixture *f = *state;
    struct virtio_mmio *mmio = &f->driver.mmio;
    unsigned queue;

    for (unsigned size = 1; size <= 8; size *= 2) {
        if (size == 4)
            continue;
        assert_int_equal(virtio_mmio_read(mmio, VIRTIO_MMIO_MAGIC_VALUE, size), 0);
        assert_false(virtio_mmio_write(mmio, VIRTIO_MMIO_STATUS, size, 1, &queue));
        assert_int_equal(status(f), 0);
    }
    assert_false(virtio_mmio_write(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 4, 2, &queue));
    assert_true(virtio_mmio_write(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, 4, 1, &queue));
    assert_int_equal(queue, 1);
}

/* Registers in any order, resets in between; the memory holds nonsense. The sanitizers watch. */
static void test_random_accesses_do_no_harm(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 99;

    for (unsigned i = 0; i < 300000; i++) {
        uint64_t choice = driver_random(&random);
        uint64_t offset = choice % 8 ? choice >> 8 & 0xfc : choice >> 8 & 0x1fff;
        uint64_t address = DRIVER_MEMORY_START + (choice >> 44 & 0xff0);
        uint64_t value = choice >> 40 & 1 ? driver_random(&random) & 0x3ffff : address;
        unsigned size = choice & 0x70 ? 4 : 1u << (choice >> 60 & 3), queue;

        if (offset == VIRTIO_MMIO_STATUS && choice & 0x10)
            value = 0xf & (choice >> 33);
        if (choice >> 63)
            virtio_mmio_read(&f->driver.mmio, offset, size);
        else if (virtio_mmio_write(&f->driver.mmio, offset, size, value, &queue))
            virtio_device_run_queue(&f->device, queue);
        if (i % 1000 == 0)
            accept(f, EXPECTED_FEATURES);
        memcpy(f->driver.bytes + (choice >> 20 & 0xfff8), &random, sizeof random);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_device_names_itself),
        TEST(test_features_are_read_by_halves),
        TEST(test_features_that_are_not_offered_or_lack_version_1_are_not_accepted),
        TEST(test_features_are_fixed_once_accepted),
        TEST(test_status_bits_go_only_by_a_reset),
        TEST(test_each_queue_has_its_own_description),
        TEST(test_a_queue_that_cannot_be_stays_unready),
        TEST(test_no_queue_starts_before_the_features_are_agreed),
        TEST(test_interrupt_causes_stay_until_acknowledged),
        TEST(test_nothing_is_done_before_the_driver_is_ready_or_after_a_reset),
        TEST(test_configuration_is_read_in_natural_pieces),
        TEST(test_registers_take_only_whole_words),
        TEST(test_random_accesses_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
