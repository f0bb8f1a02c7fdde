/* Guests among threads: several of them, interrupts and signals while they run, and their end. */
#include "tests/kernel/devices.h"
#include "tests/kernel/svm_guest.h"

#define MR(name) word[SEL4_VMENTER_FAULT_##name]

/* Implemented in guest_code.S. */
void vector_set(uint64_t value);
uint64_t vector_get(void);

static struct guest new_thread_guest(struct env *e, struct thread **t, unsigned number)
{
    *t = new_thread(e, 0);
    return new_guest(e, (*t)->tcb, number);
}

static void keep_number(struct env *e, struct guest *g, seL4_Word number)
{
    seL4_VCPUContext registers = { .r8 = number };

    GUEST_LOAD(g, GUEST_LONG, guest_keep);
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g->vcpu, &registers));
}

/* One monitor after the other, each time with another VMCS or VMCB. */
TEST(guests_that_take_turns_do_not_disturb_each_other)
{
    enum { GUESTS = 3, ROUNDS = 40 };
    struct thread *t[GUESTS];
    struct guest g[GUESTS];

    if (!e->is_ours)
        skip(e, "upstream's guests share CR2 and the debug registers");
    for (unsigned i = 0; i < GUESTS; i++) {
        g[i] = new_thread_guest(e, &t[i], i);
        keep_number(e, &g[i], 0x1000 + i * 0x1111);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < GUESTS; i++) {
            start(t[i], guest_run_once, (seL4_Word)&g[i], ABOVE_ROOT);
            EXPECT_EQ(t[i]->finished, 1);
            EXPECT_EQ(t[i]->result[0], SEL4_VMENTER_RESULT_FAULT);
            EXPECT_EQ(g[i].MR(REASON_MR), guest_reason(&g[i], GUEST_CALLS));
            EXPECT_EQ(g[i].MR(EAX), 0);
            guest_skip(&g[i]);
        }
    }
}

TEST(vcpu_goes_from_one_thread_to_another)
{
    struct thread *t[2] = { new_thread(e, 0), new_thread(e, 0) };
    struct guest g = new_guest(e, t[0]->tcb, 0);

    EXPECT_OK(seL4_TCB_SetEPTRoot(t[1]->tcb, g.ept_root));
    keep_number(e, &g, 0x4321);
    for (unsigned round = 0; round < 6; round++) {
        struct thread *now = t[round % 2];
        EXPECT_OK(seL4_X86_VCPU_SetTCB(g.vcpu, now->tcb));
        start(now, guest_run_once, (seL4_Word)&g, ABOVE_ROOT);
        EXPECT_EQ(now->finished, 1);
        EXPECT_EQ(g.MR(REASON_MR), guest_reason(&g, GUEST_CALLS));
        if (e->is_ours)
            EXPECT_EQ(g.MR(EAX), 0);
        guest_skip(&g);
    }
}

TEST(endless_guest_is_preempted_by_a_thread_of_its_priority)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);

    GUEST_LOAD(&g, GUEST_LONG, guest_count);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    seL4_Word before = *guest_word(&g, GUEST_RESULTS);
    for (unsigned round = 0; round < 5; round++) {
        seL4_Yield();
        seL4_Word now = *guest_word(&g, GUEST_RESULTS);
        EXPECT(now > before);
        before = now;
    }
    EXPECT_EQ(t->finished, 0);
    EXPECT_OK(seL4_TCB_Suspend(t->tcb));
    before = *guest_word(&g, GUEST_RESULTS);
    seL4_Yield();
    EXPECT_EQ(*guest_word(&g, GUEST_RESULTS), before);
}

TEST(halted_guest_is_preempted_too)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);

    GUEST_LOAD(&g, GUEST_LONG, guest_count);
    if (e->has_svm) {
        GUEST_LOAD(&g, GUEST_LONG, svm_guest_idle);
        guest_write(&g, VMCB_INTERCEPT_1, 0);
    } else {
        guest_write(&g, VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_HALTED);
        guest_write(&g, VMCS_GUEST_RFLAGS, 0x202);
    }
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    for (unsigned round = 0; round < 3; round++)
        seL4_Yield();
    EXPECT_EQ(t->finished, 0);
}

TEST(guest_has_vector_registers_though_its_monitor_may_use_none)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);
    seL4_VCPUContext registers = { .ebx = 0x1234 };

    EXPECT_OK(seL4_TCB_SetFlags(t->tcb, 0, seL4_TCBFlag_fpuDisabled).error);
    GUEST_LOAD(&g, GUEST_LONG, guest_vector);
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g.vcpu, &registers));
    vector_set(0x9999);
    for (unsigned round = 0; round < 5; round++) {
        start(t, guest_run_once, (seL4_Word)&g, ABOVE_ROOT);
        EXPECT_EQ(t->finished, 1);
        EXPECT_EQ(g.MR(REASON_MR), guest_reason(&g, GUEST_CALLS));
        EXPECT_EQ(g.MR(EBX), 0x1234);
        EXPECT_EQ(vector_get(), 0x9999);
        guest_skip(&g);
    }
}

TEST(device_interrupt_reaches_its_thread_while_a_guest_runs)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);
    seL4_CPtr ports = issue_ports(e, PIT_CHANNEL0, PIT_COMMAND), handler = new_slot(e);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);
    seL4_Word badge;

    EXPECT_OK(seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, ROOT, handler, ROOT_DEPTH, 0, PIT_PIN, 0, 0, 2));
    EXPECT_OK(seL4_IRQHandler_SetNotification(handler, badged(e, notification, 5)));
    EXPECT_OK(seL4_IRQHandler_Ack(handler));
    GUEST_LOAD(&g, GUEST_LONG, guest_count);
    start(t, guest_run_once, (seL4_Word)&g, BELOW_ROOT);
    for (unsigned round = 0; round < 5; round++) {
        seL4_Word count = *guest_word(&g, GUEST_RESULTS);
        pit_one_shot(e, ports, 3);
        seL4_Wait(notification, &badge);
        EXPECT_EQ(badge, 5);
        EXPECT(*guest_word(&g, GUEST_RESULTS) > count);
        EXPECT_OK(seL4_IRQHandler_Ack(handler));
    }
    pit_stop(e, ports);
    EXPECT_EQ(t->finished, 0);
}

TEST(signal_that_waits_is_taken_before_the_guest_runs)
{
    struct guest g = new_guest(e, seL4_CapInitThreadTCB, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    EXPECT_OK(seL4_TCB_BindNotification(seL4_CapInitThreadTCB, notification));
    GUEST_LOAD(&g, GUEST_LONG, guest_halt);
    seL4_Signal(badged(e, notification, 0x70));
    seL4_Signal(badged(e, notification, 0x07));
    g.event = 0x123;
    EXPECT_EQ(guest_enter(&g), SEL4_VMENTER_RESULT_NOTIF);
    EXPECT_EQ(g.badge, 0x77);
    EXPECT_EQ(g.rip, GUEST_CODE);
    EXPECT_EQ(g.event, 0x123);
    EXPECT_EQ(guest_read(&g, e->has_svm ? VMCB_RIP : VMCS_GUEST_RIP), GUEST_CODE);
    EXPECT_EQ(guest_read(&g, e->has_svm ? VMCB_EVENT_INJECTION : VMCS_ENTRY_INTERRUPTION_INFO), 0x123);
    g.event = 0;
    EXPECT_STOP(&g, GUEST_HALTS);
}

TEST(signal_ends_a_guests_run_and_it_can_go_on)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0), signal = badged(e, notification, 9);

    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    GUEST_LOAD(&g, GUEST_LONG, guest_count_once);
    start(t, guest_run_on, (seL4_Word)&g, ROOT_PRIORITY);
    for (seL4_Word round = 1; round <= 4; round++) {
        seL4_Yield();
        EXPECT_EQ(t->finished, 0);
        EXPECT_EQ(*guest_word(&g, GUEST_RESULTS), 1); /* the guest goes on where it was */
        seL4_Signal(signal);
        seL4_Yield();
        EXPECT_EQ(t->result[1], round);
        EXPECT_EQ(g.badge, 9);
        EXPECT(g.rip > GUEST_CODE);
        EXPECT_EQ(g.event, 0);
    }
    EXPECT_EQ(t->finished, 0);
}

TEST(signal_by_a_less_important_thread_ends_the_run_at_once)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    GUEST_LOAD(&g, GUEST_LONG, guest_count_once);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    seL4_Yield();
    EXPECT_EQ(t->finished, 0);
    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, BELOW_ROOT));
    seL4_Signal(notification);
    EXPECT_EQ(t->finished, 0);
    EXPECT_OK(seL4_TCB_SetPriority(t->tcb, seL4_CapInitThreadTCB, ABOVE_ROOT));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(t->result[0], SEL4_VMENTER_RESULT_NOTIF);
}

TEST(thread_suspended_in_its_guest_goes_on_there)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);
    seL4_UserContext regs;

    GUEST_LOAD(&g, GUEST_LONG, guest_count_once);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    seL4_Yield();
    EXPECT_EQ(*guest_word(&g, GUEST_RESULTS), 1);
    EXPECT_OK(seL4_TCB_ReadRegisters(t->tcb, 1, 0, sizeof regs / sizeof(seL4_Word), &regs));
    seL4_Yield();
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    seL4_Yield();
    EXPECT_EQ(t->finished, 0);
    /* Upstream's begins anew with what the system call said. */
    EXPECT_EQ(*guest_word(&g, GUEST_RESULTS), e->is_ours ? 1 : 2);
    EXPECT_OK(seL4_TCB_Resume(t->tcb));
    seL4_Yield();
    EXPECT_EQ(t->finished, 0);
}

static void expect_lost_guest(struct env *e, struct thread *t, const struct guest *g)
{
    seL4_Yield();
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(t->result[0], SEL4_VMENTER_RESULT_FAULT);
    EXPECT_EQ(g->MR(REASON_MR), guest_reason(g, GUEST_IS_REFUSED));
    EXPECT_EQ(g->MR(QUALIFICATION_MR), ~0ul);
}

TEST(vcpu_that_is_deleted_ends_its_guests_run)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);

    if (!e->is_ours)
        skip(e, "upstream's kernel faults");
    GUEST_LOAD(&g, GUEST_LONG, guest_count);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    seL4_Yield();
    EXPECT_OK(seL4_CNode_Delete(ROOT, g.vcpu, ROOT_DEPTH));
    expect_lost_guest(e, t, &g);
}

TEST(vcpu_that_is_given_away_ends_its_guests_run)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0), other = { .env = e };

    if (!e->is_ours)
        skip(e, "upstream's kernel faults");
    GUEST_LOAD(&g, GUEST_LONG, guest_count);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    seL4_Yield();
    EXPECT_OK(seL4_X86_VCPU_SetTCB(g.vcpu, seL4_CapInitThreadTCB));
    expect_lost_guest(e, t, &g);

    EXPECT_OK(seL4_X86_VCPU_SetTCB(g.vcpu, t->tcb));
    g.rip = GUEST_CODE;
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    seL4_Yield();
    EXPECT_EQ(t->finished, 0);
    other.vcpu = new_object(e, seL4_X86_VCPUObject, 0);
    EXPECT_OK(seL4_X86_VCPU_SetTCB(other.vcpu, t->tcb));
    expect_lost_guest(e, t, &g);
}

TEST(thread_that_is_deleted_in_its_guest_leaves_the_vcpu_behind)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);

    GUEST_LOAD(&g, GUEST_LONG, guest_count_once);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    seL4_Yield();
    EXPECT_OK(seL4_CNode_Delete(ROOT, t->tcb, ROOT_DEPTH));
    seL4_Yield();
    EXPECT_OK(seL4_X86_VCPU_SetTCB(g.vcpu, seL4_CapInitThreadTCB));
    EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, g.ept_root));
    EXPECT_EQ(*guest_word(&g, GUEST_RESULTS), 1);
    GUEST_LOAD(&g, GUEST_LONG, guest_halt);
    EXPECT_STOP(&g, GUEST_HALTS);
}

TEST(vcpus_are_made_and_deleted_while_a_guest_runs)
{
    struct thread *t;
    struct guest g = new_thread_guest(e, &t, 0);
    seL4_CPtr untyped = new_untyped(e, seL4_X86_VCPUBits), slot = new_slot(e);
    struct guest other = { .env = e, .vcpu = slot };
    seL4_Word field = e->has_svm ? VMCB_RSP : VMCS_GUEST_RSP;

    GUEST_LOAD(&g, GUEST_LONG, guest_count);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    for (unsigned round = 0; round < 20; round++) {
        seL4_Word count = *guest_word(&g, GUEST_RESULTS);
        EXPECT_OK(seL4_Untyped_Retype(untyped, seL4_X86_VCPUObject, 0, ROOT, 0, 0, slot, 1));
        EXPECT_EQ(guest_read(&other, field), 0);
        guest_write(&other, field, round + 1);
        if (round % 5 == 0) {
            seL4_Yield();
            EXPECT(*guest_word(&g, GUEST_RESULTS) > count);
        }
        EXPECT_OK(seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH));
    }
    EXPECT_EQ(t->finished, 0);
}
