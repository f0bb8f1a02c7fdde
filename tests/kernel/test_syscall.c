/* System calls as such: how the kernel answers, in which registers, and to whom it does not. */
#include "tests/kernel/raw_call.h"

#define NO_LABEL (1ul << 40) /* of no invocation */

static struct sel4_registers call_words(seL4_CPtr service, seL4_Word info, seL4_Word a, seL4_Word b, seL4_Word c,
                                        seL4_Word d)
{
    struct sel4_registers io = { service, info, { a, b, c, d } };

    sel4_syscall(seL4_SysCall, &io);
    return io;
}

TEST(answer_without_words_leaves_the_message_registers)
{
    struct thread *t = new_thread(e, 0);
    struct sel4_registers io = raw(seL4_SysCall, t->tcb, tag(TCBSuspend, 0, 4));

    EXPECT_EQ(io.dest, 0);
    EXPECT_EQ(io.info, 0);
    EXPECT_RAW_WORDS(io);
}

TEST(error_is_the_label_and_its_details_the_words)
{
    seL4_CPtr untyped = new_untyped(e, 12), slot = new_slot(e);
    struct sel4_registers io;

    /* Nothing to tell. */
    io = call_words(untyped, tag(UntypedRetype, 0, 5), 1, 2, 3, 4);
    EXPECT_EQ(io.dest, 0);
    EXPECT_EQ(io.info, tag(seL4_TruncatedMessage, 0, 0));
    EXPECT_WORDS(io, 1, 2, 3, 4);
    io = call_words(untyped, tag(NO_LABEL, 0, 5), 1, 2, 3, 4);
    EXPECT_EQ(io.info, tag(seL4_IllegalOperation, 0, 0));

    /* One word, two, four, five: what does not go into registers is in the buffer. */
    seL4_SetCap(0, ROOT);
    seL4_SetMR(4, slot);
    seL4_SetMR(5, 1);
    io = call_words(untyped, tag(UntypedRetype, 1, 6), 1000, 2, 0, 0);
    EXPECT_EQ(io.info, tag(seL4_InvalidArgument, 0, 1));
    EXPECT_WORDS(io, 0, 2, 0, 0);
    io = call_words(untyped, tag(UntypedRetype, 1, 6), seL4_UntypedObject, 60, 3, 4);
    EXPECT_EQ(io.info, tag(seL4_RangeError, 0, 2));
    EXPECT_WORDS(io, 0, seL4_MaxUntypedBits, 3, 4);
    io = call_words(untyped, tag(UntypedRetype, 1, 6), seL4_UntypedObject, 13, 0, 0);
    EXPECT_EQ(io.info, tag(seL4_NotEnoughMemory, 0, 1));
    EXPECT_WORDS(io, 4096, 13, 0, 0);
    seL4_SetCap(0, untyped);
    io = call_words(untyped, tag(UntypedRetype, 1, 6), seL4_UntypedObject, 4, 0, 64);
    EXPECT_EQ(io.info, tag(seL4_FailedLookup, 0, 2));
    EXPECT_WORDS(io, 0, seL4_InvalidRoot, 0, 64);
    seL4_SetCap(0, ROOT);
    seL4_SetMR(4, 0x77);
    io = call_words(untyped, tag(UntypedRetype, 1, 6), seL4_UntypedObject, 4, 1ul << 20, 64);
    EXPECT_EQ(io.info, tag(seL4_FailedLookup, 0, 5));
    EXPECT_WORDS(io, 0, seL4_GuardMismatch, 64, 0);
    EXPECT_EQ(seL4_GetMR(4), 48);
}

static void fail_without_buffer(struct env *e, struct thread *t, seL4_Word slot)
{
    (void)e;
    (void)slot;
    t->result[0] = (seL4_Word)seL4_TCB_SetIPCBuffer(t->tcb, 0, 0);
    struct sel4_registers io = call_words(ROOT, tag(CNodeDelete, 0, 2), 1ul << 20, 64, 0, 0);
    t->result[1] = io.info;
    t->result[2] = io.mr[3];
    /* Two of six words arrive, and none of the capabilities. */
    io = call_words(e->untyped, tag(UntypedRetype, 1, 6), seL4_EndpointObject, 0, 0, 0);
    t->result[3] = io.info;
    /* An answer of 20 words. */
    io = call_words(e->thread[1].tcb, tag(TCBReadRegisters, 0, 2), 0, 20, 0, 0);
    t->result[4] = io.info;
    t->result[5] = io.mr[3];
}

TEST(answers_without_a_buffer_are_cut_to_four_words)
{
    struct thread *t = new_thread(e, 0), *other = new_thread(e, 0);
    seL4_UserContext regs = { .rax = 0x4444 };

    EXPECT_OK(seL4_TCB_WriteRegisters(other->tcb, 0, 0, 20, &regs));
    start(t, fail_without_buffer, 0, ABOVE_ROOT);
    EXPECT_EQ(t->finished, 1);
    EXPECT_OK(t->result[0]);
    EXPECT_EQ(t->result[1], tag(seL4_FailedLookup, 0, 4));
    EXPECT_EQ(t->result[2], 0);
    EXPECT_EQ(t->result[3], tag(seL4_TruncatedMessage, 0, 0));
    EXPECT_EQ(t->result[4], tag(0, 0, 4));
    EXPECT_EQ(t->result[5], 0x4444);
}

TEST(invocation_without_call_is_done_and_not_answered)
{
    seL4_CPtr slots = new_slots(e, 2), untyped = new_untyped(e, 12);
    static const long numbers[2] = { seL4_SysSend, seL4_SysNBSend };

    for (int i = 0; i < 2; i++) {
        seL4_SetCap(0, ROOT);
        seL4_SetMR(4, slots + (seL4_Word)i);
        seL4_SetMR(5, 1);
        struct sel4_registers io = { untyped, tag(UntypedRetype, 1, 6), { seL4_EndpointObject, 0, 0, 0 } };
        sel4_syscall(numbers[i], &io);
        EXPECT_EQ(io.dest, untyped);
        EXPECT_EQ(io.info, tag(UntypedRetype, 1, 6));
        EXPECT_WORDS(io, seL4_EndpointObject, 0, 0, 0);
        EXPECT(!slot_is_empty(slots + (seL4_Word)i));
    }
    /* So is an error, and what would have been an answer. */
    struct sel4_registers io = raw(seL4_SysSend, untyped, tag(NO_LABEL, 0, 4));
    EXPECT_EQ(io.info, tag(NO_LABEL, 0, 4));
    EXPECT_RAW_WORDS(io);
    io = (struct sel4_registers) { new_thread(e, 0)->tcb, tag(TCBReadRegisters, 0, 2), { 0, 3, 0xa2, 0xa3 } };
    sel4_syscall(seL4_SysSend, &io);
    EXPECT_EQ(io.info, tag(TCBReadRegisters, 0, 2));
    EXPECT_WORDS(io, 0, 3, 0xa2, 0xa3);
}

TEST(empty_slot_is_an_invalid_capability)
{
    seL4_CPtr slot = new_slot(e);
    struct sel4_registers io = raw(seL4_SysCall, slot, tag(1, 0, 2));

    EXPECT_EQ(io.dest, 0);
    EXPECT_EQ(io.info, tag(seL4_InvalidCapability, 0, 1));
    EXPECT_WORDS(io, 0, 0xa1, 0xa2, 0xa3);
    io = raw(seL4_SysSend, slot, tag(1, 0, 2));
    EXPECT_EQ(io.info, tag(1, 0, 2));
    EXPECT_RAW_WORDS(io);
}

/* One capability of each type that there is; for the debug call, the number of the type. */
struct specimen {
    seL4_CPtr cap;
    seL4_Word identity;
};

#define IDENTITY_EPT_PML4 29

static unsigned collect(struct env *e, struct specimen *s)
{
    static const struct {
        seL4_Word object, size, identity;
        bool needs_vtx;
    } objects[] = {
        { seL4_UntypedObject, 12, 2, false },
        { seL4_TCBObject, 0, 12, false },
        { seL4_CapTableObject, 4, 10, false },
        { seL4_X86_4K, 0, 1, false },
        { seL4_X86_LargePageObject, 0, 1, false },
        { seL4_X86_PageTableObject, 0, 3, false },
        { seL4_X86_PageDirectoryObject, 0, 5, false },
        { seL4_X86_PDPTObject, 0, 7, false },
        { seL4_X64_PML4Object, 0, 9, false },
        { seL4_X86_IOPageTableObject, 0, 17, false },
        { seL4_X86_VCPUObject, 0, 21, true },
        { seL4_X86_EPTPTObject, 0, 23, true },
        { seL4_X86_EPTPDObject, 0, 25, true },
        { seL4_X86_EPTPDPTObject, 0, 27, true },
        { seL4_X86_EPTPML4Object, 0, IDENTITY_EPT_PML4, true },
    };
    unsigned count = 0;

    for (unsigned i = 0; i < sizeof objects / sizeof objects[0]; i++)
        if (!objects[i].needs_vtx || e->has_vcpu)
            s[count++] = (struct specimen) { new_object(e, objects[i].object, objects[i].size), objects[i].identity };
    s[count++] = (struct specimen) { seL4_CapIRQControl, 14 };
    s[count++] = (struct specimen) { seL4_CapASIDControl, 11 };
    s[count++] = (struct specimen) { seL4_CapInitThreadASIDPool, 13 };
    s[count++] = (struct specimen) { seL4_CapIOPortControl, 31 };
    s[count++] = (struct specimen) { seL4_CapDomain, 20 };
    seL4_CPtr port = new_slot(e), irq = new_slot(e);
    EXPECT_OK(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, 0x80, 0x80, ROOT, port, ROOT_DEPTH));
    s[count++] = (struct specimen) { port, 19 };
    EXPECT_OK(seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, ROOT, irq, ROOT_DEPTH, 0, 20, 0, 0, 50));
    s[count++] = (struct specimen) { irq, 16 };
    return count;
}

#define SPECIMENS 24

TEST(objects_refuse_labels_that_are_not_theirs)
{
    struct specimen s[SPECIMENS];
    unsigned count = collect(e, s);
    static const seL4_Word labels[] = { InvalidInvocation, nArchInvocationLabels, NO_LABEL };

    for (unsigned i = 0; i < count; i++) {
        if (!e->is_ours && s[i].identity == IDENTITY_EPT_PML4)
            continue; /* upstream stops: it does not expect that anybody invokes one */
        for (unsigned l = 0; l < sizeof labels / sizeof labels[0]; l++) {
            for (int word = 0; word < 10; word++)
                seL4_SetMR(word, 0);
            seL4_SetCap(0, ROOT);
            struct sel4_registers io = raw(seL4_SysCall, s[i].cap, tag(labels[l], 1, 10));
            if (io.info != tag(seL4_IllegalOperation, 0, 0))
                fail(e, __FILE__, __LINE__, "capability of type %lu answers to label %#lx with %#lx", s[i].identity,
                     labels[l], io.info);
        }
    }
}

TEST(debug_call_identifies_capabilities)
{
    struct specimen s[SPECIMENS];
    unsigned count = collect(e, s);

    for (unsigned i = 0; i < count; i++)
        EXPECT_EQ(seL4_DebugCapIdentify(s[i].cap), s[i].identity);
    EXPECT_EQ(seL4_DebugCapIdentify(new_slot(e)), 0);
    EXPECT_EQ(seL4_DebugCapIdentify(1ul << 40), 0);
}

TEST(debug_calls_about_threads_work)
{
    struct thread *t = new_thread(e, 0);

    EXPECT_EQ(seL4_DebugGetThreadAffinity(t->tcb), 0);
    seL4_DebugNameThread(t->tcb, "a thread with a name");
    struct sel4_registers io = raw(seL4_SysDebugNameThread, t->tcb, 0x55);
    EXPECT_EQ(io.info, 0x55);
    EXPECT_RAW_WORDS(io);
}

TEST(debug_calls_survive_wrong_arguments)
{
    if (!e->is_ours)
        skip(e, "this kernel stops at such calls");
    static const seL4_Word wrong[] = { 0, 1ul << 40, ~0ul, ROOT };

    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        for (int word = 0; word < seL4_MsgMaxLength; word++)
            seL4_SetMR(word, ~0ul);
        raw(seL4_SysDebugNameThread, wrong[i], ~0ul);
        raw(seL4_SysDebugSendIPI, wrong[i], ~0ul);
        EXPECT_EQ(seL4_DebugGetThreadAffinity(wrong[i]), ~0ul);
    }
    /* A name without an end is as long as there is room for. */
    struct thread *t = new_thread(e, 0);
    for (int word = 0; word < seL4_MsgMaxLength; word++)
        seL4_SetMR(word, 0x6161616161616161);
    raw(seL4_SysDebugNameThread, t->tcb, 0);
}

TEST(io_page_tables_have_nowhere_to_go)
{
    seL4_CPtr table = new_object(e, seL4_X86_IOPageTableObject, 0);

    EXPECT_OK(seL4_X86_IOPageTable_Unmap(table));
    EXPECT_EQ(raw(seL4_SysCall, table, tag(X86IOPageTableMap, 0, 1)).info, tag(seL4_TruncatedMessage, 0, 0));
    seL4_SetCap(0, ROOT);
    EXPECT_EQ(raw(seL4_SysCall, table, tag(X86IOPageTableMap, 1, 0)).info, tag(seL4_TruncatedMessage, 0, 0));
    EXPECT_EQ(seL4_X86_IOPageTable_Map(table, ROOT, 0), seL4_InvalidCapability);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_X86_IOPageTable_Map(table, new_slot(e), 0), seL4_InvalidCapability);
}

TEST(single_domain_is_the_only_one)
{
    seL4_CPtr tcb = new_thread(e, 0)->tcb;
    seL4_Word cap = seL4_CapDomain;

    EXPECT_EQ(raw(seL4_SysCall, cap, tag(DomainSetSet, 0, 0)).info, tag(seL4_TruncatedMessage, 0, 0));
    EXPECT_EQ(call_words(cap, tag(DomainSetSet, 0, 1), 0, 0, 0, 0).info, tag(seL4_TruncatedMessage, 0, 0));
    seL4_SetCap(0, tcb);
    struct sel4_registers io = call_words(cap, tag(DomainSetSet, 1, 1), 1, 0, 0, 0);
    EXPECT_EQ(io.info, tag(seL4_InvalidArgument, 0, 1));
    EXPECT_EQ(io.mr[0], 0);
    EXPECT_EQ(call_words(cap, tag(DomainSetSet, 1, 1), 0, 0, 0, 0).info, 0);
    seL4_SetCap(0, ROOT);
    io = call_words(cap, tag(DomainSetSet, 1, 1), 0, 0, 0, 0);
    EXPECT_EQ(io.info, tag(seL4_InvalidArgument, 0, 1));
    EXPECT_EQ(io.mr[0], 1);
    seL4_SetCap(0, seL4_CapInitThreadTCB);
    EXPECT_EQ(call_words(cap, tag(DomainSetSet, 1, 1), 0, 0, 0, 0).info, 0);
}

TEST(schedule_of_domains_keeps_its_only_entry)
{
    const struct {
        seL4_Word info, words[3];
        seL4_Word answer, details[2];
    } cases[] = {
        { tag(DomainScheduleConfigure, 0, 2), { 0, 0, 5 }, tag(seL4_TruncatedMessage, 0, 0), { 0, 0 } },
        { tag(DomainScheduleConfigure, 0, 3), { 1, 0, 5 }, tag(seL4_RangeError, 0, 2), { 0, 0 } },
        { tag(DomainScheduleConfigure, 0, 3), { 0, 1, 5 }, tag(seL4_RangeError, 0, 2), { 0, 0 } },
        { tag(DomainScheduleConfigure, 0, 3), { 0, 0, 1ul << 56 }, tag(seL4_InvalidArgument, 0, 1), { 2, 0 } },
        { tag(DomainScheduleConfigure, 0, 3), { 0, 0, 0 }, tag(seL4_InvalidArgument, 0, 1), { 2, 0 } },
        { tag(DomainScheduleConfigure, 0, 3), { 0, 0, (1ul << 56) - 1 }, 0, { 0, 0 } },
        { tag(DomainScheduleConfigure, 0, 3), { 0, 0, 1 }, 0, { 0, 0 } },
        { tag(DomainScheduleSetStart, 0, 0), { 0, 0, 0 }, tag(seL4_TruncatedMessage, 0, 0), { 0, 0 } },
        { tag(DomainScheduleSetStart, 0, 1), { 2, 0, 0 }, tag(seL4_RangeError, 0, 2), { 0, 1 } },
        { tag(DomainScheduleSetStart, 0, 1), { 1, 0, 0 }, tag(seL4_InvalidArgument, 0, 1), { 0, 0 } },
        { tag(DomainScheduleSetStart, 0, 1), { 0, 0, 0 }, 0, { 0, 0 } },
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sel4_registers io = call_words(seL4_CapDomain, cases[i].info, cases[i].words[0], cases[i].words[1],
                                              cases[i].words[2], 0);
        EXPECT_EQ(io.info, cases[i].answer);
        for (seL4_Word word = 0; word < (cases[i].answer & 127); word++)
            EXPECT_EQ(io.mr[word], cases[i].details[word]);
    }
}

/* Three threads that yield to each other write down who ran. */
static char diary[16];
static unsigned diary_length;

static void yield_and_note(struct env *e, struct thread *t, seL4_Word letter)
{
    (void)e;
    (void)t;
    for (int i = 0; i < 3; i++) {
        diary[diary_length++] = (char)letter;
        seL4_Yield();
    }
}

TEST(yield_lets_equals_run_in_turn)
{
    seL4_CPtr done = new_endpoint(e);
    struct raw_call waker = raw_call(seL4_SysSend, done, 0);

    diary_length = 0;
    for (int i = 0; i < 3; i++)
        start(new_thread(e, 0), yield_and_note, (seL4_Word)'a' + (seL4_Word)i, BELOW_ROOT);
    start(new_thread(e, 0), run_raw, (seL4_Word)&waker, BELOW_ROOT - 1);
    raw(seL4_SysRecv, done, 0);
    EXPECT_EQ(diary_length, 9);
    for (unsigned i = 3; i < 9; i++)
        EXPECT_EQ(diary[i], diary[i - 3]);
    EXPECT(diary[0] != diary[1] && diary[1] != diary[2] && diary[0] != diary[2]);

    struct sel4_registers io = raw(seL4_SysYield, 0x99, 0x98);
    EXPECT_EQ(io.dest, 0x99);
    EXPECT_EQ(io.info, 0x98);
    EXPECT_RAW_WORDS(io);
}

/* Long work stops where an interrupt waits, lets others run, and is taken up again. */
#define MANY 0x8000ul

struct onlooker {
    seL4_CPtr first, last; /* slots of which one is emptied first, and the other last */
    volatile seL4_Word saw_half_of_it;
};

static void look_on(struct env *e, struct thread *t, seL4_Word argument)
{
    struct onlooker *o = (struct onlooker *)argument;

    (void)e;
    (void)t;
    for (;;) {
        if (seL4_DebugCapIdentify(o->first) == 0 && seL4_DebugCapIdentify(o->last) != 0)
            o->saw_half_of_it = 1;
    }
}

TEST(long_revoke_is_preempted_and_finished)
{
    seL4_CPtr node = new_object(e, seL4_CapTableObject, 15), memory = new_untyped(e, 19);
    struct onlooker o = { .first = MANY - 1, .last = 0 };
    struct thread *t = new_thread(e, 0);

    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 0, node, seL4_CNode_CapData_new(0, seL4_WordBits - 15).words[0],
                                seL4_CapInitThreadVSpace, 0));
    start(t, look_on, (seL4_Word)&o, ROOT_PRIORITY);
    for (int round = 0; round < 100 && !o.saw_half_of_it; round++) {
        for (seL4_Word i = 0; i < MANY; i += 256)
            EXPECT_OK(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, ROOT, node, ROOT_DEPTH, i, 256));
        EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));
        for (seL4_Word i = 0; i < MANY; i += 511)
            EXPECT_EQ(seL4_CNode_Delete(node, i, 15), seL4_NoError);
        EXPECT_OK(seL4_Untyped_Retype(memory, seL4_EndpointObject, 0, ROOT, node, ROOT_DEPTH, MANY - 1, 1));
        EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));
    }
    EXPECT_EQ(o.saw_half_of_it, 1);
}
