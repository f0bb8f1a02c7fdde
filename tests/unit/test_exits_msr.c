/* RDMSR and WRMSR as the guest sees them: the CPU's own registers, those of devices, and #GP for the rest. */
#include "tests/unit/fake_machine.h"
#include "vmm/exits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EFER 0xc0000080u
#define INSTRUCTION_BYTES 2u /* both are */

static const struct vcpu_exit rdmsr_exit = { .kind = VCPU_EXIT_READ_MSR, .instruction_length = INSTRUCTION_BYTES };
static const struct vcpu_exit wrmsr_exit = { .kind = VCPU_EXIT_WRITE_MSR, .instruction_length = INSTRUCTION_BYTES };

static unsigned protection_faults;

/* exits.c defines the real one. */
enum fault_result exits_raise(struct monitor *monitor, uint8_t vector, bool has_error, uint32_t error)
{
    (void)monitor;
    assert_int_equal(vector, VECTOR_GP);
    assert_true(has_error);
    assert_int_equal(error, 0);
    protection_faults++;
    return FAULT_HANDLED;
}

static int set_up(void **state)
{
    static const struct vcpu_operations never_runs;
    struct fake_machine *fake = fake_machine_create();
    struct monitor *monitor = calloc(1, sizeof *monitor);

    /* The monitor's own CPU, beside the machine's devices. */
    monitor->machine = fake->machine;
    vcpu_init(&monitor->vcpu, &never_runs, NULL);
    memset(monitor->vcpu.valid, 0xff, sizeof monitor->vcpu.valid);
    monitor->efer_allowed = EFER_SCE | EFER_LME | EFER_NXE;
    protection_faults = 0;
    monitor->machine.console = fake; /* to find it again */
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

/* Whether the instruction was carried out: it is left behind, or there is a #GP and rip stays. */
static bool carried_out(struct monitor *monitor, unsigned faults_before, uint64_t rip)
{
    bool skipped = vcpu_get(&monitor->vcpu, VCPU_RIP) == rip + INSTRUCTION_BYTES;

    assert_int_equal(skipped, protection_faults == faults_before);
    return skipped;
}

static bool wrmsr(struct monitor *monitor, uint32_t msr, uint64_t value)
{
    unsigned faults = protection_faults;

    vcpu_set(&monitor->vcpu, VCPU_RIP, 0x1000);
    /* The upper halves do not count. */
    vcpu_set(&monitor->vcpu, VCPU_RCX, UINT64_C(0xabcdef0000000000) | msr);
    vcpu_set(&monitor->vcpu, VCPU_RAX, UINT64_C(0x1234567800000000) | (uint32_t)value);
    vcpu_set(&monitor->vcpu, VCPU_RDX, UINT64_C(0x8765432100000000) | value >> 32);
    assert_int_equal(exits_write_msr(monitor, &wrmsr_exit), FAULT_HANDLED);
    return carried_out(monitor, faults, 0x1000);
}

static bool rdmsr(struct monitor *monitor, uint32_t msr, uint64_t *value)
{
    unsigned faults = protection_faults;

    vcpu_set(&monitor->vcpu, VCPU_RIP, 0x2000);
    vcpu_set(&monitor->vcpu, VCPU_RCX, msr);
    vcpu_set(&monitor->vcpu, VCPU_RAX, UINT64_MAX);
    vcpu_set(&monitor->vcpu, VCPU_RDX, UINT64_MAX);
    assert_int_equal(exits_read_msr(monitor, &rdmsr_exit), FAULT_HANDLED);
    if (!carried_out(monitor, faults, 0x2000)) {
        assert_int_equal(vcpu_get(&monitor->vcpu, VCPU_RAX), UINT64_MAX);
        assert_int_equal(vcpu_get(&monitor->vcpu, VCPU_RDX), UINT64_MAX);
        return false;
    }
    /* Upper halves are cleared. */
    assert_int_equal(vcpu_get(&monitor->vcpu, VCPU_RAX) >> 32, 0);
    assert_int_equal(vcpu_get(&monitor->vcpu, VCPU_RDX) >> 32, 0);
    *value = vcpu_get(&monitor->vcpu, VCPU_RDX) << 32 | vcpu_get(&monitor->vcpu, VCPU_RAX);
    return true;
}

static uint64_t get(struct monitor *monitor, uint32_t msr)
{
    uint64_t value = 0;

    assert_true(rdmsr(monitor, msr, &value));
    return value;
}

static void test_registers_of_the_cpu_are_kept_there(void **state)
{
    static const struct { uint32_t msr; enum vcpu_register reg; uint64_t value; } rows[] = {
        { 0x174, VCPU_SYSENTER_CS, 0x10 },
        { 0x175, VCPU_SYSENTER_ESP, 0xffff888000001000 },
        { 0x176, VCPU_SYSENTER_EIP, 0x00007fffffffffff },
        { 0x277, VCPU_PAT, 0x0007010600070106 },
        { 0xc0000081, VCPU_STAR, 0xffffffffffffffff },
        { 0xc0000082, VCPU_LSTAR, 0xffff800000000000 },
        { 0xc0000083, VCPU_CSTAR, 0xffffffff81800000 },
        { 0xc0000084, VCPU_FMASK, 0x257fd5 },
        { 0xc0000100, VCPU_SEGMENT(VCPU_FS, VCPU_BASE), 0x7f0000001000 },
        { 0xc0000101, VCPU_SEGMENT(VCPU_GS, VCPU_BASE), 0xffff88803fc00000 },
        { 0xc0000102, VCPU_KERNEL_GS_BASE, 0xffff88803fd00000 },
    };
    struct monitor *monitor = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(wrmsr(monitor, rows[i].msr, rows[i].value));
        assert_int_equal(vcpu_get(&monitor->vcpu, rows[i].reg), rows[i].value);
        assert_int_equal(get(monitor, rows[i].msr), rows[i].value);
    }
}

static void test_addresses_must_be_canonical(void **state)
{
    static const uint32_t msrs[] = { 0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102 };
    static const uint64_t bad[] = {
        0x0000800000000000, 0xffff7fffffffffff, 0x8000000000000000, 0x7fffffffffffffff, 0x00ff800000000000,
    };
    struct monitor *monitor = *state;

    for (size_t i = 0; i < sizeof msrs / sizeof msrs[0]; i++) {
        assert_true(wrmsr(monitor, msrs[i], 0x1000));
        for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++)
            assert_false(wrmsr(monitor, msrs[i], bad[b]));
        assert_int_equal(get(monitor, msrs[i]), 0x1000);
    }
}

static void test_pat_takes_the_six_memory_types_in_each_byte(void **state)
{
    struct monitor *monitor = *state;

    for (unsigned byte = 0; byte < 8; byte++)
        for (unsigned type = 0; type < 256; type++) {
            bool valid = type == 0 || type == 1 || (type >= 4 && type <= 7);

            assert_int_equal(wrmsr(monitor, 0x277, (uint64_t)type << byte * 8), valid);
        }
    assert_true(wrmsr(monitor, 0xc0000084, UINT32_MAX));
    assert_false(wrmsr(monitor, 0xc0000084, UINT64_C(1) << 32));
}

static void test_efer_keeps_lma_and_refuses_what_the_cpu_would(void **state)
{
    struct monitor *monitor = *state;
    struct vcpu *vcpu = &monitor->vcpu;

    vcpu_set(vcpu, VCPU_CR0, CR0_PE);
    assert_true(wrmsr(monitor, EFER, 0x901));
    assert_int_equal(get(monitor, EFER), 0x901);
    /* LMA is the CPU's: a write neither sets nor clears it. */
    assert_true(wrmsr(monitor, EFER, 0xd01));
    assert_int_equal(get(monitor, EFER), 0x901);
    vcpu_set(vcpu, VCPU_EFER, 0xd01);
    vcpu_set(vcpu, VCPU_CR0, CR0_PE | CR0_PG);
    assert_true(wrmsr(monitor, EFER, 0x900));
    assert_int_equal(get(monitor, EFER), 0xd00);
    /* With paging on, LME cannot change in either direction. */
    assert_false(wrmsr(monitor, EFER, 0x800));
    assert_int_equal(get(monitor, EFER), 0xd00);
    vcpu_set(vcpu, VCPU_EFER, 0);
    assert_false(wrmsr(monitor, EFER, 0x100));
    assert_true(wrmsr(monitor, EFER, 0x801));
    /* Every other bit is reserved: SVME, LMSLE, FFXSR, TCE and the rest. */
    for (unsigned bit = 0; bit < 64; bit++)
        if (bit != 0 && bit != 8 && bit != 10 && bit != 11)
            assert_false(wrmsr(monitor, EFER, UINT64_C(1) << bit));
    assert_int_equal(get(monitor, EFER), 0x801);
    /* NXE only where CPUID has NX. */
    monitor->efer_allowed = EFER_SCE | EFER_LME;
    assert_false(wrmsr(monitor, EFER, 0x800));
}

static void test_other_registers_are_those_of_devices(void **state)
{
    struct monitor *monitor = *state;
    uint64_t value;

    fake_now = UINT64_C(0x123456789abcdef0);
    assert_int_equal(get(monitor, 0x10), fake_now);
    assert_true(wrmsr(monitor, 0x2ff, 0x800));
    assert_int_equal(get(monitor, 0x2ff), 0x800);
    assert_false(wrmsr(monitor, 0x2ff, 0x801));
    assert_false(rdmsr(monitor, 0xc0010114, &value));
    assert_false(wrmsr(monitor, 0xc0010114, 0));
    assert_false(rdmsr(monitor, 0x800, &value)); /* no local APIC in this test */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_registers_of_the_cpu_are_kept_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_addresses_must_be_canonical, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pat_takes_the_six_memory_types_in_each_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_efer_keeps_lma_and_refuses_what_the_cpu_would, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_registers_are_those_of_devices, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
