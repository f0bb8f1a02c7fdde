/* Events that a monitor gives to its guest on AMD-V, and when the guest can take them. */
#include "tests/kernel/svm_guest.h"

#define MR(name) word[SEL4_VMENTER_FAULT_##name]

#define RFLAGS_IF 0x200u

static void load_event_program(struct guest *g, unsigned vector, bool with_error)
{
    extern const char svm_guest_event[], svm_guest_event_error[], svm_guest_event_plain[];

    GUEST_LOAD(g, GUEST_LONG, svm_guest_event);
    guest_set_gate(g, vector, GUEST_ADDRESS(svm_guest_event, with_error ? svm_guest_event_error : svm_guest_event_plain));
    guest_write(g, VMCB_RFLAGS, RFLAGS_IF | 2);
}

TEST(svm_events_of_each_type_are_delivered_at_the_entry)
{
    struct guest g = new_svm_guest(e);
    static const struct {
        seL4_Word event, error;
    } events[] = {
        { SVM_EVENT_INTERRUPT | 0x30, 0 },
        { SVM_EVENT_INTERRUPT | 0xff, 0 },
        { SVM_EVENT_NMI | 2, 0 },
        { SVM_EVENT_EXCEPTION | 6, 0 },
        { SVM_EVENT_EXCEPTION | SVM_EVENT_ERROR_CODE | 13, 0x1234 },
        { SVM_EVENT_EXCEPTION | SVM_EVENT_ERROR_CODE | 14, 0x5 },
        { SVM_EVENT_SOFTWARE | 0x80, 0 },
    };

    for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
        load_event_program(&g, events[i].event & SVM_EVENT_VECTOR, events[i].event & SVM_EVENT_ERROR_CODE);
        g.event = SVM_EVENT_VALID | events[i].event | events[i].error << SVM_EVENT_ERROR_SHIFT;
        EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
        EXPECT_EQ(g.MR(EBX), GUEST_CODE);
        EXPECT_EQ(g.MR(EAX), events[i].error);
        EXPECT_EQ(g.MR(RFLAGS_MR) & RFLAGS_IF, 0);
        EXPECT_EQ(g.event & SVM_EVENT_VALID, 0);
        EXPECT_EQ(guest_read(&g, VMCB_EVENT_INJECTION), 0); /* once only */
        EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g.vcpu, &(seL4_VCPUContext) { 0 }));
    }
}

TEST(svm_events_that_do_not_exist_are_failed_entries)
{
    struct guest g = new_svm_guest(e);
    static const seL4_Word events[] = {
        1u << 8 | 0x30, 5u << 8 | 0x30, 6u << 8 | 0x30, 7u << 8 | 0x30, SVM_EVENT_EXCEPTION | 2, SVM_EVENT_EXCEPTION | 200,
    };

    for (unsigned i = 0; i < sizeof events / sizeof *events; i++) {
        load_event_program(&g, 0x30, false);
        g.event = SVM_EVENT_VALID | events[i];
        EXPECT_EXIT(&g, SVM_EXIT_INVALID);
        g.event = SVM_EVENT_VALID | SVM_EVENT_INTERRUPT | 0x30;
        g.rip = GUEST_CODE;
        EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    }
}

TEST(svm_event_without_a_handler_is_a_shutdown)
{
    struct guest g = new_svm_guest(e);

    load_event_program(&g, 0x30, false);
    g.event = SVM_EVENT_VALID | SVM_EVENT_INTERRUPT | 0x31;
    EXPECT_EXIT(&g, SVM_EXIT_SHUTDOWN);
}

/* The stack is behind the guest's memory: the monitor is told what was to be delivered, and can do so again. */
TEST(svm_event_that_a_nested_page_fault_interrupts_is_told)
{
    struct guest g = new_svm_guest(e);
    seL4_Word event = SVM_EVENT_VALID | SVM_EVENT_INTERRUPT | 0x30;

    load_event_program(&g, 0x30, false);
    guest_write(&g, VMCB_RSP, 0x300000);
    g.event = event;
    EXPECT_EXIT(&g, SVM_EXIT_NESTED_PAGE_FAULT);
    EXPECT_EQ(g.MR(GUEST_PHYSICAL_MR) & ~0xffful, 0x2ff000);
    EXPECT_EQ(g.event & ~0xffffffff00000000, event);
    EXPECT_EQ(g.rip, GUEST_CODE);
    guest_write(&g, VMCB_RSP, GUEST_STACK);
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    EXPECT_EQ(g.MR(EBX), GUEST_CODE);
}

TEST(svm_interrupt_window_exits_when_the_guest_can_take_one)
{
    struct guest g = new_svm_guest(e);
    seL4_Word window = SVM_VIRTUAL_INTERRUPT | SVM_VIRTUAL_IGNORE_TPR;

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_window);
    g.controls = window;
    EXPECT_EXIT(&g, SVM_EXIT_CPUID); /* under STI's shadow */
    EXPECT_EQ(g.MR(GUEST_INT_MR), 1);
    EXPECT_EQ(g.MR(RFLAGS_MR) & RFLAGS_IF, RFLAGS_IF);
    EXPECT_EQ(g.controls, window);
    EXPECT_EQ(guest_read(&g, VMCB_INTERRUPT_SHADOW), 1);
    guest_write(&g, VMCB_INTERRUPT_SHADOW, 0);
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_VINTR);
    EXPECT_EQ(g.rip, GUEST_CODE + 3);
    g.controls = 0;
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    EXPECT_EQ(g.rip, GUEST_CODE + 4);
}

TEST(svm_interrupt_shadow_holds_a_virtual_interrupt_for_one_instruction)
{
    struct guest g = new_svm_guest(e);

    for (seL4_Word shadow = 0; shadow < 2; shadow++) {
        GUEST_LOAD(&g, GUEST_LONG, svm_guest_window);
        guest_write(&g, VMCB_RFLAGS, RFLAGS_IF | 2);
        guest_write(&g, VMCB_INTERRUPT_SHADOW, shadow);
        g.rip = GUEST_CODE + 3;
        g.controls = SVM_VIRTUAL_INTERRUPT | SVM_VIRTUAL_IGNORE_TPR;
        EXPECT_EXIT(&g, SVM_EXIT_VINTR);
        EXPECT(g.rip == GUEST_CODE + 3 + shadow || (shadow && g.rip == GUEST_CODE + 3)); /* QEMU enters without it */
    }
}

TEST(svm_guests_task_priority_holds_virtual_interrupts)
{
    struct guest g = new_svm_guest(e);

    for (seL4_Word priority = 1; priority < 16; priority += 2) {
        GUEST_LOAD(&g, GUEST_LONG, svm_guest_window);
        guest_write(&g, VMCB_RFLAGS, RFLAGS_IF | 2);
        g.rip = GUEST_CODE + 3;
        g.controls = SVM_VIRTUAL_INTERRUPT | priority << 16 | 8;
        EXPECT_EXIT(&g, priority > 8 ? SVM_EXIT_VINTR : SVM_EXIT_VMMCALL);
        EXPECT_EQ(g.controls & SVM_VIRTUAL_TPR, 8);
    }
}

TEST(svm_exceptions_exit_where_the_owner_wants_them)
{
    struct guest g = new_svm_guest(e);
    extern const char guest_step[], guest_step_after[];

    GUEST_LOAD(&g, GUEST_LONG, guest_syscall);
    guest_write(&g, VMCB_EFER, 0x500);
    guest_write(&g, VMCB_INTERCEPT_EXCEPTIONS, 1u << 6 | 1u << 1);
    EXPECT_EQ(guest_read(&g, VMCB_INTERCEPT_EXCEPTIONS), 1u << 6 | 1u << 1); /* and not the kernel's own */
    EXPECT_EXIT(&g, SVM_EXIT_EXCEPTION_0 + 6);

    GUEST_LOAD(&g, GUEST_LONG, guest_step);
    guest_write(&g, VMCB_INTERCEPT_EXCEPTIONS, 1u << 1);
    EXPECT_EXIT(&g, SVM_EXIT_EXCEPTION_0 + 1);
    EXPECT_EQ(g.rip, GUEST_ADDRESS(guest_step, guest_step_after));
}

TEST(svm_single_step_is_the_guests_own_affair)
{
    struct guest g = new_svm_guest(e);
    extern const char guest_step[], guest_step_after[], guest_step_handler[];

    GUEST_LOAD(&g, GUEST_LONG, guest_step);
    guest_set_gate(&g, 1, GUEST_ADDRESS(guest_step, guest_step_handler));
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    EXPECT_EQ(g.MR(EBX), GUEST_ADDRESS(guest_step, guest_step_after));
    EXPECT_EQ(g.MR(ECX) & 0x100, 0x100);
    EXPECT_EQ(g.MR(RFLAGS_MR) & 0x100, 0);
    EXPECT_EQ(g.MR(EAX) & 0xe00f, 1u << 14);
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    EXPECT_EQ(g.rip, GUEST_ADDRESS(guest_step, guest_step_after) + 1);
}

/* The handler of a breakpoint lies where the breakpoint is. */
TEST(svm_storm_of_debug_exceptions_is_interrupted)
{
    struct thread *t = new_thread(e, 0);
    if (!e->has_svm)
        skip(e, "no AMD-V");
    struct guest g = new_guest(e, t->tcb, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);
    extern const char svm_guest_storm[], svm_guest_storm_handler[], svm_guest_storm_over[];

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_storm);
    guest_set_gate(&g, 1, GUEST_ADDRESS(svm_guest_storm, svm_guest_storm_handler));
    *guest_word(&g, GUEST_IDT + 16) |= 1ul << 32;        /* a stack of its own, which is the same each time … */
    *(seL4_Word *)(g.memory + GUEST_TSS + 0x24) = 0x7000; /* … IST 1 */
    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    for (unsigned round = 0; round < 5; round++)
        seL4_Yield();
    EXPECT_EQ(t->finished, 0);
    seL4_Signal(notification);
    seL4_Yield();
    EXPECT_EQ(t->result[0], SEL4_VMENTER_RESULT_NOTIF);
    EXPECT_EQ(g.rip, GUEST_ADDRESS(svm_guest_storm, svm_guest_storm_handler));
    EXPECT_EQ(*guest_word(&g, GUEST_RESULTS), 0);
    /* A breakpoint that is left behind would end QEMU's process when another guest comes by. */
    g.rip = GUEST_ADDRESS(svm_guest_storm, svm_guest_storm_over);
    g.event = 0;
    start(t, guest_run_once, (seL4_Word)&g, ABOVE_ROOT);
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(g.MR(REASON_MR), SVM_EXIT_VMMCALL);
}
