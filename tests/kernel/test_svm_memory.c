/* Memory and ports of guests on AMD-V. What structures taken apart do is in test_ept_guest.c. */
#include "tests/kernel/devices.h"
#include "tests/kernel/svm_guest.h"

#define MR(name) word[SEL4_VMENTER_FAULT_##name]

#define ATTRIBUTES seL4_X86_EPT_Default_VMAttributes
#define LARGE      (1ul << seL4_LargePageBits)
#define PAGE       (1ul << seL4_PageBits)

/* Of a nested page fault's information: as a page fault's error code (APM 2 15.25.6). */
#define FAULT_PRESENT 1u
#define FAULT_WRITE   2u

enum access { READS_AND_WRITES, READS, NOTHING };

/* What the guest can do at ADDRESS. */
static enum access access_to(struct env *e, struct guest *g, seL4_Word address)
{
    g->rip = GUEST_CODE;
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g->vcpu, &(seL4_VCPUContext) { .esi = (long)address }));
    EXPECT_EQ(guest_enter(g), SEL4_VMENTER_RESULT_FAULT);
    if (g->MR(REASON_MR) == SVM_EXIT_VMMCALL)
        return READS_AND_WRITES;
    EXPECT_EQ(g->MR(REASON_MR), SVM_EXIT_NESTED_PAGE_FAULT);
    EXPECT_EQ(g->MR(GUEST_PHYSICAL_MR), address);
    if (!(g->MR(QUALIFICATION_MR) & FAULT_WRITE)) {
        EXPECT_EQ(g->MR(QUALIFICATION_MR) & FAULT_PRESENT, 0);
        return NOTHING;
    }
    EXPECT_EQ(g->MR(QUALIFICATION_MR) & FAULT_PRESENT, FAULT_PRESENT);
    return READS;
}

TEST(svm_guest_has_pages_of_both_sizes_and_nothing_beside_them)
{
    struct guest g = new_svm_guest(e);
    seL4_CPtr table = new_object(e, seL4_X86_EPTPTObject, 0), small = new_object(e, seL4_X86_4K, 0);
    seL4_CPtr large = new_object(e, seL4_X86_LargePageObject, 0);

    EXPECT_OK(seL4_X86_EPTPT_Map(table, g.ept_root, LARGE, ATTRIBUTES));
    EXPECT_OK(seL4_X86_Page_MapEPT(small, g.ept_root, LARGE + PAGE, seL4_AllRights, ATTRIBUTES));
    EXPECT_OK(seL4_X86_Page_MapEPT(large, g.ept_root, 2 * LARGE, seL4_AllRights, ATTRIBUTES));
    GUEST_LOAD(&g, GUEST_LONG, svm_guest_access);
    EXPECT_EQ(access_to(e, &g, LARGE), NOTHING);
    EXPECT_EQ(access_to(e, &g, LARGE + PAGE - 1), NOTHING);
    EXPECT_EQ(access_to(e, &g, LARGE + PAGE), READS_AND_WRITES);
    EXPECT_EQ(access_to(e, &g, LARGE + 2 * PAGE - 1), READS_AND_WRITES);
    EXPECT_EQ(access_to(e, &g, LARGE + 2 * PAGE), NOTHING);
    EXPECT_EQ(access_to(e, &g, 2 * LARGE), READS_AND_WRITES);
    EXPECT_EQ(access_to(e, &g, 3 * LARGE - 1), READS_AND_WRITES);
    EXPECT_EQ(access_to(e, &g, 3 * LARGE), NOTHING);
}

TEST(svm_page_that_is_only_read_is_not_written)
{
    struct guest g = new_svm_guest(e);
    seL4_CPtr page = new_object(e, seL4_X86_LargePageObject, 0);

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_access);
    for (unsigned round = 0; round < 3; round++) {
        EXPECT_OK(seL4_X86_Page_MapEPT(page, g.ept_root, LARGE, seL4_CanRead, ATTRIBUTES));
        EXPECT_EQ(access_to(e, &g, LARGE + 0x345), READS);
        EXPECT_OK(seL4_X86_Page_Unmap(page));
        EXPECT_EQ(access_to(e, &g, LARGE + 0x345), NOTHING);
        EXPECT_OK(seL4_X86_Page_MapEPT(page, g.ept_root, LARGE, seL4_AllRights, ATTRIBUTES));
        EXPECT_EQ(access_to(e, &g, LARGE + 0x345), READS_AND_WRITES);
        EXPECT_OK(seL4_X86_Page_Unmap(page));
    }
}

/* The same addresses lead elsewhere at once, though the VCPU keeps its ASID as long as it can. (QEMU forgets all
 * translations at each entry, so that here this could only fail on a processor.) */
TEST(svm_vcpu_under_another_root_sees_that_roots_memory)
{
    struct guest a = new_svm_guest(e), b = new_guest(e, seL4_CapInitThreadTCB, 1);

    GUEST_LOAD(&a, GUEST_LONG, guest_count_once);
    GUEST_LOAD(&b, GUEST_LONG, svm_guest_access);
    EXPECT_OK(seL4_X86_VCPU_SetTCB(a.vcpu, seL4_CapInitThreadTCB));
    GUEST_LOAD(&a, GUEST_LONG, svm_guest_access);
    for (seL4_Word round = 0; round < 6; round++) {
        struct guest *now = round % 2 ? &a : &b;

        EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, now->ept_root));
        *guest_word(now, GUEST_RESULTS) = 0x50 + round;
        EXPECT_EQ(access_to(e, &a, GUEST_RESULTS), READS_AND_WRITES);
        EXPECT_EQ(a.MR(EAX), 0x50 + round);
    }
}

/* Bit maps of three sizes of access, in the order of svm_guest_port: whether each exits. */
static unsigned exits_of_port(struct env *e, struct guest *g, seL4_Word port)
{
    unsigned exits = 0;

    g->rip = GUEST_CODE;
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g->vcpu, &(seL4_VCPUContext) { .edx = (long)port }));
    for (unsigned entries = 0; entries < 4; entries++) {
        EXPECT_EQ(guest_enter(g), SEL4_VMENTER_RESULT_FAULT);
        if (g->MR(REASON_MR) == SVM_EXIT_VMMCALL)
            return exits;
        EXPECT_EQ(g->MR(REASON_MR), SVM_EXIT_IO);
        EXPECT_EQ(g->MR(QUALIFICATION_MR) >> 16, port);
        exits |= (unsigned)(g->MR(QUALIFICATION_MR) >> 4 & 7);
        guest_skip(g);
    }
    return ~0u;
}

TEST(svm_access_exits_where_one_of_its_ports_is_not_the_guests)
{
    struct guest g = new_svm_guest(e);
    seL4_CPtr ports = issue_ports(e, 0x80, 0x83);

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_port);
    EXPECT_EQ(exits_of_port(e, &g, 0x80), 7);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0x80, 0x83));
    EXPECT_EQ(exits_of_port(e, &g, 0x80), 0);
    EXPECT_EQ(exits_of_port(e, &g, 0x81), 4);
    EXPECT_EQ(exits_of_port(e, &g, 0x83), 6);
    EXPECT_EQ(exits_of_port(e, &g, 0x84), 7);
    EXPECT_EQ(exits_of_port(e, &g, 0x7f), 7);
    EXPECT_OK(seL4_X86_VCPU_DisableIOPort(g.vcpu, 0x83, 0x83));
    EXPECT_EQ(exits_of_port(e, &g, 0x80), 4);
    EXPECT_OK(seL4_CNode_Delete(ROOT, ports, ROOT_DEPTH));
    EXPECT_EQ(exits_of_port(e, &g, 0x80), 7);
}

/* Beyond the last port there is none: such an access exits. */
TEST(svm_access_beyond_the_last_port_exits)
{
    struct guest g = new_svm_guest(e);
    seL4_CPtr ports = issue_ports(e, 0xfff0, 0xffff);

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_port);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0xfff0, 0xffff));
    EXPECT_EQ(exits_of_port(e, &g, 0xfffc), 0);
    EXPECT_EQ(exits_of_port(e, &g, 0xfffd), 4);
    EXPECT_EQ(exits_of_port(e, &g, 0xfffe), 4);
    EXPECT_EQ(exits_of_port(e, &g, 0xffff), 6);
    EXPECT_OK(seL4_CNode_Delete(ROOT, ports, ROOT_DEPTH));
    EXPECT_EQ(exits_of_port(e, &g, 0xfffc), 7);
}

TEST(svm_ports_of_one_guest_are_not_anothers)
{
    struct guest a = new_svm_guest(e), b = new_guest(e, seL4_CapInitThreadTCB, 1);
    seL4_CPtr ports = issue_ports(e, 0x80, 0x83);

    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(a.vcpu, ports, 0x80, 0x83));
    GUEST_LOAD(&b, GUEST_LONG, svm_guest_port);
    EXPECT_EQ(exits_of_port(e, &b, 0x80), 7);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(b.vcpu, ports, 0x80, 0x83));
    EXPECT_EQ(exits_of_port(e, &b, 0x80), 0);
    EXPECT_OK(seL4_X86_VCPU_SetTCB(a.vcpu, seL4_CapInitThreadTCB));
    EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, a.ept_root));
    GUEST_LOAD(&a, GUEST_LONG, svm_guest_port);
    EXPECT_EQ(exits_of_port(e, &a, 0x80), 7); /* the capability is enabled for one at a time */
}
