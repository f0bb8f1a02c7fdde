/* Guests on AMD-V. */
#include "tests/kernel/svm_guest.h"

TEST(svm_guest_exits_by_cpuid_port_and_halt)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_REAL, svm_guest_exits);
    EXPECT_EXIT(&g, SVM_EXIT_CPUID);
    g.rip += 2;
    g.event = 0;
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_QUALIFICATION_MR] >> 16, 0x3f8);
    EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_EAX] & 0xff, 0x41);
    g.rip = g.word[SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR];
    EXPECT_EXIT(&g, SVM_EXIT_HLT);
    g.rip += 1;
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
}

TEST(svm_state_that_the_processor_refuses_is_a_failed_entry)
{
    struct guest g = new_svm_guest(e);
    seL4_Word words[] = { VMCB_CR0, 0x20000000 /* NW without CD */ };

    GUEST_LOAD(&g, GUEST_REAL, svm_guest_loop);
    EXPECT_OK(sel4_vcpu_write_vmcb(g.vcpu, 2, words));
    EXPECT_EXIT(&g, SVM_EXIT_INVALID);
}
