/* Memory that a guest gives back. */
#include "vmm/balloon.h"
#include "vmm/exits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static struct monitor monitor;
static struct balloon balloon;
static uint64_t given[128];
static unsigned given_count;
static bool willing;
static uint8_t ram[64]; /* the address alone matters */

static bool give(void *context, uint64_t address)
{
    assert_ptr_equal(context, given);
    if (!willing)
        return false;
    given[given_count++] = address;
    return true;
}

/* Everything is valid, so that no back end is asked. */
static int set_up(void **state)
{
    (void)state;
    memset(&monitor, 0, sizeof monitor);
    memset(monitor.vcpu.valid, 0xff, sizeof monitor.vcpu.valid);
    monitor.machine.memory = (struct guest_memory) {
        .count = 2,
        .region[0] = { .start = 0, .length = 256 * MIB, .host = ram },
        .region[1] = { .start = UINT64_C(128) << 30, .length = 16 * MIB, .host = ram },
    };
    given_count = 0;
    willing = true;
    assert_true(balloon_init(&balloon, &monitor, give, given));
    return 0;
}

static uint64_t call(uint64_t number, uint64_t address, unsigned privilege, enum fault_result expected)
{
    struct vcpu_exit exit = { .kind = VCPU_EXIT_HYPERCALL };
    uint64_t rip = monitor.vcpu.value[VCPU_RIP];

    monitor.vcpu.value[VCPU_RAX] = number;
    monitor.vcpu.value[VCPU_RBX] = address;
    monitor.vcpu.value[VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)] = 0xc093 | privilege << 5;
    assert_int_equal(fault_route(&monitor.router, &exit), expected);
    assert_int_equal(monitor.vcpu.value[VCPU_RIP], rip + (expected == FAULT_HANDLED ? 3 : 0));
    return monitor.vcpu.value[VCPU_RAX];
}

static void test_a_page_is_given_once_and_is_no_memory_then(void **state)
{
    const struct guest_memory *memory = &monitor.machine.memory;

    (void)state;
    assert_int_equal(call(BALLOON_HYPERCALL, 4 * MIB, 0, FAULT_HANDLED), 0);
    assert_int_equal(given_count, 1);
    assert_int_equal(given[0], 4 * MIB);
    assert_null(guest_memory_at(memory, 4 * MIB, 1));
    assert_null(guest_memory_at(memory, 6 * MIB - 1, 1));
    assert_null(guest_memory_at(memory, 4 * MIB - 1, 2));
    assert_ptr_equal(guest_memory_at(memory, 4 * MIB - 1, 1), ram + 4 * MIB - 1);
    assert_ptr_equal(guest_memory_at(memory, 6 * MIB, 2 * MIB), ram + 6 * MIB);
    assert_int_equal((int64_t)call(BALLOON_HYPERCALL, 4 * MIB, 0, FAULT_HANDLED), BALLOON_INVALID);
    assert_int_equal(given_count, 1);
}

static void test_what_is_no_whole_page_is_refused(void **state)
{
    static const uint64_t wrong[] = { 1, 4096, MIB, 256 * MIB, UINT64_MAX, UINT64_MAX - 2 * MIB + 1, UINT64_C(127) << 30,
                                      (UINT64_C(128) << 30) + 16 * MIB };

    (void)state;
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal((int64_t)call(BALLOON_HYPERCALL, wrong[i], 0, FAULT_HANDLED), BALLOON_INVALID);
    assert_int_equal(given_count, 0);
    assert_int_equal(call(BALLOON_HYPERCALL, UINT64_C(128) << 30, 0, FAULT_HANDLED), 0);
}

static void test_a_page_that_has_to_stay_stays(void **state)
{
    (void)state;
    willing = false;
    assert_int_equal((int64_t)call(BALLOON_HYPERCALL, 4 * MIB, 0, FAULT_HANDLED), BALLOON_BUSY);
    assert_non_null(guest_memory_at(&monitor.machine.memory, 4 * MIB, 2 * MIB));
    willing = true;
    for (unsigned i = 0; i < GUEST_MEMORY_HOLES; i++)
        assert_int_equal(call(BALLOON_HYPERCALL, 2 * MIB * (i + 1), 0, FAULT_HANDLED), 0);
    assert_int_equal((int64_t)call(BALLOON_HYPERCALL, 2 * MIB * 100, 0, FAULT_HANDLED), BALLOON_BUSY);
}

static void test_others_calls_and_user_programs_are_left_alone(void **state)
{
    (void)state;
    assert_int_equal(call(5, 4 * MIB, 0, FAULT_PASS), 5);
    assert_int_equal(call(BALLOON_HYPERCALL, 4 * MIB, 3, FAULT_PASS), BALLOON_HYPERCALL);
    assert_int_equal(given_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_page_is_given_once_and_is_no_memory_then, set_up),
        cmocka_unit_test_setup(test_what_is_no_whole_page_is_refused, set_up),
        cmocka_unit_test_setup(test_a_page_that_has_to_stay_stays, set_up),
        cmocka_unit_test_setup(test_others_calls_and_user_programs_are_left_alone, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
