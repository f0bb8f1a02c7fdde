/* Threads that make system calls out of random numbers. They hold capabilities of all types, but none that reaches the
 * threads and memory of this program, or the machine. Neither the kernel nor we may notice. */
#include "tests/kernel/raw_call.h"

#define ATTACKERS 3u
#define RADIX     7u
#define SLOTS     (1u << RADIX)
#define GIFTS     40u

/* How many system calls each attacker makes. Upstream's debug build writes a line about every error. */
#define CALLS_ON_OURS   20000u
#define CALLS_ELSEWHERE 600u

/* Registers in the order in which random_syscall takes them. */
enum { RDI, RSI, RDX, R10, R8, R9, R15, RAX, RBX, RBP, R11, R12, R13, R14, RSP, RFLAGS, REGISTERS };

/* Makes a system call with registers, flags and stack pointer as given. What it comes back with is lost. The thread may
 * also be sent to random_syscall_return by others. */
void random_syscall(const seL4_Word registers[static REGISTERS]);
extern const char random_syscall_return[];

__thread seL4_Word random_saved_rsp __attribute__((used));
__asm__(".pushsection .text\n"
        "random_syscall:\n"
        "    pushq %rbx\n"
        "    pushq %rbp\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, %fs:random_saved_rsp@tpoff\n"
        "    pushq 120(%rdi)\n"
        "    movq 8(%rdi), %rsi\n"
        "    movq 16(%rdi), %rdx\n"
        "    movq 24(%rdi), %r10\n"
        "    movq 32(%rdi), %r8\n"
        "    movq 40(%rdi), %r9\n"
        "    movq 48(%rdi), %r15\n"
        "    movq 56(%rdi), %rax\n"
        "    movq 64(%rdi), %rbx\n"
        "    movq 72(%rdi), %rbp\n"
        "    movq 80(%rdi), %r11\n"
        "    movq 88(%rdi), %r12\n"
        "    movq 96(%rdi), %r13\n"
        "    movq 104(%rdi), %r14\n"
        "    movq 112(%rdi), %rcx\n"
        "    movq (%rdi), %rdi\n"
        "    popfq\n"
        "    movq %rcx, %rsp\n"
        "    syscall\n"
        "random_syscall_return:\n"
        "    movq %fs:random_saved_rsp@tpoff, %rsp\n"
        "    pushq $2\n"
        "    popfq\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbp\n"
        "    popq %rbx\n"
        "    ret\n"
        ".popsection");

/* Arithmetic, direction, alignment check and identification flags; the nested task flag, which upstream does not clear
 * on SYSCALL. */
#define HARMLESS_FLAGS   0x240cd5ul
#define NESTED_TASK_FLAG 0x4000ul

/* What the attackers hold. */
struct gift {
    seL4_CPtr original; /* in our CNode; a copy of gift i goes into slot i of theirs */
    seL4_CapRights_t rights;
    seL4_Word first_label, labels; /* of its invocations */
};

#define HELPFUL 6u

struct arsenal {
    seL4_CPtr node; /* their slots */
    struct gift gift[GIFTS];
    unsigned count;
    unsigned helpful[HELPFUL]; /* gifts that many invocations want as an argument */
    seL4_CPtr untyped;
    seL4_CPtr faults; /* where theirs arrive */
    bool spares_upstream; /* nothing that is known to stop that kernel */
};

static struct arsenal arsenal;

static seL4_Word next_random(seL4_Word *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d;
}

/* A word as arguments are: a small number, a slot, a size, an address, or nonsense. */
static seL4_Word random_word(seL4_Word *state)
{
    seL4_Word kind = next_random(state) >> 61, value = next_random(state) >> 1;

    switch (kind) {
    case 0:
        return value % 16;
    case 1:
        return value % SLOTS;
    case 2:
        return (1ul << value % 64) + value / 64 % 3 - 1;
    case 3:
        return value & 0x7fffffe00000;
    case 4:
        return value & 0x3ffffff000;
    case 5:
        return value % 66;
    case 6:
        return -(value % 32);
    default:
        return next_random(state);
    }
}

/* A word that an invocation is likely to accept. */
static seL4_Word plausible_word(seL4_Word *state)
{
    seL4_Word kind = next_random(state) >> 61, value = next_random(state) >> 1;

    switch (kind) {
    case 0:
        return RADIX;
    case 1:
        return seL4_WordBits;
    case 2:
        return GIFTS + value % (SLOTS - GIFTS);
    case 3:
        return value & 0x1ff000;
    case 4:
        return value % GIFTS;
    default:
        return value % 20;
    }
}

static seL4_Word random_pointer(seL4_Word *state)
{
    seL4_Word kind = next_random(state) >> 60;

    if (kind == 0)
        return next_random(state);
    return next_random(state) % (kind == 1 ? SLOTS : GIFTS) | (kind == 2 ? 1ul << 63 : 0);
}

/* Mostly with a label that the capability behind POINTER understands. Upstream follows a null pointer where
 * X86PageMapEPT comes without a capability. */
static seL4_Word random_tag(seL4_Word *state, const struct arsenal *a, seL4_Word pointer)
{
    seL4_Word kind = next_random(state) >> 60, label = next_random(state) % (nArchInvocationLabels + 2);

    if (kind == 0)
        return next_random(state);
    if (kind > 3 && pointer < a->count)
        label = a->gift[pointer].first_label + label % a->gift[pointer].labels;
    if (label == X86PageMapEPT && a->spares_upstream)
        label = X86PageMap;
    return seL4_MessageInfo_new(label, next_random(state), next_random(state), next_random(state) % 12).words[0];
}

static bool is_number_to_avoid(const struct env *e, seL4_Word number)
{
    switch ((long)number) {
    case seL4_SysDebugPutChar:
    case seL4_SysDebugDumpScheduler:
    case seL4_SysDebugHalt:
    case seL4_SysDebugSnapshot:
        return true;
    case seL4_SysDebugNameThread:
    case seL4_SysDebugSendIPI:
    case seL4_SysDebugGetThreadAffinity:
        return !e->is_ours; /* upstream stops where an argument is wrong */
    default:
        return false;
    }
}

static seL4_Word random_number(const struct env *e, seL4_Word *state)
{
    seL4_Word number;

    do {
        seL4_Word kind = next_random(state) >> 60;

        number = kind == 0 ? next_random(state) : -(next_random(state) % (kind < 3 ? 40 : 9));
        if (kind > 10)
            number = (seL4_Word)seL4_SysCall;
    } while (is_number_to_avoid(e, number));
    return number;
}

static void attack(struct env *e, struct thread *t, seL4_Word calls)
{
    seL4_Word state = t->result[7], registers[REGISTERS];

    for (t->result[0] = 0; t->result[0] < calls; t->result[0]++) {
        seL4_Word (*word)(seL4_Word *) = next_random(&state) >> 63 ? plausible_word : random_word;

        for (int i = 0; i < REGISTERS; i++)
            registers[i] = word(&state);
        registers[RDI] = random_pointer(&state);
        registers[RSI] = random_tag(&state, &arsenal, registers[RDI]);
        registers[RDX] = random_number(e, &state);
        registers[RFLAGS] &= HARMLESS_FLAGS | (e->is_ours ? NESTED_TASK_FLAG : 0);
        for (int i = 4; i < 16; i++)
            t->buffer->msg[i] = word(&state);
        for (int i = 0; i < seL4_MsgMaxExtraCaps; i++)
            t->buffer->caps_or_badges[i] = word == random_word ? random_pointer(&state)
                                                               : arsenal.helpful[next_random(&state) % HELPFUL];
        t->buffer->receiveCNode = random_pointer(&state);
        t->buffer->receiveIndex = word(&state);
        t->buffer->receiveDepth = word(&state);
        random_syscall(registers);
    }
}

static unsigned give(struct arsenal *a, seL4_CPtr original, seL4_CapRights_t rights, seL4_Word first_label,
                     seL4_Word last_label)
{
    unsigned index = a->count % GIFTS;

    a->gift[index] = (struct gift) { original, rights, first_label, last_label - first_label + 1 };
    a->count = index + 1;
    return index;
}

static void make_messages(struct env *e, struct arsenal *a)
{
    for (seL4_Word i = 1; i <= 2; i++) {
        seL4_CPtr endpoint = new_endpoint(e);
        seL4_CPtr notification = new_notification(e);

        give(a, endpoint, seL4_AllRights, 0, 9);
        give(a, badged(e, endpoint, i), seL4_AllRights, 0, 9);
        give(a, endpoint, seL4_CanRead, 0, 9);
        give(a, endpoint, seL4_CapRights_new(i & 1, 0, 0, 1), 0, 9);
        a->helpful[4] = give(a, notification, seL4_AllRights, 0, 9);
        give(a, badged(e, notification, 1ul << i), seL4_CanWrite, 0, 9);
    }
}

struct kind {
    seL4_Word type, first_label, last_label;
};

static void make_objects(struct env *e, struct arsenal *a, const struct kind *kinds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        give(a, new_object(e, kinds[i].type, 0), seL4_AllRights, kinds[i].first_label, kinds[i].last_label);
}

static void make_spaces(struct env *e, struct arsenal *a)
{
    static const struct kind kinds[] = {
        { seL4_X86_4K, X86PageMap, X86PageMapEPT },
        { seL4_X86_4K, X86PageMap, X86PageMapEPT },
        { seL4_X86_LargePageObject, X86PageMap, X86PageMapEPT },
        { seL4_X86_PageTableObject, X86PageTableMap, X86PageTableUnmap },
        { seL4_X86_PageDirectoryObject, X86PageDirectoryMap, X86PageDirectoryUnmap },
        { seL4_X86_PDPTObject, X86PDPTMap, X86PDPTUnmap },
        { seL4_X86_IOPageTableObject, X86IOPageTableMap, X86IOPageTableUnmap },
    };
    static seL4_Error (*const map[])(seL4_CPtr, seL4_CPtr, seL4_Word, seL4_X86_VMAttributes) = {
        seL4_X86_PDPT_Map, seL4_X86_PageDirectory_Map, seL4_X86_PageTable_Map,
    };
    seL4_CPtr vspace = new_object(e, seL4_X64_PML4Object, 0);

    make_objects(e, a, kinds, sizeof kinds / sizeof kinds[0]);
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, vspace));
    for (unsigned i = 0; i < 3; i++) /* so that pages below 2 MiB can be mapped */
        EXPECT_OK(map[i](a->gift[a->count - 2 - i].original, vspace, 0, seL4_X86_Default_VMAttributes));
    a->helpful[2] = give(a, vspace, seL4_AllRights, 0, 9);
    give(a, seL4_CapASIDControl, seL4_AllRights, X86ASIDControlMakePool, X86ASIDControlMakePool);
    give(a, seL4_CapInitThreadASIDPool, seL4_AllRights, X86ASIDPoolAssign, X86ASIDPoolAssign);
}

static void make_guests(struct env *e, struct arsenal *a)
{
    static const struct kind kinds[] = {
        { seL4_X86_VCPUObject, X86VCPUSetTCB, X86VCPUWriteRegisters },
        { seL4_X86_EPTPTObject, X86EPTPTMap, X86EPTPTUnmap },
        { seL4_X86_EPTPDObject, X86EPTPDMap, X86EPTPDUnmap },
        { seL4_X86_EPTPDPTObject, X86EPTPDPTMap, X86EPTPDPTUnmap },
    };

    if (!e->has_vtx)
        return;
    make_objects(e, a, kinds, sizeof kinds / sizeof kinds[0]);
    if (!a->spares_upstream) { /* upstream stops when one is invoked */
        seL4_CPtr root = new_object(e, seL4_X86_EPTPML4Object, 0);

        EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
        give(a, root, seL4_AllRights, 0, 9);
    }
}

static void make_devices(struct env *e, struct arsenal *a)
{
    seL4_CPtr port = new_slot(e), irq = new_slot(e);

    /* The port of power-on self-test codes, and a pin that nothing is connected to. */
    EXPECT_OK(seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, 0x80, 0x80, ROOT, port, ROOT_DEPTH));
    EXPECT_OK(seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, ROOT, irq, ROOT_DEPTH, 0, 20, 0, 0, 50));
    give(a, port, seL4_AllRights, X86IOPortIn8, X86IOPortOut32);
    give(a, irq, seL4_AllRights, IRQAckIRQ, IRQClearIRQHandler);
    give(a, seL4_CapDomain, seL4_AllRights, DomainSetSet, DomainScheduleSetStart);
}

static void make_arsenal(struct env *e, struct arsenal *a)
{
    seL4_CPtr self = new_slot(e);

    *a = (struct arsenal) {
        .node = new_object(e, seL4_CapTableObject, RADIX),
        .untyped = new_untyped(e, e->is_ours ? 16 : 11), /* enough for all kinds, or for no second-level structure */
        .faults = new_endpoint(e),
        .spares_upstream = !e->is_ours,
    };
    EXPECT_OK(seL4_CNode_Mint(ROOT, self, ROOT_DEPTH, ROOT, a->node, ROOT_DEPTH, seL4_AllRights,
                              seL4_CNode_CapData_new(0, seL4_WordBits - RADIX).words[0]));
    a->helpful[0] = give(a, self, seL4_AllRights, CNodeRevoke, CNodeSaveCaller);
    a->helpful[1] = give(a, a->node, seL4_AllRights, CNodeRevoke, CNodeSaveCaller);
    a->helpful[5] = give(a, a->untyped, seL4_AllRights, UntypedRetype, UntypedRetype);
    a->helpful[3] = give(a, new_object(e, seL4_TCBObject, 0), seL4_AllRights, TCBReadRegisters, TCBSetFlags);
    make_messages(e, a);
    make_spaces(e, a);
    make_guests(e, a);
    make_devices(e, a);
}

/* Fills slots that have become empty again. */
static void rearm(struct env *e, struct arsenal *a)
{
    EXPECT_OK(seL4_CNode_Revoke(ROOT, a->untyped, ROOT_DEPTH));
    for (unsigned i = 0; i < a->count; i++)
        seL4_CNode_Copy(a->node, i, RADIX, ROOT, a->gift[i].original, ROOT_DEPTH, a->gift[i].rights);
}

/* An attacker's slots lie behind pointers whose first bit is 0; its fault handler is at 1 << 63, where it can send
 * but not remove it. Nor may it receive there: it could answer another's fault with a number that is to be avoided. */
static struct thread *new_attacker(struct env *e, struct arsenal *a, seL4_Word seed)
{
    seL4_CPtr top = new_object(e, seL4_CapTableObject, 1);
    struct thread *t = new_thread(e, 0);

    EXPECT_OK(seL4_CNode_Mint(top, 0, 1, ROOT, a->node, ROOT_DEPTH, seL4_AllRights,
                              seL4_CNode_CapData_new(0, seL4_WordBits - 1 - RADIX).words[0]));
    EXPECT_OK(seL4_CNode_Mint(top, 1, 1, ROOT, a->faults, ROOT_DEPTH, seL4_NoRead, seed));
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, 1ul << 63, top, 0, seL4_CapInitThreadVSpace, 0));
    t->result[7] = seed;
    return t;
}

/* Whether all are through. The others wait for something, as we run: they give it up and go on. */
static bool push_on(struct env *e, struct thread *const *attackers)
{
    bool finished = true;

    for (unsigned i = 0; i < ATTACKERS; i++) {
        seL4_UserContext regs = { .rip = (seL4_Word)random_syscall_return, .rflags = 0x202 };

        if (attackers[i]->finished)
            continue;
        finished = false;
        EXPECT_OK(seL4_TCB_WriteRegisters(attackers[i]->tcb, 1, 0, 3, &regs));
    }
    return finished;
}

static void expect_all_is_well(struct env *e)
{
    seL4_CPtr endpoint = new_endpoint(e);
    struct raw_call call = raw_call(seL4_SysCall, badged(e, endpoint, 5), tag(0x5a, 0, 4));

    start_raw(e, &call);
    struct sel4_registers io = raw(seL4_SysRecv, endpoint, 0);
    EXPECT_EQ(io.dest, 5);
    EXPECT_EQ(io.info, tag(0x5a, 0, 4));
    EXPECT_RAW_WORDS(io);
    raw(seL4_SysReply, 0, tag(1, 0, 4));
    EXPECT_EQ(call.io.info, tag(1, 0, 4));
}

static void storm(struct env *e, seL4_Word seed)
{
    seL4_Word calls = e->is_ours ? CALLS_ON_OURS : CALLS_ELSEWHERE;
    struct arsenal *a = &arsenal;
    struct thread *attackers[ATTACKERS];
    seL4_Word state = seed;
    unsigned round = 0;

    seL4_SetCapReceivePath(0, 0, 0);
    make_arsenal(e, a);
    rearm(e, a);
    for (unsigned i = 0; i < ATTACKERS; i++)
        attackers[i] = new_attacker(e, a, next_random(&state));
    for (unsigned i = 0; i < ATTACKERS; i++)
        start(attackers[i], attack, calls, ABOVE_ROOT);
    do {
        if (round % 32 == 0)
            rearm(e, a);
        if (round % 3 == 0 && raw(seL4_SysNBRecv, a->faults, 0).dest != 0 && round % 2 == 0)
            raw(seL4_SysReply, 0, random_tag(&state, a, 0));
    } while (!push_on(e, attackers) && ++round < 4 * ATTACKERS * calls);
    for (unsigned i = 0; i < ATTACKERS; i++)
        EXPECT_EQ(attackers[i]->result[0], calls);
    expect_all_is_well(e);
}

TEST(random_system_calls_hurt_nobody_else)
{
    storm(e, 0x5eed);
}

TEST(other_random_system_calls_hurt_nobody_else)
{
    storm(e, 0xbad5eed);
}
