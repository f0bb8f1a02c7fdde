/* The thread that is the guest's CPU in PV mode, as its monitor sees it: it runs until it stops, and then says why and
 * with which registers. Makes system calls; this header does not, so that a test can play the thread.
 *
 * The thread is "foreign" (sel4/beaml4.h): whatever it does that the processor does not simply carry out stops it, and
 * arrives in one message at an endpoint that the monitor receives from, together with the monitor's notifications. The
 * answer to that message lets it go on. It has no capability but the one that its faults go to, and cannot use that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* In the order of enum vcpu_register: the general registers, rip, rflags; then the bases of FS and GS. */
enum { PV_THREAD_RIP = 16, PV_THREAD_RFLAGS, PV_THREAD_FS_BASE, PV_THREAD_GS_BASE, PV_THREAD_REGISTERS };

enum pv_stop_kind {
    PV_STOP_SYSCALL,    /* rip is at the instruction; rcx and r11 are lost */
    PV_STOP_EXCEPTION,  /* VECTOR with ERROR; ADDRESS is DR6 for #DB */
    PV_STOP_PAGE_FAULT, /* at ADDRESS with ERROR */
    PV_STOP_ASKED,      /* for a notification */
    PV_STOP_STRANGE,    /* the kernel has sent what it does not send */
};

struct pv_stop {
    enum pv_stop_kind kind;
    uint8_t vector;
    uint32_t error;
    uint64_t address;
    bool notified;         /* the monitor has been notified in the meantime */
    uint64_t notification; /* with this badge */
};

struct pv_thread {
    uint64_t tcb, endpoint; /* capabilities */
    uint64_t early;          /* notifications from before it ran */
    uint64_t replies, stops; /* how often it was let go on, and stopped for a notification */
};

/* What it is made of, all capabilities: an unused TCB, an endpoint, a CNode of its own with 2^PV_FAULT_CNODE_BITS slots,
 * and an empty address space. */
#define PV_FAULT_CNODE_BITS 1u
#define PV_FAULT_SLOT       1u

struct pv_thread_parts {
    uint64_t tcb, endpoint, cnode, root;
    uint64_t own_cnode; /* of the monitor: what capabilities are looked up in */
    uint64_t authority; /* a TCB that may set that priority */
    unsigned priority;
    const char *name;
};

/* Gets it ready to run. NULL, or why not. */
const char *pv_thread_init(struct pv_thread *thread, const struct pv_thread_parts *parts);

/* Runs it with REGISTERS in the address space ROOT (0: as before) until it stops; REGISTERS are then those it has. */
void pv_thread_run(struct pv_thread *thread, uint64_t registers[PV_THREAD_REGISTERS], uint64_t root,
                   struct pv_stop *stop);

/* Whether using the FPU is an exception (7). */
void pv_thread_forbid_fpu(struct pv_thread *thread, bool forbidden);
