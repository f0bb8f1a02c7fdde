/* The system calls of a debug build. They need no capability. What upstream answers to a wrong argument, stopping the
 * machine, this kernel leaves out. */
#include <api/syscall.h>

#include <arch/x86_64/console.h>
#include <core/lookup.h>
#include <lib/string.h>
#include <sel4/types.h>

/* How many slots of a thread's CSpace seL4_DebugSnapshot looks at. */
#define DUMPED_SLOTS (1u << 18)

/* The numbers by which upstream knows the types of capabilities. */
static const uint8_t public_types[CAP_TYPE_COUNT] = {
    [CAP_NULL] = 0,
    [CAP_UNTYPED] = 2,
    [CAP_ENDPOINT] = 4,
    [CAP_NOTIFICATION] = 6,
    [CAP_REPLY] = 8,
    [CAP_CNODE] = 10,
    [CAP_THREAD] = 12,
    [CAP_IRQ_CONTROL] = 14,
    [CAP_IRQ_HANDLER] = 16,
    [CAP_ZOMBIE] = 18,
    [CAP_DOMAIN] = 20,
    [CAP_FRAME] = 1,
    [CAP_PAGE_TABLE] = 3,
    [CAP_PAGE_DIRECTORY] = 5,
    [CAP_PDPT] = 7,
    [CAP_PML4] = 9,
    [CAP_ASID_CONTROL] = 11,
    [CAP_ASID_POOL] = 13,
    [CAP_IO_SPACE] = 15,
    [CAP_IO_PAGE_TABLE] = 17,
    [CAP_IO_PORT] = 19,
    [CAP_VCPU] = 21,
    [CAP_EPT_PAGE_TABLE] = 23,
    [CAP_EPT_PAGE_DIRECTORY] = 25,
    [CAP_EPT_PDPT] = 27,
    [CAP_EPT_PML4] = 29,
    [CAP_IO_PORT_CONTROL] = 31,
};

static struct cap cap_at(const struct tcb *thread, uint64_t pointer)
{
    struct lookup_failure failure;
    struct slot *slot = lookup_slot(thread, pointer, &failure);

    return slot ? slot->cap : cap_null();
}

static const char *state_name(enum thread_state state)
{
    switch (state) {
    case THREAD_INACTIVE:
        return "inactive";
    case THREAD_RUNNING:
        return "running";
    case THREAD_RESTART:
        return "restarting";
    case THREAD_RECEIVING:
        return "receiving";
    case THREAD_SENDING:
        return "sending";
    case THREAD_REPLY:
        return "calling";
    case THREAD_WAITING:
        return "waiting";
    case THREAD_IN_GUEST:
        return "in guest";
    default:
        return "idle";
    }
}

static void dump_threads(void)
{
    for (const struct tcb *t = kernel.all_threads; t; t = t->all_next)
        kernel_log("%s: %s, rip 0x%lx, priority %u, CPU %u", t->name, state_name(t->state), t->context.fault_ip,
                   t->priority, t->cpu);
}

/* Counts the capabilities in a CNode by type, and in CNodes directly below it, looking at *BUDGET slots at most. */
static void count_caps(struct cap cnode, bool descend, unsigned counts[static CAP_TYPE_COUNT], unsigned *budget)
{
    const struct slot *slots = cap_object(cnode);

    for (uint64_t i = 0; i < 1ul << cnode_radix(cnode) && *budget > 0; i++) {
        struct cap cap = slots[i].cap;

        --*budget;
        counts[cap.type]++;
        if (descend && cap.type == CAP_CNODE && cap.object != cnode.object)
            count_caps(cap, false, counts, budget);
    }
}

static void dump_capabilities(void)
{
    for (const struct tcb *t = kernel.all_threads; t; t = t->all_next) {
        unsigned counts[CAP_TYPE_COUNT] = { 0 }, budget = DUMPED_SLOTS;

        if (t->slots[TCB_CSPACE].cap.type != CAP_CNODE)
            continue;
        count_caps(t->slots[TCB_CSPACE].cap, true, counts, &budget);
        kernel_log("%s holds", t->name);
        for (unsigned type = CAP_NULL + 1; type < CAP_TYPE_COUNT; type++)
            if (counts[type] > 0)
                kernel_log("  %u of type %u", counts[type], public_types[type]);
        if (budget == 0)
            kernel_log("  and more, perhaps");
    }
}

/* The name stands as a string where the words of a message would be. */
static void name_thread(struct tcb *caller, struct cap cap)
{
    const uint64_t *buffer = tcb_ipc_buffer(caller, true);

    if (cap.type != CAP_THREAD || !buffer)
        return;

    struct tcb *thread = cap_object(cap);
    const char *text = (const char *)((const seL4_IPCBuffer *)buffer)->msg;
    size_t length = 0;

    while (length < sizeof thread->name - 1 && text[length])
        length++;
    memcpy(thread->name, text, length);
    thread->name[length] = '\0';
}

static _Noreturn void halt(const struct tcb *thread)
{
    kernel_log("halted by thread \"%s\"", thread->name);
    for (;;)
        __asm__ volatile("cli; hlt");
}

bool syscall_debug(struct cpu *cpu, int64_t number)
{
    struct tcb *thread = cpu->current;
    struct cap cap;

    switch (number) {
    case seL4_SysDebugPutChar:
        console_put((char)thread->context.rdi);
        break;
    case seL4_SysDebugDumpScheduler:
        dump_threads();
        break;
    case seL4_SysDebugHalt:
        halt(thread);
    case seL4_SysDebugCapIdentify:
        thread->context.rdi = public_types[cap_at(thread, thread->context.rdi).type];
        break;
    case seL4_SysDebugSnapshot:
        dump_threads();
        dump_capabilities();
        break;
    case seL4_SysDebugNameThread:
        name_thread(thread, cap_at(thread, thread->context.rdi));
        break;
    case seL4_SysDebugSendIPI:
        break; /* not a thing of this architecture, says upstream too */
    case seL4_SysDebugGetThreadAffinity:
        cap = cap_at(thread, thread->context.rdi);
        thread->context.rdi = cap.type == CAP_THREAD ? ((const struct tcb *)cap_object(cap))->cpu : ~0ul;
        break;
    default:
        return false;
    }
    return true;
}
