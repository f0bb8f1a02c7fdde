/* A root task that measures kernel operations: ticks from one to the next in a loop, so that the few instructions of
 * the loop itself are in them. The other thread has an address space of its own.
 *
 *   call+reply        seL4_Call with no words, answered by a server's seL4_ReplyRecv
 *   call+reply-10     the same, ten words each way
 *   signal            of a notification that nobody waits for
 *   yield             to nobody
 *   foreign-fault     SYSCALL of a foreign thread, and the answer to it with all registers
 *   map               of a page that is mapped there already
 *   map-batch         of one page of those that one BEAML4_VSpaceMapFrames maps, in the place of others
 */
#include "tests/kernel/raw_call.h"
#include "tests/kernel/spaces.h"

#include <sel4/beaml4.h>
#include <stdio.h>

#define ROUNDS 10000u
#define BATCH  16u
#define PAGE   (1ul << seL4_PageBits)

static struct env environment;

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static void report(const char *name, uint64_t ticks, unsigned count)
{
    char line[80];

    snprintf(line, sizeof line, "bench %s: %lu ticks\n", name, ticks / count);
    seL4_DebugPutString(line);
}

extern const char bench_foreign[];
__asm__(".pushsection .text\n"
        "bench_foreign: syscall\n"
        ".popsection");

/* A thread_function: a server that answers each message with as many words as it has. */
static void serve(struct env *e, struct thread *t, seL4_Word endpoint)
{
    struct sel4_registers io = { .dest = endpoint };

    (void)e;
    (void)t;
    sel4_syscall(seL4_SysRecv, &io);
    for (;;) {
        io.dest = endpoint;
        sel4_syscall(seL4_SysReplyRecv, &io);
    }
}

static void put_into(struct env *e, struct thread *t, seL4_CPtr fault_slot)
{
    seL4_CPtr space = new_vspace(e);

    map_image(e, space);
    EXPECT_OK(seL4_TCB_SetSpace(t->tcb, fault_slot, ROOT, 0, space, 0));
}

static void measure_calls(struct env *e, const char *name, seL4_CPtr endpoint, seL4_Word words)
{
    seL4_Word info = tag(0, 0, words);
    uint64_t begin = read_tsc();

    for (unsigned i = 0; i < ROUNDS; i++)
        if (raw(seL4_SysCall, endpoint, info).info != info)
            fail(e, __FILE__, __LINE__, "the server has not answered");
    report(name, read_tsc() - begin, ROUNDS);
}

static void measure_foreign(struct env *e)
{
    seL4_CPtr endpoint = new_endpoint(e), fault_slot = badged(e, endpoint, 1);
    struct thread *t = new_thread(e, fault_slot);
    struct sel4_registers io = { .dest = endpoint };

    put_into(e, t, fault_slot);
    EXPECT_EQ(seL4_TCB_SetFlags(t->tcb, 0, BEAML4_TCBFlag_Foreign | seL4_TCBFlag_fpuDisabled).flags,
              BEAML4_TCBFlag_Foreign | seL4_TCBFlag_fpuDisabled);
    start_at(t, bench_foreign, (seL4_UserContext) { 0 }, BELOW_ROOT);
    sel4_syscall(seL4_SysRecv, &io);
    uint64_t begin = read_tsc();
    for (unsigned i = 0; i < ROUNDS; i++) {
        io.dest = endpoint;
        io.info = tag(0, 0, BEAML4_FOREIGN_REGISTERS);
        sel4_syscall(seL4_SysReplyRecv, &io);
        if (io.info != tag(BEAML4_Fault_Foreign, 0, BEAML4_FOREIGN_FAULT_LENGTH))
            fail(e, __FILE__, __LINE__, "no fault, but %#lx", io.info);
    }
    report("foreign-fault", read_tsc() - begin, ROUNDS);
}

static void measure_batch(struct env *e)
{
    seL4_CPtr frame = new_object(e, seL4_X86_LargePageObject, 0), slots = new_slots(e, BATCH);
    seL4_Word words[BATCH * BEAML4_MAP_WORDS], done;

    map_structures(e, seL4_CapInitThreadVSpace, 2 * WINDOW, seL4_PageBits);
    for (unsigned i = 0; i < BATCH; i++) {
        words[4 * i] = frame;
        words[4 * i + 1] = slots + i;
        words[4 * i + 2] = (2 * WINDOW + i * PAGE) | BEAML4_MAP_WRITE;
        words[4 * i + 3] = i * PAGE;
    }
    uint64_t begin = read_tsc();
    for (unsigned i = 0; i < ROUNDS / BATCH; i++)
        EXPECT_OK(sel4_vspace_map_frames(seL4_CapInitThreadVSpace, BATCH, words, &done));
    report("map-batch", read_tsc() - begin, ROUNDS / BATCH * BATCH);
}

static void run(struct env *e)
{
    EXPECT_OK(seL4_TCB_SetPriority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, ROOT_PRIORITY));
    EXPECT_OK(seL4_TCB_SetFlags(seL4_CapInitThreadTCB, 0, seL4_TCBFlag_fpuDisabled).error);

    seL4_CPtr endpoint = new_endpoint(e), notification = new_notification(e);
    struct thread *server = new_thread(e, 0);
    EXPECT_OK(seL4_TCB_SetFlags(server->tcb, 0, seL4_TCBFlag_fpuDisabled).error);
    put_into(e, server, 0);
    start(server, serve, endpoint, ABOVE_ROOT);
    measure_calls(e, "call+reply", endpoint, 0);
    measure_calls(e, "call+reply-10", endpoint, 10);

    uint64_t begin = read_tsc();
    for (unsigned i = 0; i < ROUNDS; i++)
        raw(seL4_SysSend, notification, 0);
    report("signal", read_tsc() - begin, ROUNDS);

    begin = read_tsc();
    for (unsigned i = 0; i < ROUNDS; i++)
        raw(seL4_SysYield, 0, 0);
    report("yield", read_tsc() - begin, ROUNDS);

    seL4_CPtr page = map_new_page(e, WINDOW, seL4_AllRights);
    begin = read_tsc();
    for (unsigned i = 0; i < ROUNDS; i++)
        EXPECT_OK(seL4_X86_Page_Map(page, seL4_CapInitThreadVSpace, WINDOW, seL4_AllRights,
                                    seL4_X86_Default_VMAttributes));
    report("map", read_tsc() - begin, ROUNDS);

    if (e->is_ours) {
        measure_batch(e);
        measure_foreign(e);
    }
}

void root_main(const seL4_BootInfo *bootinfo)
{
    struct env *e = &environment;

    *e = (struct env) { .bootinfo = bootinfo, .first_slot = bootinfo->empty.start, .next_slot = bootinfo->empty.start };
    e->is_ours = sel4_bootinfo_find(bootinfo, SEL4_BOOTINFO_HEADER_BEAML4) != NULL;
    choose_memory(e);
    if (setjmp(e->back) == 0)
        run(e);
    else
        note("not measured: %s (%s:%d)", e->message, e->file ? e->file : "skipped", e->line);
    seL4_DebugPutString("# done\n");
    for (;;)
        seL4_DebugHalt();
}
