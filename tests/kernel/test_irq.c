/* Interrupts: how handlers are had, and how a real one arrives. */
#include "tests/kernel/devices.h"
#include "tests/kernel/short_call.h"

#define VECTOR_COUNT 108u
#define A_VECTOR     40u

static seL4_Error get_ioapic(seL4_CPtr slot, seL4_Word ioapic, seL4_Word pin, seL4_Word level, seL4_Word low,
                             seL4_Word vector)
{
    return seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, ROOT, slot, ROOT_DEPTH, ioapic, pin, level, low, vector);
}

static seL4_Error get_msi(seL4_CPtr slot, seL4_Word bus, seL4_Word device, seL4_Word function, seL4_Word vector)
{
    return seL4_IRQControl_GetMSI(seL4_CapIRQControl, ROOT, slot, ROOT_DEPTH, bus, device, function, 0, vector);
}

static seL4_CPtr pit_handler(struct env *e)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(get_ioapic(slot, 0, PIT_PIN, 0, 0, A_VECTOR));
    return slot;
}

/* The PIT, stopped, with its interrupt acknowledged. */
struct pit {
    seL4_CPtr handler, ports, notification;
};

static struct pit new_pit(struct env *e, seL4_Word badge)
{
    struct pit pit = { .ports = issue_ports(e, PIT_CHANNEL0, PIT_COMMAND) };

    pit.handler = pit_handler(e);
    pit.notification = new_object(e, seL4_NotificationObject, 0);
    EXPECT_OK(seL4_IRQHandler_SetNotification(pit.handler, badged(e, pit.notification, badge)));
    EXPECT_OK(seL4_IRQHandler_Ack(pit.handler));
    pit_stop(e, pit.ports);
    /* It may have been running until now, so that two interrupts come. */
    EXPECT_EQ(signalled_within(e, pit.notification, 500), badge);
    EXPECT_OK(seL4_IRQHandler_Ack(pit.handler));
    signalled_within(e, pit.notification, 10);
    EXPECT_OK(seL4_IRQHandler_Ack(pit.handler));
    return pit;
}

TEST(interrupt_sources_out_of_range_are_refused)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_EQ(get_ioapic(slot, 0, 5, 0, 0, VECTOR_COUNT), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_GetMR(1), VECTOR_COUNT - 1);
    EXPECT_EQ(get_ioapic(slot, 0, 5, 0, 0, ~0ul), seL4_RangeError);
    EXPECT_EQ(get_ioapic(slot, 1, 5, 0, 0, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(1), 0);
    EXPECT_EQ(get_ioapic(slot, 1ul << 32, 5, 0, 0, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(get_ioapic(slot, 0, 24, 0, 0, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_GetMR(1), 23);
    EXPECT_EQ(get_ioapic(slot, 0, 1ul << 32, 0, 0, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(get_ioapic(slot, 0, 5, 2, 0, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(1), 1);
    EXPECT_EQ(get_ioapic(slot, 0, 5, 0, 2, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(get_msi(slot, 256, 0, 0, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(1), 255);
    EXPECT_EQ(get_msi(slot, 0, 32, 0, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(1), 31);
    EXPECT_EQ(get_msi(slot, 0, 0, 8, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(seL4_GetMR(1), 7);
    EXPECT_EQ(get_msi(slot, 0, 0, 0, VECTOR_COUNT), seL4_RangeError);
    EXPECT(slot_is_empty(slot));
}

TEST(vector_has_one_handler_at_a_time)
{
    seL4_CPtr slot = new_slot(e), other = new_slot(e);

    EXPECT_OK(get_ioapic(slot, 0, 5, 1, 1, A_VECTOR));
    EXPECT_EQ(get_ioapic(other, 0, 6, 1, 1, A_VECTOR), seL4_RevokeFirst);
    EXPECT_EQ(get_msi(other, 0, 0, 0, A_VECTOR), seL4_RevokeFirst);
    EXPECT_EQ(get_ioapic(slot, 0, 6, 1, 1, A_VECTOR + 1), seL4_DeleteFirst);
    EXPECT_OK(get_msi(other, 0, 0, 0, A_VECTOR + 1));
    /* A copy keeps it. */
    seL4_CPtr copy = copy_of(e, slot, seL4_AllRights);
    EXPECT_OK(seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH));
    EXPECT_EQ(get_ioapic(slot, 0, 5, 1, 1, A_VECTOR), seL4_RevokeFirst);
    EXPECT_OK(seL4_CNode_Delete(ROOT, copy, ROOT_DEPTH));
    EXPECT_OK(get_ioapic(slot, 0, 5, 1, 1, A_VECTOR));
}

TEST(handlers_slot_must_exist_and_be_empty)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    EXPECT_EQ(get_ioapic(endpoint, 0, 5, 0, 0, A_VECTOR), seL4_DeleteFirst);
    EXPECT_EQ(seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, endpoint, 0, ROOT_DEPTH, 0, 5, 0, 0, A_VECTOR),
              seL4_FailedLookup);
    EXPECT_EQ(seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, ROOT, 0, 0, 0, 5, 0, 0, A_VECTOR), seL4_RangeError);
    EXPECT_EQ(seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, ROOT, 1ul << 40, ROOT_DEPTH, 0, 5, 0, 0, A_VECTOR),
              seL4_FailedLookup);
}

TEST(lines_of_the_legacy_controller_are_not_given_out)
{
    EXPECT_EQ(seL4_IRQControl_Get(seL4_CapIRQControl, 1, ROOT, new_slot(e), ROOT_DEPTH), seL4_IllegalOperation);
    EXPECT_EQ(seL4_IRQControl_Get(seL4_CapIRQControl, 20, ROOT, new_slot(e), ROOT_DEPTH), seL4_IllegalOperation);
    EXPECT_EQ(seL4_IRQControl_Get(seL4_CapIRQControl, ~0ul, ROOT, new_slot(e), ROOT_DEPTH), seL4_IllegalOperation);
}

TEST(interrupt_invocations_that_miss_something_are_truncated)
{
    EXPECT_TRUNCATED(seL4_CapIRQControl, ROOT,
        { X86IRQIssueIRQHandlerIOAPIC, 6, 1 }, { X86IRQIssueIRQHandlerIOAPIC, 7, 0 },
        { X86IRQIssueIRQHandlerMSI, 6, 1 }, { X86IRQIssueIRQHandlerMSI, 7, 0 },
        { IRQIssueIRQHandler, 2, 1 }, { IRQIssueIRQHandler, 3, 0 });
    EXPECT_TRUNCATED(pit_handler(e), ROOT, { IRQSetIRQHandler, 0, 0 });
}

TEST(labels_of_other_objects_are_illegal_for_interrupts)
{
    seL4_CPtr handler = pit_handler(e);

    EXPECT_EQ(short_call(seL4_CapIRQControl, IRQAckIRQ, 7, 0), seL4_IllegalOperation);
    EXPECT_EQ(short_call(seL4_CapIRQControl, TCBSuspend, 7, 0), seL4_IllegalOperation);
    EXPECT_EQ(short_call(handler, X86IRQIssueIRQHandlerIOAPIC, 7, 0), seL4_IllegalOperation);
    EXPECT_EQ(short_call(handler, 0, 0, 0), seL4_IllegalOperation);
}

TEST(handler_signals_writable_notifications_only)
{
    seL4_CPtr handler = pit_handler(e);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    EXPECT_EQ(seL4_IRQHandler_SetNotification(handler, new_object(e, seL4_EndpointObject, 0)), seL4_InvalidCapability);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_IRQHandler_SetNotification(handler, copy_of(e, notification, seL4_CanRead)), seL4_InvalidCapability);
    EXPECT_EQ(seL4_IRQHandler_SetNotification(handler, new_slot(e)), seL4_InvalidCapability);
    EXPECT_OK(seL4_IRQHandler_SetNotification(handler, copy_of(e, notification, seL4_CanWrite)));
    EXPECT_OK(seL4_IRQHandler_SetNotification(handler, notification));
    EXPECT_OK(seL4_IRQHandler_Clear(handler));
    EXPECT_OK(seL4_IRQHandler_Clear(handler));
}

TEST(interrupt_control_cannot_be_copied)
{
    EXPECT_EQ(seL4_CNode_Copy(ROOT, new_slot(e), ROOT_DEPTH, ROOT, seL4_CapIRQControl, ROOT_DEPTH, seL4_AllRights),
              seL4_IllegalOperation);
}

TEST(timer_interrupt_is_a_signal_with_the_badge_of_its_capability)
{
    struct pit pit = new_pit(e, 0x40);

    seL4_Word begin = read_tsc();
    pit_one_shot(e, pit.ports, 20);
    EXPECT_EQ(signalled_within(e, pit.notification, 500), 0x40);
    EXPECT(read_tsc() - begin > 15 * tsc_per_millisecond(e));
    EXPECT_EQ(signalled_within(e, pit.notification, 50), 0);
}

TEST(interrupt_stays_masked_until_it_is_acknowledged)
{
    struct pit pit = new_pit(e, 1);

    pit_periodic(e, pit.ports, 5);
    EXPECT_EQ(signalled_within(e, pit.notification, 200), 1);
    signalled_within(e, pit.notification, 10); /* a second one may have been on its way already */
    EXPECT_EQ(signalled_within(e, pit.notification, 50), 0);
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(seL4_IRQHandler_Ack(pit.handler));
        EXPECT_EQ(signalled_within(e, pit.notification, 200), 1);
    }
    pit_stop(e, pit.ports);
}

TEST(interrupt_without_notification_signals_nobody)
{
    struct pit pit = new_pit(e, 1);

    EXPECT_OK(seL4_IRQHandler_Clear(pit.handler));
    pit_periodic(e, pit.ports, 5);
    EXPECT_EQ(signalled_within(e, pit.notification, 50), 0);
    EXPECT_OK(seL4_IRQHandler_SetNotification(pit.handler, badged(e, pit.notification, 1)));
    EXPECT_OK(seL4_IRQHandler_Ack(pit.handler));
    EXPECT_EQ(signalled_within(e, pit.notification, 200), 1);

    /* Nor does one whose notification, or whose handler, is gone. */
    seL4_CPtr other = new_object(e, seL4_NotificationObject, 0);
    EXPECT_OK(seL4_IRQHandler_SetNotification(pit.handler, badged(e, other, 2)));
    EXPECT_OK(seL4_CNode_Revoke(ROOT, other, ROOT_DEPTH));
    EXPECT_OK(seL4_IRQHandler_Ack(pit.handler));
    EXPECT_EQ(signalled_within(e, other, 50), 0);
    EXPECT_OK(seL4_IRQHandler_SetNotification(pit.handler, badged(e, pit.notification, 3)));
    EXPECT_OK(seL4_CNode_Delete(ROOT, pit.handler, ROOT_DEPTH));
    EXPECT_EQ(signalled_within(e, pit.notification, 50), 0);
    pit_stop(e, pit.ports);
}

static void wait_for_signals(struct env *e, struct thread *t, seL4_Word notification)
{
    (void)e;
    for (;;) {
        seL4_Word badge;
        seL4_Wait(notification, &badge);
        t->result[0] += badge;
    }
}

TEST(interrupt_wakes_a_more_important_thread_at_once)
{
    struct pit pit = new_pit(e, 5);
    struct thread *t = new_thread(e, 0);

    start(t, wait_for_signals, pit.notification, ABOVE_ROOT);
    pit_one_shot(e, pit.ports, 10);
    /* No system call here: only the interrupt leads into the kernel. */
    for (seL4_Word end = read_tsc() + 500 * tsc_per_millisecond(e); t->result[0] == 0 && read_tsc() < end;)
        ;
    EXPECT_EQ(t->result[0], 5);
}

TEST(idle_processor_is_woken_by_an_interrupt)
{
    struct pit pit = new_pit(e, 6);
    seL4_Word badge, begin = read_tsc();

    pit_one_shot(e, pit.ports, 30);
    seL4_Wait(pit.notification, &badge);
    EXPECT_EQ(badge, 6);
    EXPECT(read_tsc() - begin > 20 * tsc_per_millisecond(e));
}

TEST(two_interrupts_at_one_notification_are_told_apart)
{
    struct pit pit = new_pit(e, 1);
    seL4_CPtr rtc = new_slot(e), ports = issue_ports(e, RTC_INDEX, RTC_DATA);
    seL4_Word seen = 0;

    EXPECT_OK(get_ioapic(rtc, 0, RTC_PIN, 0, 0, A_VECTOR + 1));
    EXPECT_OK(seL4_IRQHandler_SetNotification(rtc, badged(e, pit.notification, 2)));
    port_out(e, ports, RTC_INDEX, 0x8a);
    seL4_Word a = port_in(e, ports, RTC_DATA);
    port_out(e, ports, RTC_DATA, (a & 0x70) | 6); /* 1024 a second */
    port_out(e, ports, RTC_INDEX, 0x8b);
    seL4_Word b = port_in(e, ports, RTC_DATA);
    port_out(e, ports, RTC_DATA, b | 0x40);
    port_out(e, ports, RTC_INDEX, 0x8c);
    port_in(e, ports, RTC_DATA);
    EXPECT_OK(seL4_IRQHandler_Ack(rtc));
    pit_one_shot(e, pit.ports, 10);
    for (int i = 0; i < 20 && seen != 3; i++)
        seen |= signalled_within(e, pit.notification, 20);
    port_out(e, ports, RTC_INDEX, 0x8b);
    port_out(e, ports, RTC_DATA, b);
    port_out(e, ports, RTC_INDEX, 0x0c);
    port_in(e, ports, RTC_DATA);
    EXPECT_EQ(seen, 3);
}
