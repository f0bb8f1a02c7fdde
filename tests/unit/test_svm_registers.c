/* Where AMD-V has the registers of a virtual CPU. */
#include "vmm/svm/registers.h"

#include <sel4/vmcb.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_registers_have_the_places_of_the_manual(void **state)
{
    /* APM 2 table B-2; offsets from the beginning of the VMCB. */
    static const struct { enum vcpu_register reg; uint32_t place; } cases[] = {
        { VCPU_RIP, 0x578 }, { VCPU_RSP, 0x5d8 }, { VCPU_RFLAGS, 0x570 },
        { VCPU_CR0, 0x558 }, { VCPU_CR2, 0x640 }, { VCPU_CR3, 0x550 }, { VCPU_CR4, 0x548 }, { VCPU_DR7, 0x560 },
        { VCPU_EFER, 0x4d0 }, { VCPU_PAT, 0x668 },
        { VCPU_STAR, 0x600 }, { VCPU_LSTAR, 0x608 }, { VCPU_CSTAR, 0x610 }, { VCPU_FMASK, 0x618 },
        { VCPU_KERNEL_GS_BASE, 0x620 },
        { VCPU_SYSENTER_CS, 0x628 }, { VCPU_SYSENTER_ESP, 0x630 }, { VCPU_SYSENTER_EIP, 0x638 },
        { VCPU_GDTR_LIMIT, 0x464 }, { VCPU_GDTR_BASE, 0x468 }, { VCPU_IDTR_LIMIT, 0x484 }, { VCPU_IDTR_BASE, 0x488 },
        { VCPU_SEGMENT(VCPU_ES, VCPU_SELECTOR), 0x400 }, { VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS), 0x412 },
        { VCPU_SEGMENT(VCPU_SS, VCPU_LIMIT), 0x424 }, { VCPU_SEGMENT(VCPU_DS, VCPU_BASE), 0x438 },
        { VCPU_SEGMENT(VCPU_FS, VCPU_BASE), 0x448 }, { VCPU_SEGMENT(VCPU_GS, VCPU_BASE), 0x458 },
        { VCPU_SEGMENT(VCPU_LDTR, VCPU_SELECTOR), 0x470 }, { VCPU_SEGMENT(VCPU_TR, VCPU_BASE), 0x498 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(svm_place_of(cases[i].reg), cases[i].place);
}

static void test_no_two_registers_share_a_place(void **state)
{
    (void)state;
    for (int a = 0; a < VCPU_REGISTER_COUNT; a++)
        for (int b = a + 1; b < VCPU_REGISTER_COUNT; b++)
            if (svm_place_of((enum vcpu_register)a) != SVM_NOWHERE)
                assert_int_not_equal(svm_place_of((enum vcpu_register)a), svm_place_of((enum vcpu_register)b));
}

static void test_registers_that_come_another_way_have_no_place(void **state)
{
    static const enum vcpu_register elsewhere[] = {
        VCPU_RAX, VCPU_RCX, VCPU_RDI, VCPU_R15, VCPU_XCR0, VCPU_PDPTE0, VCPU_PDPTE3, VCPU_INTERRUPTIBILITY,
        VCPU_PENDING_DEBUG, VCPU_REGISTER_COUNT, (enum vcpu_register)1000,
    };

    (void)state;
    for (unsigned i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
        assert_int_equal(svm_place_of(elsewhere[i]), SVM_NOWHERE);
}

static void test_attributes_are_access_rights_without_the_gap(void **state)
{
    (void)state;
    assert_int_equal(svm_access_of(0xa9b), 0xa09b); /* 64-bit code */
    assert_int_equal(svm_attributes_of(0xa09b), 0xa9b);
    assert_int_equal(svm_access_of(0xc93), 0xc093); /* 32-bit data */
    assert_int_equal(svm_attributes_of(0xc093), 0xc93);
    assert_int_equal(svm_access_of(0x08b), 0x8b); /* a busy TSS */
    assert_int_equal(svm_attributes_of(0x8b), 0x08b);
}

static void test_a_segment_that_is_not_present_is_unusable(void **state)
{
    (void)state;
    assert_int_equal(svm_access_of(0), 0x10000);
    assert_int_equal(svm_access_of(0xc13), 0x1c013);
    assert_int_equal(svm_attributes_of(0x10000), 0);
    assert_int_equal(svm_attributes_of(0x1c093), 0);
}

static void test_what_is_present_comes_back_as_it_went(void **state)
{
    (void)state;
    for (uint64_t attributes = 0; attributes < 0x1000; attributes++)
        if (attributes & 0x80)
            assert_int_equal(svm_attributes_of(svm_access_of(attributes)), attributes);
    assert_int_equal(svm_attributes_of(0xffffffff00000fff), 0x0ff); /* what no segment has is left out */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_have_the_places_of_the_manual),
        cmocka_unit_test(test_no_two_registers_share_a_place),
        cmocka_unit_test(test_registers_that_come_another_way_have_no_place),
        cmocka_unit_test(test_attributes_are_access_rights_without_the_gap),
        cmocka_unit_test(test_a_segment_that_is_not_present_is_unusable),
        cmocka_unit_test(test_what_is_present_comes_back_as_it_went),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
