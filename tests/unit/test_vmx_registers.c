/* Where VT-x has the registers of a virtual CPU. */
#include "vmm/vmx/registers.h"

#include <sel4/vmcs.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Those that are elsewhere: in the entry's message, in the monitor, in the guest's own hands, or not reachable. */
static bool is_elsewhere(enum vcpu_register reg)
{
    return (reg <= VCPU_R15 && reg != VCPU_RSP) || reg == VCPU_CR2 || reg == VCPU_XCR0 || reg == VCPU_KERNEL_GS_BASE;
}

static void test_each_register_has_a_place_and_no_two_have_the_same(void **state)
{
    (void)state;
    for (unsigned reg = 0; reg < VCPU_REGISTER_COUNT; reg++) {
        uint32_t place = vmx_place_of((enum vcpu_register)reg);

        assert_int_equal(place == VMX_NOWHERE, is_elsewhere((enum vcpu_register)reg));
        assert_int_equal(vmx_is_field(place) + vmx_is_msr(place), place != VMX_NOWHERE);
        for (unsigned other = 0; other < reg && place != VMX_NOWHERE; other++)
            assert_int_not_equal(place, vmx_place_of((enum vcpu_register)other));
    }
    assert_int_equal(vmx_place_of(VCPU_REGISTER_COUNT), VMX_NOWHERE);
}

static void test_segment_registers_have_their_four_fields(void **state)
{
    (void)state;
    assert_int_equal(vmx_place_of(VCPU_SEGMENT(VCPU_ES, VCPU_SELECTOR)), VMCS_GUEST_ES_SELECTOR);
    assert_int_equal(vmx_place_of(VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)), VMCS_GUEST_CS_ACCESS_RIGHTS);
    assert_int_equal(vmx_place_of(VCPU_SEGMENT(VCPU_SS, VCPU_LIMIT)), VMCS_GUEST_SS_LIMIT);
    assert_int_equal(vmx_place_of(VCPU_SEGMENT(VCPU_DS, VCPU_BASE)), VMCS_GUEST_DS_BASE);
    assert_int_equal(vmx_place_of(VCPU_SEGMENT(VCPU_FS, VCPU_BASE)), VMCS_GUEST_FS_BASE);
    assert_int_equal(vmx_place_of(VCPU_SEGMENT(VCPU_GS, VCPU_SELECTOR)), VMCS_GUEST_GS_SELECTOR);
    assert_int_equal(vmx_place_of(VCPU_SEGMENT(VCPU_LDTR, VCPU_LIMIT)), VMCS_GUEST_LDTR_LIMIT);
    assert_int_equal(vmx_place_of(VCPU_SEGMENT(VCPU_TR, VCPU_ACCESS)), VMCS_GUEST_TR_ACCESS_RIGHTS);
}

static void test_msrs_that_the_kernel_keeps_are_told_from_fields(void **state)
{
    (void)state;
    assert_true(vmx_is_msr(vmx_place_of(VCPU_LSTAR)));
    assert_int_equal(vmx_place_of(VCPU_LSTAR), 0xc0000082);
    assert_true(vmx_is_field(vmx_place_of(VCPU_EFER)));
    assert_false(vmx_is_field(vmx_place_of(VCPU_RAX)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_register_has_a_place_and_no_two_have_the_same),
        cmocka_unit_test(test_segment_registers_have_their_four_fields),
        cmocka_unit_test(test_msrs_that_the_kernel_keeps_are_told_from_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
