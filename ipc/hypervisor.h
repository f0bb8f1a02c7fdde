/* The hypervisor channel: what services ask of init. The badge says who asks; a monitor may speak of its own VM only.
 *
 * A reply's label is an enum hypervisor_status. The debug shell's requests are in ipc/debug.h.
 */
#pragma once

#include "ipc/protocol.h"

#define hypervisor_page(FIELD) FIELD(uint64_t, physical, , "address of an untyped of 2 MiB that the VM was given")
IPC_STRUCT(hypervisor_page)

#define HYPERVISOR_PROTOCOL(OPERATION)                                                                               \
    OPERATION(HV_VM_RUNNING, 0x2001, ipc_nothing, ipc_nothing, 0,                                                    \
              "The guest is about to run its first instruction.")                                                    \
    OPERATION(HV_VM_POWERED_OFF, 0x2002, ipc_nothing, ipc_nothing, 0,                                                \
              "The guest has powered itself off: the VM is destroyed, and no reply comes.")                          \
    OPERATION(HV_VM_REBOOT, 0x2003, ipc_nothing, ipc_nothing, 0,                                                     \
              "The guest wants a reset: the VM is destroyed and made anew, and no reply comes.")                     \
    OPERATION(HV_VM_REFUSED, 0x2004, ipc_nothing, ipc_nothing, 0,                                                    \
              "Image or configuration cannot run; the cause has been logged. No reply comes.")                       \
    OPERATION(HV_VM_CRASHED, 0x2005, ipc_nothing, ipc_nothing, 0,                                                    \
              "The guest has stopped by a fault of its own; the cause has been logged. No reply comes.")             \
    OPERATION(HV_TIME_ROOM, 0x2006, ipc_nothing, ipc_nothing, 0,                                                     \
              "One more piece of the VM's memory goes to timeserver, for its timers.")                               \
    OPERATION(HV_VM_BALLOON, 0x2101, hypervisor_page, ipc_nothing, 0,                                                \
              "The guest gives 2 MiB back; what the VM has made of them is destroyed. HV_NO_SUCH: they are not an "  \
              "untyped of the VM's.")

enum hypervisor_operation { HYPERVISOR_PROTOCOL(IPC_NUMBER) };

enum hypervisor_status {
    HV_OK = 0,
    HV_DENIED = 1,      /* not the caller's to ask */
    HV_INVALID = 2,     /* no such operation, or not the words that it takes */
    HV_NO_MEMORY = 3,
    HV_NO_SUCH = 4,     /* what is asked about is not there */
    HV_WRONG_STATE = 5, /* it is there, and not in a state in which that can be done */
    HV_FAILED = 6,      /* it was tried; the cause has been logged */
};

/* Badges on init's endpoint: kind in the top byte of the low half, number below. A fault of a service arrives on the
 * same endpoint with the fault kind. */
enum hypervisor_badge_kind {
    BADGE_SERVICE = 1,
    BADGE_MONITOR = 2,
    BADGE_FAULT_SERVICE = 3,
    BADGE_FAULT_MONITOR = 4,
    BADGE_FAULT_VIRTIO = 5, /* number: of the VM, times VM_VIRTIO_MAX, plus that of the device */
};

#define HV_BADGE(kind, number) ((uint64_t)(kind) << 24 | (uint64_t)(number))
#define HV_BADGE_KIND(badge)   ((uint32_t)((badge) >> 24) & 0xffu)
#define HV_BADGE_NUMBER(badge) ((uint32_t)(badge) & 0xffffffu)

/* Client stub: asks init (SLOT_HYPERVISOR) for an operation of the caller's own VM. Those that end the VM do not
 * return. Overwrites message registers. */
enum hypervisor_status hypervisor_call(uint64_t hypervisor, enum hypervisor_operation operation);
enum hypervisor_status hypervisor_balloon(uint64_t hypervisor, uint64_t physical);
