#include "tests/kernel/harness.h"

#include "runtime/tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STACK_BYTES 16384u
#define TLS_BYTES   1024u

extern const char __image_start[];

/* Pages of the image, so that their frame capabilities are at hand. */
static _Alignas(4096) uint8_t thread_buffer[HARNESS_THREADS][4096];
static _Alignas(4096) uint8_t thread_stack[HARNESS_THREADS][STACK_BYTES];
static uint8_t thread_tls[HARNESS_THREADS][TLS_BYTES];

void note(const char *format, ...)
{
    char line[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    seL4_DebugPutString("# ");
    seL4_DebugPutString(line);
    seL4_DebugPutChar('\n');
}

_Noreturn void fail(struct env *e, const char *file, int line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(e->message, sizeof e->message, format, arguments);
    va_end(arguments);
    e->file = file;
    e->line = line;
    longjmp(e->back, CASE_FAILED);
}

_Noreturn void skip(struct env *e, const char *reason)
{
    snprintf(e->message, sizeof e->message, "%s", reason);
    longjmp(e->back, CASE_SKIPPED);
}

void choose_memory(struct env *e)
{
    const seL4_BootInfo *info = e->bootinfo;

    for (seL4_Word i = 0; i < info->untyped.end - info->untyped.start; i++) {
        const seL4_UntypedDesc *u = &info->untypedList[i];
        if (!u->isDevice && u->sizeBits > e->untyped_bits) {
            e->untyped = info->untyped.start + i;
            e->untyped_bits = u->sizeBits;
        }
    }
}

seL4_CPtr new_slots(struct env *e, seL4_Word count)
{
    seL4_CPtr slot = e->next_slot;

    if (count > e->bootinfo->empty.end - slot)
        fail(e, __FILE__, __LINE__, "no empty slots left");
    e->next_slot += count;
    return slot;
}

seL4_CPtr new_slot(struct env *e)
{
    return new_slots(e, 1);
}

seL4_CPtr new_object(struct env *e, seL4_Word type, seL4_Word size_bits)
{
    seL4_CPtr slot = new_slot(e);
    seL4_Error error = seL4_Untyped_Retype(e->untyped, type, size_bits, ROOT, 0, 0, slot, 1);

    if (error != seL4_NoError)
        fail(e, __FILE__, __LINE__, "no object of type %lu, size 2^%lu: error %d", type, size_bits, (int)error);
    return slot;
}

seL4_CPtr new_untyped(struct env *e, seL4_Word size_bits)
{
    return new_object(e, seL4_UntypedObject, size_bits);
}

seL4_CPtr copy_of(struct env *e, seL4_CPtr cap, seL4_CapRights_t rights)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(seL4_CNode_Copy(ROOT, slot, ROOT_DEPTH, ROOT, cap, ROOT_DEPTH, rights));
    return slot;
}

seL4_CPtr badged(struct env *e, seL4_CPtr cap, seL4_Word badge)
{
    seL4_CPtr slot = new_slot(e);

    EXPECT_OK(seL4_CNode_Mint(ROOT, slot, ROOT_DEPTH, ROOT, cap, ROOT_DEPTH, seL4_AllRights, badge));
    return slot;
}

bool slot_is_empty(seL4_CPtr slot)
{
    return seL4_DebugCapIdentify(slot) == 0;
}

seL4_CPtr image_frame(struct env *e, const void *address)
{
    return e->bootinfo->userImageFrames.start + ((seL4_Word)((const char *)address - __image_start) >> seL4_PageBits);
}

struct thread *new_thread(struct env *e, seL4_CPtr fault_endpoint)
{
    uint32_t index = e->thread_count;

    if (index == HARNESS_THREADS || tls_bytes() > TLS_BYTES)
        fail(e, __FILE__, __LINE__, "the harness has no room for one more thread");
    e->thread_count++;
    memset(thread_tls[index], 0, TLS_BYTES);
    memset(thread_buffer[index], 0, sizeof thread_buffer[index]);
    struct thread *t = &e->thread[index];
    *t = (struct thread) {
        .env = e,
        .tcb = new_object(e, seL4_TCBObject, 0),
        .buffer = (seL4_IPCBuffer *)thread_buffer[index],
        .buffer_frame = image_frame(e, thread_buffer[index]),
        .stack = thread_stack[index],
        .stack_bytes = STACK_BYTES,
        .tls = tls_prepare(thread_tls[index]),
    };
    EXPECT_OK(seL4_TCB_Configure(t->tcb, fault_endpoint, ROOT, 0, seL4_CapInitThreadVSpace, 0, (seL4_Word)t->buffer,
                                 t->buffer_frame));
    return t;
}

static void thread_entry(struct thread *t, seL4_Word argument)
{
    seL4_SetIPCBuffer(t->buffer);
    t->run(t->env, t, argument);
    t->finished = 1;
    for (;;)
        seL4_TCB_Suspend(t->tcb);
}

static void set_priority(struct thread *t, seL4_Word priority)
{
    struct env *e = t->env;

    EXPECT_OK(seL4_TCB_SetSchedParams(t->tcb, seL4_CapInitThreadTCB, priority, priority));
}

void start_at(struct thread *t, const void *instruction, seL4_UserContext regs, seL4_Word priority)
{
    struct env *e = t->env;

    regs.rip = (seL4_Word)instruction;
    if (!regs.rsp)
        regs.rsp = (seL4_Word)(t->stack + t->stack_bytes);
    if (!regs.rflags)
        regs.rflags = 0x202;
    if (!regs.fs_base)
        regs.fs_base = t->tls;
    set_priority(t, priority);
    EXPECT_OK(seL4_TCB_WriteRegisters(t->tcb, 1, 0, sizeof regs / sizeof(seL4_Word), &regs));
}

void start(struct thread *t, thread_function *run, seL4_Word argument, seL4_Word priority)
{
    /* As if thread_entry had been called. */
    seL4_UserContext regs = {
        .rdi = (seL4_Word)t,
        .rsi = argument,
        .rsp = (seL4_Word)(t->stack + t->stack_bytes) - sizeof(seL4_Word),
    };

    t->run = run;
    t->finished = 0;
    start_at(t, (const void *)thread_entry, regs, priority);
}

void map_structures(struct env *e, seL4_CPtr vspace, seL4_Word address, seL4_Word page_bits)
{
    seL4_CPtr pdpt = new_object(e, seL4_X86_PDPTObject, 0);
    EXPECT_OK(seL4_X86_PDPT_Map(pdpt, vspace, address, seL4_X86_Default_VMAttributes));
    if (page_bits == seL4_HugePageBits)
        return;
    seL4_CPtr directory = new_object(e, seL4_X86_PageDirectoryObject, 0);
    EXPECT_OK(seL4_X86_PageDirectory_Map(directory, vspace, address, seL4_X86_Default_VMAttributes));
    if (page_bits == seL4_LargePageBits)
        return;
    seL4_CPtr table = new_object(e, seL4_X86_PageTableObject, 0);
    EXPECT_OK(seL4_X86_PageTable_Map(table, vspace, address, seL4_X86_Default_VMAttributes));
}

seL4_CPtr map_new_page(struct env *e, seL4_Word address, seL4_CapRights_t rights)
{
    seL4_CPtr frame = new_object(e, seL4_X86_4K, 0);

    map_structures(e, seL4_CapInitThreadVSpace, address, seL4_PageBits);
    EXPECT_OK(seL4_X86_Page_Map(frame, seL4_CapInitThreadVSpace, address, rights, seL4_X86_Default_VMAttributes));
    return frame;
}
