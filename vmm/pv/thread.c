#include "vmm/pv/thread.h"

#include <sel4/beaml4.h>
#include <sel4/sel4.h>
#include <stddef.h>

/* On the guest's way to report a fault: no notification has this badge. */
#define FAULT_BADGE (UINT64_C(1) << 32)

#define RFLAGS_AT_RESET 2u

const char *pv_thread_init(struct pv_thread *thread, const struct pv_thread_parts *parts)
{
    *thread = (struct pv_thread) { .tcb = parts->tcb, .endpoint = parts->endpoint };
    if (seL4_CNode_Mint(parts->cnode, PV_FAULT_SLOT, PV_FAULT_CNODE_BITS, parts->own_cnode, parts->endpoint,
                        seL4_WordBits, seL4_CapRights_new(1, 0, 0, 1), FAULT_BADGE) != seL4_NoError)
        return "the kernel gives its thread no way to report faults";
    seL4_Word guard = seL4_CNode_CapData_new(0, seL4_WordBits - PV_FAULT_CNODE_BITS).words[0];
    if (seL4_TCB_SetSpace(parts->tcb, PV_FAULT_SLOT, parts->cnode, guard, parts->root, 0) != seL4_NoError)
        return "the kernel gives its thread no address space";
    if (seL4_TCB_SetFlags(parts->tcb, 0, BEAML4_TCBFlag_Foreign).error != seL4_NoError)
        return "the kernel does not separate its thread from the system";
    if (seL4_TCB_SetSchedParams(parts->tcb, parts->authority, parts->priority, parts->priority) != seL4_NoError)
        return "the kernel refuses the priority of its thread";
    seL4_DebugNameThread(parts->tcb, parts->name);

    /* From now on it is always either running or waits for an answer. */
    seL4_UserContext registers = { .rflags = RFLAGS_AT_RESET };
    if (seL4_TCB_WriteRegisters(parts->tcb, 1, 0, sizeof registers / sizeof(seL4_Word), &registers) != seL4_NoError ||
        sel4_tcb_stop(parts->tcb) != seL4_NoError)
        return "the kernel does not start its thread";
    for (;;) {
        seL4_Word badge;

        seL4_Recv(parts->endpoint, &badge);
        if (badge == FAULT_BADGE)
            return NULL;
        thread->early |= badge;
    }
}

/* The message that has arrived from the thread. */
static void take(uint64_t registers[PV_THREAD_REGISTERS], struct pv_stop *stop, const struct sel4_registers *io)
{
    static const enum pv_stop_kind kinds[] = {
        [BEAML4_FOREIGN_SYSCALL] = PV_STOP_SYSCALL,
        [BEAML4_FOREIGN_EXCEPTION] = PV_STOP_EXCEPTION,
        [BEAML4_FOREIGN_PAGE_FAULT] = PV_STOP_PAGE_FAULT,
        [BEAML4_FOREIGN_STOPPED] = PV_STOP_ASKED,
    };
    seL4_MessageInfo_t info = { { io->info } };
    const seL4_Word *mr = seL4_GetIPCBuffer()->msg;

    if (seL4_MessageInfo_get_label(info) != BEAML4_Fault_Foreign ||
        seL4_MessageInfo_get_length(info) != BEAML4_FOREIGN_FAULT_LENGTH ||
        mr[BEAML4_FOREIGN_KIND] >= sizeof kinds / sizeof kinds[0]) {
        stop->kind = PV_STOP_STRANGE;
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        registers[i] = io->mr[i];
    for (unsigned i = 4; i < PV_THREAD_REGISTERS; i++)
        registers[i] = mr[i];
    stop->kind = kinds[mr[BEAML4_FOREIGN_KIND]];
    stop->vector = (uint8_t)mr[BEAML4_FOREIGN_VECTOR];
    stop->error = (uint32_t)mr[BEAML4_FOREIGN_ERROR];
    stop->address = mr[BEAML4_FOREIGN_ADDRESS];
}

void pv_thread_run(struct pv_thread *thread, uint64_t registers[PV_THREAD_REGISTERS], uint64_t root,
                   struct pv_stop *stop)
{
    seL4_Word *mr = seL4_GetIPCBuffer()->msg;
    struct sel4_registers io = {
        .dest = thread->endpoint,
        .info = seL4_MessageInfo_new(0, 0, 0, PV_THREAD_REGISTERS + (root != 0)).words[0],
        .mr = { registers[0], registers[1], registers[2], registers[3] },
    };

    *stop = (struct pv_stop) { .notified = thread->early != 0, .notification = thread->early };
    thread->early = 0;
    for (unsigned i = 4; i < PV_THREAD_REGISTERS; i++)
        mr[i] = registers[i];
    mr[PV_THREAD_REGISTERS] = root;
    thread->replies++;
    sel4_syscall(seL4_SysReplyRecv, &io);
    /* The guest does not go on before its monitor has seen to what it was notified of. The thread may have stopped by
     * itself in the meantime; then that is what arrives. More notifications may arrive first. */
    while (io.dest != FAULT_BADGE) {
        stop->notified = true;
        stop->notification |= io.dest;
        thread->stops++;
        sel4_tcb_stop(thread->tcb);
        io = (struct sel4_registers) { .dest = thread->endpoint };
        sel4_syscall(seL4_SysRecv, &io);
    }
    take(registers, stop, &io);
}

void pv_thread_forbid_fpu(struct pv_thread *thread, bool forbidden)
{
    seL4_TCB_SetFlags(thread->tcb, forbidden ? 0 : seL4_TCBFlag_fpuDisabled, forbidden ? seL4_TCBFlag_fpuDisabled : 0);
}
