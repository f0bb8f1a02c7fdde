/* Guests on AMD-V among threads, beyond what test_vm_threads.c has of both kinds of guest. */
#include "tests/kernel/gs_base.h"
#include "tests/kernel/svm_guest.h"

#define MR(name) word[SEL4_VMENTER_FAULT_##name]

#define GUESTS 20u /* QEMU has 16 ASIDs, of which one is the host's */

/* Implemented in guest_code.S. */
void vector_set(uint64_t value);
uint64_t vector_get(void);

static struct guest guests[GUESTS];

/* One thread runs them all. */
TEST(svm_more_guests_than_there_are_asids_do_not_disturb_each_other)
{
    if (!e->has_svm)
        skip(e, "no AMD-V");
    for (unsigned i = 0; i < GUESTS; i++) {
        guests[i] = new_guest(e, seL4_CapInitThreadTCB, i);
        GUEST_LOAD(&guests[i], GUEST_LONG, guest_keep);
        EXPECT_OK(seL4_X86_VCPU_WriteRegisters(guests[i].vcpu, &(seL4_VCPUContext) { .r8 = 0x1000 + (long)i * 0x111 }));
    }
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < GUESTS; i++) {
            struct guest *g = &guests[(i * (round + 1) * 3 + round) % GUESTS];

            EXPECT_OK(seL4_X86_VCPU_SetTCB(g->vcpu, seL4_CapInitThreadTCB));
            EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, g->ept_root));
            EXPECT_EXIT(g, SVM_EXIT_VMMCALL);
            EXPECT_EQ(g->MR(EAX), 0);
            guest_skip(g);
        }
    }
}

/* Each guest counts in its own memory, and each thread keeps what it has in vector registers and GS. */
static void hold_registers(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    set_gs_base(argument);
    vector_set(argument + 1);
    for (;;) {
        if (gs_base() != argument || vector_get() != argument + 1)
            t->result[0]++;
        t->result[1]++;
    }
}

TEST(svm_two_vms_and_two_threads_share_a_cpu_by_time)
{
    struct thread *t[4];
    struct guest g[2];

    if (!e->has_svm)
        skip(e, "no AMD-V");
    for (unsigned i = 0; i < 4; i++)
        t[i] = new_thread(e, 0);
    for (unsigned i = 0; i < 2; i++) {
        g[i] = new_guest(e, t[i]->tcb, i);
        GUEST_LOAD(&g[i], GUEST_LONG, guest_count);
        start(t[i], guest_run_once, (seL4_Word)&g[i], ROOT_PRIORITY);
        start(t[2 + i], hold_registers, 0x7000000 + i * 0x1000, ROOT_PRIORITY);
    }
    set_gs_base(0x123000);
    vector_set(0x9999);
    seL4_Word counts[4] = { 0 };
    for (unsigned round = 0; round < 6; round++) {
        seL4_Yield();
        EXPECT_EQ(gs_base(), 0x123000);
        EXPECT_EQ(vector_get(), 0x9999);
        for (unsigned i = 0; i < 4; i++) {
            seL4_Word now = i < 2 ? *guest_word(&g[i], GUEST_RESULTS) : t[i]->result[1];
            EXPECT(now > counts[i]);
            counts[i] = now;
        }
    }
    set_gs_base(0);
    EXPECT_EQ(t[2]->result[0] + t[3]->result[0], 0);
    EXPECT_EQ(t[0]->finished + t[1]->finished, 0);
}

/* Were it the machine's priority, no timer interrupt would come any more. */
TEST(svm_task_priority_that_a_guest_sets_is_its_own)
{
    struct thread *t = new_thread(e, 0);
    if (!e->has_svm)
        skip(e, "no AMD-V");
    struct guest g = new_guest(e, t->tcb, 0);

    GUEST_LOAD(&g, GUEST_LONG, guest_write_cr8);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    for (unsigned round = 0; round < 5; round++)
        seL4_Yield();
    EXPECT_EQ(t->finished, 0);
    EXPECT_EQ(guest_read(&g, VMCB_VIRTUAL_INTERRUPT) & SVM_VIRTUAL_TPR, 15);
}

TEST(svm_endless_real_mode_loop_is_interrupted_by_a_signal)
{
    struct thread *t = new_thread(e, 0);
    if (!e->has_svm)
        skip(e, "no AMD-V");
    struct guest g = new_guest(e, t->tcb, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    GUEST_LOAD(&g, GUEST_REAL, svm_guest_loop);
    g.controls = SVM_VIRTUAL_INTERRUPT | 5; /* which a guest without interrupts never takes */
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    for (unsigned i = 0; i < 5; i++)
        seL4_Yield();
    EXPECT_EQ(t->finished, 0);
    seL4_Signal(notification);
    seL4_Yield();
    EXPECT_EQ(t->result[0], SEL4_VMENTER_RESULT_NOTIF);
    EXPECT_EQ(g.controls, SVM_VIRTUAL_INTERRUPT | 5);
    EXPECT(g.rip >= GUEST_CODE && g.rip <= GUEST_CODE + 1);
}

TEST(svm_event_written_while_a_guest_runs_is_delivered_at_its_next_entry)
{
    struct thread *t = new_thread(e, 0);
    if (!e->has_svm)
        skip(e, "no AMD-V");
    struct guest g = new_guest(e, t->tcb, 0);
    extern const char guest_wait[], guest_wait_handler[];

    GUEST_LOAD(&g, GUEST_LONG, guest_wait);
    guest_set_gate(&g, 0x30, GUEST_ADDRESS(guest_wait, guest_wait_handler));
    guest_write(&g, VMCB_RFLAGS, 0x202);
    start(t, guest_run_once, (seL4_Word)&g, ROOT_PRIORITY);
    seL4_Yield();
    EXPECT_EQ(t->finished, 0);
    guest_write(&g, VMCB_EVENT_INJECTION, SVM_EVENT_VALID | SVM_EVENT_INTERRUPT | 0x30);
    seL4_Yield();
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(g.MR(EAX), 0x77);
}
