/* The buses: which handler gets an access, and what comes of one that nobody wants. */
#include "vmm/bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct recorder {
    enum bus_result result;
    uint64_t value; /* for reads */
    unsigned calls;
    struct bus_access last;
};

static enum bus_result record(void *device, struct bus_access *access)
{
    struct recorder *recorder = device;

    recorder->calls++;
    recorder->last = *access;
    if (!access->write)
        access->value = recorder->value;
    else
        access->value = 0xdead; /* a careless handler */
    return recorder->result;
}

static bool add(struct bus *bus, enum bus_space space, uint64_t start, uint64_t length, uint8_t priority, void *device)
{
    struct bus_range range = {
        .space = space, .start = start, .length = length, .priority = priority, .handler = record, .device = device,
    };
    return bus_register(bus, &range);
}

static enum bus_result read_at(struct bus *bus, enum bus_space space, uint64_t address, uint8_t size, uint64_t *value)
{
    struct bus_access access = { .size = size, .address = address };
    enum bus_result result = bus_perform(bus, space, &access);

    *value = access.value;
    return result;
}

static struct bus *new_bus(void)
{
    struct bus *bus = malloc(sizeof *bus);

    assert_non_null(bus);
    bus_init(bus);
    return bus;
}

static void test_an_access_reaches_the_range_that_contains_it_with_its_offset(void **state)
{
    struct bus *bus = new_bus();
    struct recorder low = { .value = 0x11 }, high = { .value = 0x22 };
    uint64_t value;

    (void)state;
    assert_true(add(bus, BUS_PORT, 0x3f8, 8, 128, &high));
    assert_true(add(bus, BUS_PORT, 0x40, 4, 128, &low));
    assert_int_equal(read_at(bus, BUS_PORT, 0x3fd, 1, &value), BUS_DONE);
    assert_int_equal(value, 0x22);
    assert_int_equal(high.last.offset, 5);
    assert_int_equal(read_at(bus, BUS_PORT, 0x40, 1, &value), BUS_DONE);
    assert_int_equal(value, 0x11);
    assert_int_equal(low.last.offset, 0);
    free(bus);
}

static void test_an_access_that_leaves_the_range_is_not_its_own(void **state)
{
    struct bus *bus = new_bus();
    struct recorder device = { 0 };
    uint64_t value;

    (void)state;
    add(bus, BUS_PORT, 0x60, 4, 128, &device);
    assert_int_equal(read_at(bus, BUS_PORT, 0x63, 2, &value), BUS_PASS);
    assert_int_equal(value, 0xffff);
    assert_int_equal(read_at(bus, BUS_PORT, 0x5f, 2, &value), BUS_PASS);
    assert_int_equal(read_at(bus, BUS_PORT, 0x60, 8, &value), BUS_PASS);
    assert_int_equal(device.calls, 0);
    assert_int_equal(read_at(bus, BUS_PORT, 0x60, 4, &value), BUS_DONE);
    free(bus);
}

static void test_an_msr_access_is_about_one_msr_whatever_its_size(void **state)
{
    struct bus *bus = new_bus();
    struct recorder device = { .value = UINT64_MAX };
    uint64_t value;

    (void)state;
    add(bus, BUS_MSR, 0x6e0, 1, 128, &device);
    assert_int_equal(read_at(bus, BUS_MSR, 0x6e0, 8, &value), BUS_DONE);
    assert_true(value == UINT64_MAX);
    assert_int_equal(read_at(bus, BUS_MSR, 0x6e1, 8, &value), BUS_PASS);
    free(bus);
}

static void test_the_spaces_are_apart(void **state)
{
    struct bus *bus = new_bus();
    struct recorder port = { .value = 1 }, memory = { .value = 2 }, msr = { .value = 3 };
    uint64_t value;

    (void)state;
    add(bus, BUS_PORT, 0x10, 1, 128, &port);
    add(bus, BUS_MMIO, 0x10, 1, 128, &memory);
    add(bus, BUS_MSR, 0x10, 1, 128, &msr);
    for (enum bus_space space = BUS_PORT; space < BUS_SPACE_COUNT; space++) {
        assert_int_equal(read_at(bus, space, 0x10, 1, &value), BUS_DONE);
        assert_int_equal(value, space + 1);
    }
    free(bus);
}

static void test_the_highest_priority_is_asked_first_and_may_pass_on(void **state)
{
    struct bus *bus = new_bus();
    struct recorder catch_all = { .value = 1 }, usual = { .value = 2 }, special = { .value = 3, .result = BUS_PASS };
    uint64_t value;

    (void)state;
    add(bus, BUS_PORT, 0, 0x10000, 0, &catch_all);
    add(bus, BUS_PORT, 0xcf8, 4, 128, &usual);
    add(bus, BUS_PORT, 0xcf9, 1, 200, &special);
    assert_int_equal(read_at(bus, BUS_PORT, 0xcf9, 1, &value), BUS_DONE);
    assert_int_equal(value, 2);
    assert_int_equal(special.calls, 1);
    special.result = BUS_DONE;
    read_at(bus, BUS_PORT, 0xcf9, 1, &value);
    assert_int_equal(value, 3);
    read_at(bus, BUS_PORT, 0xcfb, 4, &value); /* in none but the largest */
    assert_int_equal(value, 1);
    free(bus);
}

static void test_a_handler_that_passes_leaves_no_trace_in_the_access(void **state)
{
    struct bus *bus = new_bus();
    struct recorder first = { .value = 0x77, .result = BUS_PASS }, second = { 0 };
    struct bus_access access = { .write = true, .size = 2, .address = 0x80, .value = 0xabcd1234 };
    uint64_t value;

    (void)state;
    add(bus, BUS_PORT, 0x80, 2, 2, &first);
    assert_int_equal(read_at(bus, BUS_PORT, 0x80, 2, &value), BUS_PASS);
    assert_int_equal(value, 0xffff);
    add(bus, BUS_PORT, 0x80, 2, 1, &second);
    assert_int_equal(bus_perform(bus, BUS_PORT, &access), BUS_DONE);
    assert_int_equal(second.last.value, 0x1234);
    free(bus);
}

static void test_values_have_no_more_bits_than_the_access(void **state)
{
    struct bus *bus = new_bus();
    struct recorder device = { .value = UINT64_MAX };
    uint64_t value;

    (void)state;
    add(bus, BUS_MMIO, 0, 16, 128, &device);
    read_at(bus, BUS_MMIO, 0, 1, &value);
    assert_int_equal(value, 0xff);
    read_at(bus, BUS_MMIO, 0, 4, &value);
    assert_int_equal(value, 0xffffffff);
    assert_int_equal(device.last.value, 0xffffffff); /* all ones before the handler */
    read_at(bus, BUS_MMIO, 8, 8, &value);
    assert_true(value == UINT64_MAX);
    free(bus);
}

static void test_a_fault_goes_to_the_caller_and_ends_the_search(void **state)
{
    struct bus *bus = new_bus();
    struct recorder first = { .result = BUS_FAULT }, second = { 0 };
    uint64_t value;

    (void)state;
    add(bus, BUS_MSR, 0x800, 0x100, 128, &first);
    add(bus, BUS_MSR, 0, 0x1000, 0, &second);
    assert_int_equal(read_at(bus, BUS_MSR, 0x8ff, 8, &value), BUS_FAULT);
    assert_int_equal(second.calls, 0);
    free(bus);
}

static void test_sizes_that_cannot_be_reach_nobody(void **state)
{
    struct bus *bus = new_bus();
    struct recorder device = { 0 };
    uint64_t value;

    (void)state;
    add(bus, BUS_MMIO, 0, 1000, 128, &device);
    for (unsigned size = 0; size < 256; size++)
        if (size != 1 && size != 2 && size != 4 && size != 8)
            assert_int_equal(read_at(bus, BUS_MMIO, 0, (uint8_t)size, &value), BUS_PASS);
    assert_int_equal(device.calls, 0);
    free(bus);
}

static void test_ranges_that_cannot_be_are_refused(void **state)
{
    struct bus *bus = new_bus();
    struct recorder device = { 0 };
    uint64_t value;

    (void)state;
    assert_false(add(bus, BUS_MMIO, 0x1000, 0, 128, &device));
    assert_false(add(bus, BUS_MMIO, UINT64_MAX, 2, 128, &device));
    assert_false(add(bus, BUS_SPACE_COUNT, 0, 1, 128, &device));
    assert_true(add(bus, BUS_MMIO, UINT64_MAX, 1, 128, &device));
    assert_int_equal(read_at(bus, BUS_MMIO, UINT64_MAX, 1, &value), BUS_DONE);
    assert_int_equal(read_at(bus, BUS_MMIO, UINT64_MAX, 2, &value), BUS_PASS);
    for (unsigned i = 1; i < BUS_RANGES_MAX; i++)
        assert_true(add(bus, BUS_MMIO, i * 16, 16, 128, &device));
    assert_false(add(bus, BUS_MMIO, 0x100000, 16, 128, &device));
    assert_true(add(bus, BUS_PORT, 0, 16, 128, &device));
    free(bus);
}

static void test_an_unregistered_device_is_not_asked_again(void **state)
{
    struct bus *bus = new_bus();
    struct recorder gone = { .value = 1 }, stays = { .value = 2 };
    uint64_t value;

    (void)state;
    add(bus, BUS_PORT, 0x10, 4, 200, &gone);
    add(bus, BUS_MMIO, 0x10, 4, 200, &gone);
    add(bus, BUS_PORT, 0x10, 4, 128, &stays);
    read_at(bus, BUS_PORT, 0x10, 1, &value);
    assert_int_equal(value, 1);
    bus_unregister(bus, &gone);
    read_at(bus, BUS_PORT, 0x10, 1, &value);
    assert_int_equal(value, 2);
    assert_int_equal(read_at(bus, BUS_MMIO, 0x10, 1, &value), BUS_PASS);
    free(bus);
}

static void test_accesses_are_counted_for_those_who_took_them(void **state)
{
    struct bus *bus = new_bus();
    struct recorder device = { 0 };
    uint64_t value;

    (void)state;
    add(bus, BUS_PORT, 0x10, 1, 128, &device);
    for (int i = 0; i < 5; i++)
        read_at(bus, BUS_PORT, 0x10, 1, &value);
    read_at(bus, BUS_PORT, 0x11, 1, &value);
    assert_int_equal(bus->range[BUS_PORT][0].accesses, 5);
    assert_int_equal(bus->unclaimed[BUS_PORT], 1);
    free(bus);
}

/* Ranges by brute force: of those that contain the access, the one with the highest priority, then the lowest start. */
static void test_random_ranges_agree_with_a_plain_search(void **state)
{
    struct bus *bus = new_bus();
    struct recorder device[40];
    struct bus_range ranges[40];
    uint32_t seed = 11;
    uint64_t value;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        seed = seed * 1664525u + 1013904223u;
        device[i] = (struct recorder) { .value = i };
        /* priorities differ, so that the order is complete */
        ranges[i] = (struct bus_range) {
            .space = BUS_PORT, .start = seed >> 26, .length = (seed >> 16 & 15) + 1, .priority = (uint8_t)(i * 77),
            .handler = record, .device = &device[i],
        };
        assert_true(bus_register(bus, &ranges[i]));
    }
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1664525u + 1013904223u;
        uint64_t address = seed >> 25;
        uint8_t size = (uint8_t)(1 << (seed >> 16 & 3));
        int best = -1;

        for (int i = 0; i < 40; i++)
            if (ranges[i].device && ranges[i].start <= address && address + size <= ranges[i].start + ranges[i].length
                && (best < 0 || ranges[i].priority > ranges[best].priority))
                best = i;
        enum bus_result result = read_at(bus, BUS_PORT, address, size, &value);
        assert_int_equal(result, best < 0 ? BUS_PASS : BUS_DONE);
        if (best >= 0)
            assert_int_equal(value, best);
        if (round % 1000 == 999) {
            unsigned victim = seed >> 8 & 31;
            bus_unregister(bus, &device[victim]);
            ranges[victim].device = NULL;
        }
    }
    free(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_access_reaches_the_range_that_contains_it_with_its_offset),
        cmocka_unit_test(test_an_access_that_leaves_the_range_is_not_its_own),
        cmocka_unit_test(test_an_msr_access_is_about_one_msr_whatever_its_size),
        cmocka_unit_test(test_the_spaces_are_apart),
        cmocka_unit_test(test_the_highest_priority_is_asked_first_and_may_pass_on),
        cmocka_unit_test(test_a_handler_that_passes_leaves_no_trace_in_the_access),
        cmocka_unit_test(test_values_have_no_more_bits_than_the_access),
        cmocka_unit_test(test_a_fault_goes_to_the_caller_and_ends_the_search),
        cmocka_unit_test(test_sizes_that_cannot_be_reach_nobody),
        cmocka_unit_test(test_ranges_that_cannot_be_are_refused),
        cmocka_unit_test(test_an_unregistered_device_is_not_asked_again),
        cmocka_unit_test(test_accesses_are_counted_for_those_who_took_them),
        cmocka_unit_test(test_random_ranges_agree_with_a_plain_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
