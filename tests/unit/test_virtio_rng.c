/* virtio-entropy: how much comes, and that only what the source gave is handed on. */
#include "tests/unit/fake_driver.h"
#include "virtio/rng.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE 8u

struct fixture {
    struct virtio_driver driver;
    struct virtio_rng rng;
    uint32_t left; /* what the source still gives */
    uint8_t next;
};

static uint32_t fill(void *context, void *bytes, uint32_t length)
{
    struct fixture *f = context;
    uint32_t count = length < f->left ? length : f->left;

    for (uint32_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = ++f->next;
    f->left -= count;
    return count;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->left = UINT32_MAX;
    driver_init(&f->driver);
    virtio_rng_init(&f->rng, fill, f, &f->driver.memory);
    driver_probe(&f->driver, &f->rng.device, UINT64_MAX, SIZE);
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

static uint32_t ask(struct fixture *f, uint32_t length)
{
    const struct driver_buffer buffers[] = { { DRIVER_DATA, length / 2, true },
                                             { DRIVER_DATA + length / 2, length - length / 2, true } };
    uint32_t written;

    memset(f->driver.bytes + DRIVER_DATA, 0, length);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_DEVICE_ID), 4);
    driver_add(&f->driver, buffers, 2, 0);
    driver_kick(&f->driver);
    assert_true(driver_collect(&f->driver, &written) >= 0);
    return written;
}

static void test_buffers_are_filled_from_the_source(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ask(f, 201), 201);
    for (unsigned i = 0; i < 201; i++)
        assert_int_equal(f->driver.bytes[DRIVER_DATA + i], (uint8_t)(i + 1));
}

static void test_one_request_is_bounded(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ask(f, 0x10000), 4096);
    assert_int_equal(f->driver.bytes[DRIVER_DATA + 4096], 0);
}

static void test_a_source_that_fails_ends_the_request(void **state)
{
    struct fixture *f = *state;

    f->left = 70;
    assert_int_equal(ask(f, 100), 70);
    assert_int_equal(f->driver.bytes[DRIVER_DATA + 69], 70);
    assert_int_equal(f->driver.bytes[DRIVER_DATA + 70], 0);
    assert_int_equal(ask(f, 100), 0);
}

static void test_a_request_that_gives_instead_of_taking_breaks_the_device(void **state)
{
    const struct driver_buffer buffer = { DRIVER_DATA, 4, false };
    struct fixture *f = *state;

    driver_add(&f->driver, &buffer, 1, 0);
    driver_kick(&f->driver);
    assert_true(driver_read(&f->driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_buffers_are_filled_from_the_source),
        TEST(test_one_request_is_bounded),
        TEST(test_a_source_that_fails_ends_the_request),
        TEST(test_a_request_that_gives_instead_of_taking_breaks_the_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
