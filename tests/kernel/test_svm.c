/* Guests on AMD-V. */
#include "tests/kernel/guest.h"

#include <sel4/beaml4.h>
#include <sel4/vmcb.h>
#include <string.h>

#define CODE16 0x9bu
#define DATA16 0x93u

static struct guest new_svm_guest(struct env *e, seL4_CPtr tcb, unsigned number)
{
    struct guest g = { .env = e };

    if (!e->has_svm)
        skip(e, "no AMD-V");
    g.vcpu = new_object(e, seL4_X86_VCPUObject, 0);
    g.ept_root = new_object(e, seL4_X86_EPTPML4Object, 0);
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, g.ept_root));
    EXPECT_OK(seL4_X86_VCPU_SetTCB(g.vcpu, tcb));
    EXPECT_OK(seL4_TCB_SetEPTRoot(tcb, g.ept_root));
    guest_map_memory(&g, number);
    return g;
}

static void load(struct guest *g, const char *start, const char *end)
{
    struct env *e = g->env;
    seL4_Word words[] = {
        VMCB_CS + VMCB_LIMIT, 0xffff, VMCB_CS + VMCB_ATTRIBUTES, CODE16, VMCB_SS + VMCB_LIMIT, 0xffff,
        VMCB_SS + VMCB_ATTRIBUTES, DATA16, VMCB_DS + VMCB_LIMIT, 0xffffffff, VMCB_DS + VMCB_ATTRIBUTES, DATA16,
        VMCB_CR0, 0x10, VMCB_RFLAGS, 2, VMCB_RSP, GUEST_STACK, VMCB_DR7, 0x400, VMCB_DR6, 0xffff0ff0,
        VMCB_PAT, 0x0007040600070406, VMCB_INTERCEPT_1, SVM_INTERCEPT_CPUID | SVM_INTERCEPT_HLT,
    };

    memcpy(g->memory + GUEST_CODE, start, (size_t)(end - start));
    EXPECT_OK(sel4_vcpu_write_vmcb(g->vcpu, sizeof words / sizeof *words, words));
    g->rip = GUEST_CODE;
}

#define LOAD(g, program)                             \
    do {                                             \
        extern const char program[], program##_end[]; \
        load(g, program, program##_end);             \
    } while (0)

TEST(svm_guest_exits_by_cpuid_port_and_halt)
{
    struct guest g = new_svm_guest(e, seL4_CapInitThreadTCB, 0);

    LOAD(&g, svm_guest_exits);
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

TEST(svm_memory_that_is_not_mapped_is_a_nested_page_fault)
{
    struct guest g = new_svm_guest(e, seL4_CapInitThreadTCB, 0);

    LOAD(&g, svm_guest_far);
    EXPECT_EXIT(&g, SVM_EXIT_NESTED_PAGE_FAULT);
    EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR], 0x3ffff0);
}

static void run_guest(struct env *e, struct thread *t, seL4_Word argument)
{
    struct guest *g = (struct guest *)argument;

    (void)e;
    t->result[0] = guest_enter(g);
}

TEST(svm_endless_loop_is_interrupted_and_others_run)
{
    struct thread *t = new_thread(e, 0);
    struct guest g = new_svm_guest(e, t->tcb, 0);
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    EXPECT_OK(seL4_TCB_BindNotification(t->tcb, notification));
    LOAD(&g, svm_guest_loop);
    start(t, run_guest, (seL4_Word)&g, ROOT_PRIORITY);
    for (unsigned i = 0; i < 5; i++)
        seL4_Yield();
    EXPECT_EQ(t->finished, 0);
    seL4_Signal(notification);
    seL4_Yield();
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(t->result[0], SEL4_VMENTER_RESULT_NOTIF);
}

TEST(svm_state_that_the_processor_refuses_is_a_failed_entry)
{
    struct guest g = new_svm_guest(e, seL4_CapInitThreadTCB, 0);
    seL4_Word words[] = { VMCB_CR0, 0x20000000 /* NW without CD */ };

    LOAD(&g, svm_guest_loop);
    EXPECT_OK(sel4_vcpu_write_vmcb(g.vcpu, 2, words));
    EXPECT_EXIT(&g, SVM_EXIT_INVALID);
}

TEST(svm_guest_uses_ports_of_a_capability_until_it_goes)
{
    struct guest g = new_svm_guest(e, seL4_CapInitThreadTCB, 0);
    seL4_CPtr ports = new_slot(e);

    EXPECT_OK(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, 0x80, 0x80, ROOT, ports, ROOT_DEPTH));
    LOAD(&g, svm_guest_ports);
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0x80, 0x80));
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    g.rip = GUEST_CODE;
    EXPECT_OK(seL4_CNode_Delete(ROOT, ports, ROOT_DEPTH));
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_QUALIFICATION_MR] >> 16, 0x80);
}
