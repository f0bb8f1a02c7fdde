#include <object/foreign.h>

#include <api/ipc.h>
#include <core/lookup.h>
#include <core/scheduler.h>
#include <object/derive.h>
#include <object/finalise.h>
#include <object/vspace.h>

/* Words of an IPC buffer up to its message. */
#define BUFFER_HEAD (offsetof(seL4_IPCBuffer, msg) / sizeof(uint64_t))

static void report(struct cpu *cpu, struct tcb *thread, enum beaml4_foreign_kind kind, unsigned vector, uint64_t error,
                   uint64_t address)
{
    const struct fault fault = {
        .type = BEAML4_Fault_Foreign,
        .foreign_kind = (uint8_t)kind,
        .foreign_vector = (uint8_t)vector,
        .address = address,
        .code = (uint32_t)error,
    };

    fault_report(cpu, thread, &fault);
}

void foreign_report(struct cpu *cpu, enum beaml4_foreign_kind kind, unsigned vector, uint64_t error, uint64_t address)
{
    report(cpu, cpu->current, kind, vector, error, address);
}

/* One statement a register here and in take_registers: a PV guest lives on this path. */
unsigned foreign_set_message(const struct tcb *sender, struct tcb *receiver, uint64_t *buffer)
{
    const struct context *from = &sender->context;

    receiver->context.r10 = from->rax;
    receiver->context.r8 = from->rcx;
    receiver->context.r9 = from->rdx;
    receiver->context.r15 = from->rbx;
    if (!buffer)
        return seL4_FastMessageRegisters;

    uint64_t *message = buffer + BUFFER_HEAD;
    message[4] = from->rsp;
    message[5] = from->rbp;
    message[6] = from->rsi;
    message[7] = from->rdi;
    message[8] = from->r8;
    message[9] = from->r9;
    message[10] = from->r10;
    message[11] = from->r11;
    message[12] = from->r12;
    message[13] = from->r13;
    message[14] = from->r14;
    message[15] = from->r15;
    message[BEAML4_FOREIGN_RIP] = from->fault_ip;
    message[BEAML4_FOREIGN_RFLAGS] = from->rflags;
    message[BEAML4_FOREIGN_FS_BASE] = from->fs_base;
    message[BEAML4_FOREIGN_GS_BASE] = from->gs_base;
    message[BEAML4_FOREIGN_KIND] = sender->fault.foreign_kind;
    message[BEAML4_FOREIGN_VECTOR] = sender->fault.foreign_vector;
    message[BEAML4_FOREIGN_ERROR] = sender->fault.code;
    message[BEAML4_FOREIGN_ADDRESS] = sender->fault.address;
    return BEAML4_FOREIGN_FAULT_LENGTH;
}

/* As ring 3 can have them. Others may write to the buffer meanwhile: each word is read once. */
static void take_registers(struct context *to, const struct context *handler, const uint64_t *buffer)
{
    const volatile uint64_t *message = buffer + BUFFER_HEAD;

    to->rax = handler->r10;
    to->rcx = handler->r8;
    to->rdx = handler->r9;
    to->rbx = handler->r15;
    to->rsp = message[4];
    to->rbp = message[5];
    to->rsi = message[6];
    to->rdi = message[7];
    to->r8 = message[8];
    to->r9 = message[9];
    to->r10 = message[10];
    to->r11 = message[11];
    to->r12 = message[12];
    to->r13 = message[13];
    to->r14 = message[14];
    to->r15 = message[15];
    to->fault_ip = context_sanitise_address(message[BEAML4_FOREIGN_RIP]);
    to->rflags = (message[BEAML4_FOREIGN_RFLAGS] & RFLAGS_USER) | RFLAGS_FIXED | RFLAGS_IF;
    to->fs_base = context_sanitise_address(message[BEAML4_FOREIGN_FS_BASE]);
    to->gs_base = context_sanitise_address(message[BEAML4_FOREIGN_GS_BASE]);
}

/* Changes to the address space that POINTER names in the handler's CSpace. False: it is none. */
static bool change_space(struct tcb *thread, struct tcb *handler, uint64_t pointer)
{
    struct slot *own = &thread->slots[TCB_VSPACE];
    struct lookup_failure failure;
    struct slot *source = lookup_slot(handler, pointer, &failure);

    if (!source || !vspace_is_root(source->cap))
        return false;
    if (own->cap.type == CAP_PML4 && cap_same_object(own->cap, source->cap))
        return true;
    if (own->cap.type != CAP_NULL && own->cap.type != CAP_PML4)
        return false;
    slot_delete_one(cpu_self(), own);
    /* The source may have been the thread's own. */
    if (!vspace_is_root(source->cap))
        return false;
    slot_insert(source->cap, source, own);
    return true;
}

bool foreign_take_answer(struct tcb *thread, struct tcb *handler, unsigned length)
{
    const uint64_t *buffer = tcb_ipc_buffer(handler, false);

    if (length != 0 && (length < BEAML4_FOREIGN_REGISTERS || !buffer))
        return false;
    if (length > BEAML4_FOREIGN_REGISTERS) {
        uint64_t root = tcb_get_mr(handler, buffer, BEAML4_FOREIGN_REGISTERS);

        if (root != 0 && !change_space(thread, handler, root))
            return false;
    }
    if (length != 0)
        take_registers(&thread->context, &handler->context, buffer);
    /* All of them count, also those that SYSRET would not load. */
    thread->context.entry = ENTRY_NONE;
    return true;
}

void foreign_stop(struct invocation *call, struct tcb *thread)
{
    struct cpu *cpu = call->cpu;

    if (!thread_is_foreign(thread) || thread == call->caller) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (thread->state != THREAD_RUNNING && thread->state != THREAD_RESTART)
        return;
    /* Interrupted anywhere: goes on there, and not at what last entered the kernel. */
    if (thread->state == THREAD_RUNNING)
        thread->context.fault_ip = thread->context.rip;
    if (thread == cpu->candidate)
        schedule_required(cpu);
    ready_remove(thread);
    report(cpu, thread, BEAML4_FOREIGN_STOPPED, 0, 0, 0);
}
