/* I/O ports. */
#include "tests/kernel/devices.h"
#include "tests/kernel/short_call.h"

/* Ports where PCs have nothing. */
#define FREE_PORT 0x2900u

static seL4_Error issue(seL4_CPtr slot, seL4_Word first, seL4_Word last)
{
    return seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, first, last, ROOT, slot, ROOT_DEPTH);
}

TEST(port_ranges_are_issued_once)
{
    seL4_CPtr slot = new_slot(e), other = new_slot(e);

    EXPECT_OK(issue(slot, FREE_PORT + 10, FREE_PORT + 100));
    EXPECT_EQ(issue(other, FREE_PORT + 10, FREE_PORT + 100), seL4_RevokeFirst);
    EXPECT_EQ(issue(other, FREE_PORT + 100, FREE_PORT + 100), seL4_RevokeFirst);
    EXPECT_EQ(issue(other, FREE_PORT, FREE_PORT + 10), seL4_RevokeFirst);
    EXPECT_EQ(issue(other, FREE_PORT, FREE_PORT + 200), seL4_RevokeFirst);
    EXPECT_EQ(issue(other, FREE_PORT + 50, FREE_PORT + 60), seL4_RevokeFirst);
    EXPECT_OK(issue(other, FREE_PORT, FREE_PORT + 9));
    EXPECT_OK(issue(new_slot(e), FREE_PORT + 101, FREE_PORT + 200));
}

TEST(ports_are_free_again_when_the_last_capability_is_gone)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(issue(slot, FREE_PORT, FREE_PORT + 0x1ff));
    seL4_CPtr copy = copy_of(e, slot, seL4_AllRights);
    EXPECT_OK(seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH));
    EXPECT_EQ(issue(slot, FREE_PORT + 0x100, FREE_PORT + 0x100), seL4_RevokeFirst);
    EXPECT_OK(seL4_CNode_Delete(ROOT, copy, ROOT_DEPTH));
    EXPECT_OK(issue(slot, FREE_PORT, FREE_PORT + 0x1ff));
}

TEST(all_ports_at_once_can_be_had)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(issue(slot, 0, 0xffff));
    EXPECT_EQ(issue(new_slot(e), 0xffff, 0xffff), seL4_RevokeFirst);
    EXPECT_EQ(issue(new_slot(e), 0, 0), seL4_RevokeFirst);
    EXPECT_EQ(seL4_X86_IOPort_In8(slot, 0xffff).error, seL4_NoError);
    EXPECT_EQ(seL4_X86_IOPort_In16(slot, 0xffff).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_In32(slot, 0xfffd).error, seL4_IllegalOperation);
}

TEST(range_that_ends_before_it_begins_is_refused)
{
    EXPECT_EQ(issue(new_slot(e), FREE_PORT + 1, FREE_PORT), seL4_InvalidArgument);
    EXPECT_EQ(seL4_GetMR(0), 1);
}

TEST(port_slot_must_exist_and_be_empty)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    EXPECT_EQ(issue(endpoint, FREE_PORT, FREE_PORT), seL4_DeleteFirst);
    EXPECT_EQ(issue(1ul << 40, FREE_PORT, FREE_PORT), seL4_FailedLookup);
    EXPECT_EQ(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, FREE_PORT, FREE_PORT, endpoint, 0, ROOT_DEPTH),
              seL4_FailedLookup);
    EXPECT_EQ(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, FREE_PORT, FREE_PORT, ROOT, new_slot(e), 65),
              seL4_RangeError);
    /* None of these has taken the port. */
    EXPECT_OK(issue(new_slot(e), FREE_PORT, FREE_PORT));
}

TEST(port_invocations_that_miss_something_are_truncated)
{
    EXPECT_TRUNCATED(seL4_CapIOPortControl, ROOT, { X86IOPortControlIssue, 3, 1 }, { X86IOPortControlIssue, 4, 0 });
    EXPECT_TRUNCATED(issue_ports(e, FREE_PORT, FREE_PORT + 8), ROOT,
        { X86IOPortIn8, 0, 0 }, { X86IOPortIn16, 0, 0 }, { X86IOPortIn32, 0, 0 },
        { X86IOPortOut8, 1, 0 }, { X86IOPortOut16, 1, 0 }, { X86IOPortOut32, 1, 0 });
}

TEST(labels_of_other_objects_are_illegal_for_ports)
{
    seL4_CPtr ports = issue_ports(e, FREE_PORT, FREE_PORT);

    EXPECT_EQ(short_call(seL4_CapIOPortControl, X86IOPortIn8, 4, 0), seL4_IllegalOperation);
    EXPECT_EQ(short_call(ports, X86IOPortControlIssue, 4, 0), seL4_IllegalOperation);
    EXPECT_EQ(short_call(ports, TCBResume, 4, 0), seL4_IllegalOperation);
}

TEST(accesses_stay_within_the_range)
{
    seL4_CPtr ports = issue_ports(e, FREE_PORT + 4, FREE_PORT + 7);

    EXPECT_EQ(seL4_X86_IOPort_In8(ports, FREE_PORT + 4).error, seL4_NoError);
    EXPECT_EQ(seL4_X86_IOPort_In8(ports, FREE_PORT + 7).error, seL4_NoError);
    EXPECT_EQ(seL4_X86_IOPort_In32(ports, FREE_PORT + 4).error, seL4_NoError);
    EXPECT_EQ(seL4_X86_IOPort_In16(ports, FREE_PORT + 6).error, seL4_NoError);
    EXPECT_EQ(seL4_X86_IOPort_In8(ports, FREE_PORT + 3).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_In8(ports, FREE_PORT + 8).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_In16(ports, FREE_PORT + 3).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_In16(ports, FREE_PORT + 7).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_In32(ports, FREE_PORT + 5).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_Out8(ports, FREE_PORT + 8, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_Out16(ports, FREE_PORT + 7, 0), seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_Out32(ports, FREE_PORT + 5, 0), seL4_IllegalOperation);
    EXPECT_OK(seL4_X86_IOPort_Out32(ports, FREE_PORT + 4, ~0ul));
    EXPECT_OK(seL4_X86_IOPort_Out16(ports, FREE_PORT + 6, ~0ul));
    EXPECT_OK(seL4_X86_IOPort_Out8(ports, FREE_PORT + 7, ~0ul));
}

TEST(port_numbers_are_16_bits)
{
    seL4_CPtr ports = issue_ports(e, RTC_INDEX, RTC_DATA);

    EXPECT_OK(seL4_X86_IOPort_Out8(ports, 0x50000 + RTC_INDEX, 0));
    seL4_SetMR(0, 0x30000 + RTC_DATA);
    EXPECT_OK(short_call(ports, X86IOPortIn8, 1, 0));
    EXPECT(seL4_GetMR(0) <= 0xff);
}

TEST(values_go_to_the_device_and_come_back)
{
    seL4_CPtr rtc = issue_ports(e, RTC_INDEX, RTC_DATA), pci = issue_ports(e, 0xcf8, 0xcff);

    /* A byte of CMOS memory that nobody needs. */
    port_out(e, rtc, RTC_INDEX, 0x7f);
    seL4_Word old = port_in(e, rtc, RTC_DATA);
    port_out(e, rtc, RTC_DATA, 0x5a);
    port_out(e, rtc, RTC_INDEX, 0x7f);
    EXPECT_EQ(port_in(e, rtc, RTC_DATA), 0x5a);
    port_out(e, rtc, RTC_DATA, old);
    port_out(e, rtc, RTC_INDEX, 0x0d);

    /* PCI configuration space: the host bridge's vendor, in three widths. */
    EXPECT_OK(seL4_X86_IOPort_Out32(pci, 0xcf8, 0xffffffff80000000));
    EXPECT_EQ(seL4_X86_IOPort_In32(pci, 0xcf8).result, 0x80000000);
    seL4_X86_IOPort_In32_t both = seL4_X86_IOPort_In32(pci, 0xcfc);
    EXPECT_EQ(both.result & 0xffff, 0x8086);
    EXPECT_EQ(seL4_X86_IOPort_In16(pci, 0xcfe).result, both.result >> 16);
    EXPECT_EQ(seL4_X86_IOPort_In8(pci, 0xcfd).result, 0x80);
}

TEST(port_control_cannot_be_copied)
{
    EXPECT_EQ(seL4_CNode_Copy(ROOT, new_slot(e), ROOT_DEPTH, ROOT, seL4_CapIOPortControl, ROOT_DEPTH, seL4_AllRights),
              seL4_IllegalOperation);
}

TEST(capability_slots_of_threads_are_no_ports)
{
    EXPECT_EQ(seL4_X86_IOPort_In8(seL4_CapInitThreadTCB, 0x60).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_IOPort_Out8(new_slot(e), 0x60, 0), seL4_InvalidCapability);
}
