/* virtio-blk: requests of every kind and shape against a plain copy of the disk, and drivers that ask for what cannot
 * be. */
#include "tests/unit/fake_driver.h"
#include "virtio/blk.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECTORS  64u
#define BYTES    (SECTORS * VIRTIO_BLK_SECTOR)
#define SIZE     16u
#define FEATURES UINT64_MAX
#define HEADER   DRIVER_DATA
#define STATUS   (DRIVER_DATA + 0x100)
#define TABLE    (DRIVER_DATA + 0x200)
#define CONTENT  (DRIVER_DATA + 0x1000)
#define NOT_SET  0xee

struct fixture {
    struct virtio_driver driver;
    struct virtio_blk blk;
    uint8_t disk[BYTES];
    unsigned flushes;
    bool fails;
};

static bool read_disk(void *context, uint64_t offset, void *bytes, uint32_t length)
{
    struct fixture *f = context;

    assert_true(offset <= BYTES && length <= BYTES - offset);
    if (f->fails)
        return false;
    memcpy(bytes, f->disk + offset, length);
    return true;
}

static bool write_disk(void *context, uint64_t offset, const void *bytes, uint32_t length)
{
    struct fixture *f = context;

    assert_true(offset <= BYTES && length <= BYTES - offset);
    if (f->fails)
        return false;
    memcpy(f->disk + offset, bytes, length);
    return true;
}

static bool flush_disk(void *context)
{
    struct fixture *f = context;

    f->flushes++;
    return !f->fails;
}

static void make(struct fixture *f, bool writable)
{
    const struct virtio_blk_disk disk = {
        .read = read_disk, .write = writable ? write_disk : NULL, .flush = flush_disk, .context = f, .sectors = SECTORS,
        .name = "a disk of twenty let",
    };

    virtio_blk_init(&f->blk, &disk, &f->driver.memory);
    driver_probe(&f->driver, &f->blk.device, FEATURES, SIZE);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    driver_init(&f->driver);
    for (unsigned i = 0; i < BYTES; i++)
        f->disk[i] = (uint8_t)(i * 7 + i / VIRTIO_BLK_SECTOR);
    make(f, true);
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

/* One request with LENGTH bytes of data at CONTENT; its status. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t length, uint32_t *written)
{
    const struct virtio_blk_outhdr header = { .type = type, .sector = sector };
    const struct driver_buffer buffers[] = {
        { HEADER, sizeof header, false }, { CONTENT, length, type != VIRTIO_BLK_T_OUT }, { STATUS, 1, true },
    };
    uint32_t ignored;

    memcpy(f->driver.bytes + HEADER, &header, sizeof header);
    f->driver.bytes[STATUS] = NOT_SET;
    assert_true(driver_add(&f->driver, buffers, 3, 0) >= 0);
    assert_true(driver_kick(&f->driver));
    assert_true(driver_collect(&f->driver, written ? written : &ignored) >= 0);
    return f->driver.bytes[STATUS];
}

static void test_the_configuration_tells_the_size_and_the_segments(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_DEVICE_ID), 2);
    assert_true(virtio_mmio_read(&f->driver.mmio, VIRTIO_MMIO_CONFIG, 8) == SECTORS);
    assert_int_equal(driver_read(&f->driver, VIRTIO_MMIO_CONFIG + 12), 126);
    assert_true(f->driver.features & 1u << VIRTIO_BLK_F_FLUSH);
    assert_false(f->driver.features & 1u << VIRTIO_BLK_F_DISCARD);
    assert_false(f->driver.features & 1u << VIRTIO_BLK_F_RO);
}

static void test_sectors_are_read_and_written(void **state)
{
    struct fixture *f = *state;
    uint32_t written;

    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 3, 1024, &written), VIRTIO_BLK_S_OK);
    assert_int_equal(written, 1025);
    assert_memory_equal(f->driver.bytes + CONTENT, f->disk + 3 * VIRTIO_BLK_SECTOR, 1024);
    memset(f->driver.bytes + CONTENT, 0x5a, 512);
    assert_int_equal(request(f, VIRTIO_BLK_T_OUT, SECTORS - 1, 512, &written), VIRTIO_BLK_S_OK);
    assert_int_equal(written, 1);
    assert_memory_equal(f->driver.bytes + CONTENT, f->disk + BYTES - 512, 512);
}

static void test_what_lies_outside_of_the_disk_is_an_error(void **state)
{
    static const struct {
        uint64_t sector;
        uint32_t length;
    } cases[] = { { SECTORS, 512 }, { SECTORS - 1, 1024 }, { UINT64_MAX, 512 }, { UINT64_MAX / 512 + 1, 512 },
                  { 0, BYTES + 512 }, { 0, 511 }, { 0, 513 } };
    struct fixture *f = *state;
    uint8_t *before = malloc(BYTES);
    uint32_t written;

    memcpy(before, f->disk, BYTES);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(request(f, VIRTIO_BLK_T_IN, cases[i].sector, cases[i].length, &written), VIRTIO_BLK_S_IOERR);
        assert_int_equal(written, 0);
        assert_int_equal(request(f, VIRTIO_BLK_T_OUT, cases[i].sector, cases[i].length, NULL), VIRTIO_BLK_S_IOERR);
    }
    assert_memory_equal(f->disk, before, BYTES);
    free(before);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, SECTORS, 0, NULL), VIRTIO_BLK_S_OK);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, SECTORS + 1, 0, NULL), VIRTIO_BLK_S_IOERR);
}

static void test_errors_of_the_disk_are_passed_on(void **state)
{
    struct fixture *f = *state;

    f->fails = true;
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, NULL), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512, NULL), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_IOERR);
    f->fails = false;
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, NULL), VIRTIO_BLK_S_OK);
}

static void test_a_flush_reaches_the_disk(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_OK);
    assert_int_equal(f->flushes, 1);
}

static void test_the_disk_has_a_name(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, NULL), VIRTIO_BLK_S_OK);
    assert_memory_equal(f->driver.bytes + CONTENT, "a disk of twenty let", 20);
    assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 19, NULL), VIRTIO_BLK_S_IOERR);
}

static void test_what_is_not_offered_is_unsupported(void **state)
{
    static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_SCSI_CMD, 77,
                                      UINT32_MAX };
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++)
        assert_int_equal(request(f, types[i], 0, 16, NULL), VIRTIO_BLK_S_UNSUPP);
}

static void test_a_read_only_disk_says_so_and_takes_no_writes(void **state)
{
    struct fixture *f = *state;

    make(f, false);
    assert_true(f->driver.features & 1u << VIRTIO_BLK_F_RO);
    assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512, NULL), VIRTIO_BLK_S_IOERR);
    assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, NULL), VIRTIO_BLK_S_OK);
}

static void test_a_request_without_header_or_status_breaks_the_device(void **state)
{
    static const struct driver_buffer no_status[] = { { HEADER, 16, false } };
    static const struct driver_buffer short_header[] = { { HEADER, 15, false }, { STATUS, 1, true } };
    struct fixture *f = *state;

    for (unsigned i = 0; i < 2; i++) {
        make(f, true);
        driver_add(&f->driver, i ? short_header : no_status, i ? 2 : 1, 0);
        driver_kick(&f->driver);
        assert_true(driver_read(&f->driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
    }
}

/* Cuts LENGTH bytes from OFFSET on into buffers; returns how many. */
static unsigned cut(uint64_t *random, struct driver_buffer *buffer, unsigned room, uint32_t offset, uint32_t length,
                    bool writable)
{
    unsigned count = 0;

    while (length > 0) {
        uint32_t part = count + 1 == room ? length : 1 + (uint32_t)(driver_random(random) % length);
        buffer[count++] = (struct driver_buffer) { offset, part, writable };
        offset += part;
        length -= part;
    }
    return count;
}

/* Requests in any framing, several at once, compared with a model of the disk. */
static void test_random_requests_agree_with_a_model(void **state)
{
    struct fixture *f = *state;
    uint8_t *model = malloc(BYTES);
    uint64_t random = 3;
    uint32_t written;

    memcpy(model, f->disk, BYTES);
    for (unsigned round = 0; round < 20000; round++) {
        bool write = driver_random(&random) % 2;
        uint64_t sector = driver_random(&random) % SECTORS;
        uint32_t length = (uint32_t)(driver_random(&random) % (SECTORS - sector) + 1) % 17 * VIRTIO_BLK_SECTOR;
        struct virtio_blk_outhdr header = { .type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, .sector = sector };
        struct driver_buffer buffers[SIZE];
        uint32_t readable = sizeof header + (write ? length : 0), writable = 1 + (write ? 0 : length);
        unsigned count = cut(&random, buffers, SIZE / 2, CONTENT, readable, false);

        memcpy(f->driver.bytes + CONTENT, &header, sizeof header);
        for (uint32_t i = 0; write && i < length; i++)
            f->driver.bytes[CONTENT + sizeof header + i] = (uint8_t)driver_random(&random);
        count += cut(&random, buffers + count, SIZE / 2, CONTENT + 0x8000, writable, true);
        f->driver.bytes[CONTENT + 0x8000 + writable - 1] = NOT_SET;
        assert_true(driver_add(&f->driver, buffers, count, driver_random(&random) % 2 ? TABLE : 0) >= 0);
        assert_true(driver_kick(&f->driver));
        assert_true(driver_collect(&f->driver, &written) >= 0);
        assert_int_equal(f->driver.bytes[CONTENT + 0x8000 + writable - 1], VIRTIO_BLK_S_OK);
        assert_int_equal(written, writable);
        if (write)
            memcpy(model + sector * VIRTIO_BLK_SECTOR, f->driver.bytes + CONTENT + sizeof header, length);
        else
            assert_memory_equal(f->driver.bytes + CONTENT + 0x8000, model + sector * VIRTIO_BLK_SECTOR, length);
    }
    assert_memory_equal(f->disk, model, BYTES);
    free(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_configuration_tells_the_size_and_the_segments),
        TEST(test_sectors_are_read_and_written),
        TEST(test_what_lies_outside_of_the_disk_is_an_error),
        TEST(test_errors_of_the_disk_are_passed_on),
        TEST(test_a_flush_reaches_the_disk),
        TEST(test_the_disk_has_a_name),
        TEST(test_what_is_not_offered_is_unsupported),
        TEST(test_a_read_only_disk_says_so_and_takes_no_writes),
        TEST(test_a_request_without_header_or_status_breaks_the_device),
        TEST(test_random_requests_agree_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
