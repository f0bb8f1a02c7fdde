/* seL4 reference manual, chapter 6 (threads and execution). */
#include <api/ipc.h>
#include <core/scheduler.h>
#include <object/derive.h>
#include <object/finalise.h>
#include <object/foreign.h>
#include <object/tcb_registers.h>
#include <object/vcpu.h>
#include <object/vspace.h>

/* A capability that shall go into one of a thread's slots: as it will be there, and where it is copied from. */
struct new_root {
    struct cap cap;
    struct slot *source; /* NULL: the slot stays empty */
};

/* Whether taking the capability out of the slot would be the long end of a CNode or thread, which no invocation of a
 * thread may begin. */
static bool is_last_of_long_deletion(const struct slot *slot)
{
    switch (slot->cap.type) {
    case CAP_CNODE:
    case CAP_THREAD:
    case CAP_ZOMBIE:
        return slot_is_final(slot);
    default:
        return false;
    }
}

static bool make_root(struct invocation *call, struct slot *source, uint64_t data, struct new_root *root)
{
    struct cap cap = data ? cap_update_data(false, data, source->cap) : source->cap;

    root->source = source;
    return cap_derive(call, source, cap, &root->cap);
}

/* Extra capabilities FIRST and the next as CSpace and VSpace of the thread, arguments 1 and 2 as their data. */
static bool decode_spaces(struct invocation *call, const struct tcb *thread, struct new_root *cspace,
                          struct new_root *vspace)
{
    if (is_last_of_long_deletion(&thread->slots[TCB_CSPACE]) || is_last_of_long_deletion(&thread->slots[TCB_VSPACE])) {
        fail(call, seL4_IllegalOperation);
        return false;
    }
    if (!make_root(call, call->extra[0], argument(call, 1), cspace))
        return false;
    if (cspace->cap.type != CAP_CNODE) {
        fail(call, seL4_IllegalOperation);
        return false;
    }
    if (!make_root(call, call->extra[1], argument(call, 2), vspace))
        return false;
    if (!vspace_is_root(vspace->cap)) {
        fail(call, seL4_IllegalOperation);
        return false;
    }
    return true;
}

static bool decode_buffer(struct invocation *call, uint64_t address, struct slot *source, struct new_root *buffer)
{
    *buffer = (struct new_root) { .source = NULL };
    if (address == 0)
        return true;
    return make_root(call, source, 0, buffer) && vspace_check_ipc_buffer(call, address, buffer->cap);
}

/* Emptying the slot may have taken the source away, or the thread's own capability. */
static void install(struct invocation *call, struct tcb *thread, enum tcb_slot index, struct new_root root)
{
    struct slot *slot = &thread->slots[index];
    struct cap own = call->cap;

    slot_delete_one(call->cpu, slot);
    if (root.source && cap_same_object(root.cap, root.source->cap) && cap_same_object(own, call->slot->cap))
        slot_insert(root.cap, root.source, slot);
}

static void install_buffer(struct invocation *call, struct tcb *thread, uint64_t address, struct new_root buffer)
{
    install(call, thread, TCB_BUFFER, buffer);
    thread->ipc_buffer = address;
    if (thread == call->cpu->current)
        schedule_required(call->cpu);
}

static void configure(struct invocation *call, struct tcb *thread)
{
    struct new_root cspace, vspace, buffer;

    if (call->length < 4 || !has_extra(call, 3)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t fault_handler = argument(call, 0), address = argument(call, 3);
    if (!decode_buffer(call, address, call->extra[2], &buffer) || !decode_spaces(call, thread, &cspace, &vspace))
        return;
    thread->fault_handler = fault_handler;
    install(call, thread, TCB_CSPACE, cspace);
    install(call, thread, TCB_VSPACE, vspace);
    install_buffer(call, thread, address, buffer);
}

static void set_space(struct invocation *call, struct tcb *thread)
{
    struct new_root cspace, vspace;

    if (call->length < 3 || !has_extra(call, 2)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t fault_handler = argument(call, 0);
    if (!decode_spaces(call, thread, &cspace, &vspace))
        return;
    thread->fault_handler = fault_handler;
    install(call, thread, TCB_CSPACE, cspace);
    install(call, thread, TCB_VSPACE, vspace);
}

static void set_ipc_buffer(struct invocation *call, struct tcb *thread)
{
    struct new_root buffer;

    if (call->length < 1 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t address = argument(call, 0);
    if (decode_buffer(call, address, call->extra[0], &buffer))
        install_buffer(call, thread, address, buffer);
}

/* Whether the thread in the first extra capability, whose authority is used, may give these priorities. */
static bool check_priorities(struct invocation *call, unsigned count)
{
    if (call->length < count || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return false;
    }
    if (call->extra[0]->cap.type != CAP_THREAD) {
        fail_capability(call, 1);
        return false;
    }

    const struct tcb *authority = cap_object(call->extra[0]->cap);
    for (unsigned i = 0; i < count; i++) {
        if (argument(call, i) > authority->max_priority) {
            fail_range(call, seL4_MinPrio, authority->max_priority);
            return false;
        }
    }
    return true;
}

static void set_priority(struct invocation *call, struct tcb *thread)
{
    if (check_priorities(call, 1))
        thread_set_priority(call->cpu, thread, (uint8_t)argument(call, 0));
}

static void set_max_priority(struct invocation *call, struct tcb *thread)
{
    if (check_priorities(call, 1))
        thread->max_priority = (uint8_t)argument(call, 0);
}

static void set_scheduling(struct invocation *call, struct tcb *thread)
{
    if (!check_priorities(call, 2))
        return;

    uint8_t priority = (uint8_t)argument(call, 1);
    thread->max_priority = (uint8_t)argument(call, 0);
    thread_set_priority(call->cpu, thread, priority);
}

static bool has_waiters(const struct notification *notification)
{
    return (notification->head & 3) == NOTIFICATION_WAITING;
}

static void bind_notification(struct invocation *call, struct tcb *thread)
{
    if (!has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    struct cap cap = call->extra[0]->cap;
    if (thread->bound_notification || cap.type != CAP_NOTIFICATION || !(cap_rights(cap) & RIGHT_READ)) {
        fail(call, seL4_IllegalOperation);
        return;
    }

    struct notification *notification = cap_object(cap);
    if (has_waiters(notification) || notification->bound) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    notification_bind(notification, thread);
}

static void unbind_notification(struct invocation *call, struct tcb *thread)
{
    if (!thread->bound_notification)
        fail(call, seL4_IllegalOperation);
    else
        notification_unbind(thread->bound_notification);
}

static void set_affinity(struct invocation *call, struct tcb *thread)
{
    if (call->length < 1) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t cpu = argument(call, 0);
    if (cpu >= kernel.cpu_count) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    ready_remove(thread);
    thread->cpu = (unsigned)cpu;
    if (thread_is_runnable(thread))
        ready_append(thread);
    if (thread == call->cpu->current)
        schedule_required(call->cpu);
}

#define TCB_FLAGS ((uint64_t)seL4_TCBFlag_MASK | BEAML4_TCBFlag_Foreign)

static void set_flags(struct invocation *call, struct tcb *thread)
{
    if (call->length < 2) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    thread->flags = (thread->flags & ~argument(call, 0)) | (argument(call, 1) & TCB_FLAGS);
    if (thread->flags & seL4_TCBFlag_fpuDisabled)
        fpu_flush(&call->cpu->arch, &thread->fpu);
    result(call, thread->flags);
}

void tcb_invoke(struct invocation *call)
{
    struct tcb *thread = cap_object(call->cap);

    switch (call->label) {
    case TCBReadRegisters:
        tcb_read_registers(call, thread);
        break;
    case TCBWriteRegisters:
        tcb_write_registers(call, thread);
        break;
    case TCBCopyRegisters:
        tcb_copy_registers(call, thread);
        break;
    case TCBSuspend:
        tcb_suspend(call->cpu, thread);
        break;
    case TCBResume:
        tcb_restart(call->cpu, thread);
        break;
    case TCBConfigure:
        configure(call, thread);
        break;
    case TCBSetPriority:
        set_priority(call, thread);
        break;
    case TCBSetMCPriority:
        set_max_priority(call, thread);
        break;
    case TCBSetSchedParams:
        set_scheduling(call, thread);
        break;
    case TCBSetIPCBuffer:
        set_ipc_buffer(call, thread);
        break;
    case TCBSetSpace:
        set_space(call, thread);
        break;
    case TCBBindNotification:
        bind_notification(call, thread);
        break;
    case TCBUnbindNotification:
        unbind_notification(call, thread);
        break;
    case TCBSetAffinity:
        set_affinity(call, thread);
        break;
    case TCBSetTLSBase:
        tcb_set_tls_base(call, thread);
        break;
    case TCBSetFlags:
        set_flags(call, thread);
        break;
    case BEAML4_TCBStop:
        foreign_stop(call, thread);
        break;
    case TCBSetEPTRoot:
        vcpu_set_ept_root(call);
        break;
    default:
        fail(call, seL4_IllegalOperation);
    }
}
