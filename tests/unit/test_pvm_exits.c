/* RDMSR and WRMSR as hypercalls of a PVM guest, and the rule that its STAR keeps to. */
#include "tests/unit/fake_machine.h"
#include "vmm/pv/pvm_abi.h"
#include "vmm/pv/pvm_exits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STAR  0xc0000081u
#define LSTAR 0xc0000082u
#define GOOD_STAR UINT64_C(0x0023001000000000)

static unsigned protection_faults;

/* exits.c defines the real one. */
enum fault_result exits_raise(struct monitor *monitor, uint8_t vector, bool has_error, uint32_t error)
{
    (void)monitor;
    (void)has_error;
    (void)error;
    assert_int_equal(vector, VECTOR_GP);
    protection_faults++;
    return FAULT_HANDLED;
}

static int set_up(void **state)
{
    static const struct vcpu_operations never_runs;
    struct fake_machine *fake = fake_machine_create();
    struct monitor *monitor = calloc(1, sizeof *monitor);

    monitor->machine = fake->machine;
    vcpu_init(&monitor->vcpu, &never_runs, NULL);
    memset(monitor->vcpu.valid, 0xff, sizeof monitor->vcpu.valid);
    protection_faults = 0;
    monitor->machine.console = fake; /* to find it again */
    assert_true(fault_register(&monitor->router, VCPU_EXIT_WRITE_MSR, EXITS_PRIORITY, exits_write_msr, monitor));
    assert_true(pvm_exits_init(monitor));
    *state = monitor;
    return 0;
}

static int tear_down(void **state)
{
    struct monitor *monitor = *state;

    fake_machine_destroy(monitor->machine.console);
    free(monitor);
    return 0;
}

static uint64_t call(struct monitor *monitor, uint64_t number, uint64_t index, uint64_t value)
{
    const struct vcpu_exit exit = { .kind = VCPU_EXIT_HYPERCALL };

    vcpu_set(&monitor->vcpu, VCPU_RAX, number);
    vcpu_set(&monitor->vcpu, VCPU_RBX, index);
    vcpu_set(&monitor->vcpu, VCPU_R10, value);
    vcpu_set(&monitor->vcpu, VCPU_RIP, 0x1002);
    assert_int_equal(fault_route(&monitor->router, &exit), FAULT_HANDLED);
    assert_int_equal(vcpu_get(&monitor->vcpu, VCPU_RIP), 0x1002); /* already behind it */
    assert_int_equal(protection_faults, 0);
    return vcpu_get(&monitor->vcpu, VCPU_RAX);
}

static void test_registers_are_read_and_written(void **state)
{
    struct monitor *monitor = *state;

    assert_int_equal(call(monitor, PVM_HC_WRMSR, LSTAR, UINT64_C(0xffff900000001000)), 0);
    assert_int_equal(monitor->vcpu.value[VCPU_LSTAR], UINT64_C(0xffff900000001000));
    assert_int_equal(call(monitor, PVM_HC_RDMSR, LSTAR, 0), UINT64_C(0xffff900000001000));
    /* Only the low half is the number. */
    assert_int_equal(call(monitor, PVM_HC_RDMSR, UINT64_C(0x100000000) | LSTAR, 0), UINT64_C(0xffff900000001000));
    assert_int_equal(call(monitor, PVM_HC_RDMSR, 0xfe, 0), 0); /* a device's */
}

static void test_what_would_be_a_fault_is_an_answer(void **state)
{
    struct monitor *monitor = *state;

    assert_int_equal(call(monitor, PVM_HC_RDMSR, 0x12345, 0), 0);
    assert_int_equal(call(monitor, PVM_HC_WRMSR, 0x12345, 1), (uint64_t)-22);
    assert_int_equal(call(monitor, PVM_HC_WRMSR, LSTAR, UINT64_C(0x8000000000000000)), (uint64_t)-22);
    assert_int_equal(monitor->vcpu.value[VCPU_LSTAR], 0);
}

static bool wrmsr(struct monitor *monitor, uint32_t index, uint64_t value)
{
    const struct vcpu_exit exit = { .kind = VCPU_EXIT_WRITE_MSR, .instruction_length = 2 };

    protection_faults = 0;
    vcpu_set(&monitor->vcpu, VCPU_RCX, index);
    vcpu_set(&monitor->vcpu, VCPU_RAX, (uint32_t)value);
    vcpu_set(&monitor->vcpu, VCPU_RDX, value >> 32);
    assert_int_equal(fault_route(&monitor->router, &exit), FAULT_HANDLED);
    return protection_faults == 0;
}

static void test_star_cannot_name_another_ring_3(void **state)
{
    struct monitor *monitor = *state;

    assert_true(wrmsr(monitor, STAR, GOOD_STAR));
    assert_int_equal(monitor->vcpu.value[VCPU_STAR], GOOD_STAR);
    assert_false(wrmsr(monitor, STAR, UINT64_C(0x001b001000000000)));
    assert_false(wrmsr(monitor, STAR, 0));
    protection_faults = 0;
    assert_int_equal(call(monitor, PVM_HC_WRMSR, STAR, UINT64_C(0x001b001000000000)), (uint64_t)-22);
    assert_int_equal(call(monitor, PVM_HC_WRMSR, STAR, GOOD_STAR | UINT64_C(0x18) << 32), 0);
    assert_int_equal(monitor->vcpu.value[VCPU_STAR], GOOD_STAR | UINT64_C(0x18) << 32);
    assert_true(wrmsr(monitor, LSTAR, 0x1000)); /* others pass */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_registers_are_read_and_written),
        TEST(test_what_would_be_a_fault_is_an_answer),
        TEST(test_star_cannot_name_another_ring_3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
