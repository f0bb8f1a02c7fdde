/* Where a service finds its capabilities.
 *
 * beaml4-init fills a service's CSpace before it starts. Slots below SLOT_ROLE mean the same in every service;
 * the rest depends on what the service is for. A capability that a service is not given leaves its slot empty.
 *
 * Every service but init has a two-level CSpace: 32 bits of a capability pointer are resolved by the root CNode,
 * 32 by the CNode below it. The slots of this header live in the first second-level CNode (root index 0, guard
 * bits zero), so that a plain small number names them. The service may hang further CNodes into the root.
 */
#pragma once

/* Radix of the first level; its guard, zero, takes up the rest of the 32 bits, and so does that of a second-level
 * CNode: in SLOT_ROOT_CNODE and SLOT_STATIC_CNODE a slot has depth 32. */
#define SERVICE_ROOT_CNODE_BITS 8u

enum service_slot {
    SLOT_NULL = 0,
    SLOT_TCB = 1,          /* the service's own thread */
    SLOT_ROOT_CNODE = 2,   /* first level of its CSpace */
    SLOT_STATIC_CNODE = 3, /* the second-level CNode that holds these slots */
    SLOT_VSPACE = 4,       /* its PML4 */
    SLOT_HYPERVISOR = 5,   /* endpoint to init, badged; protocol in ipc/hypervisor.h */
    SLOT_NOTIFICATION = 6, /* the notification that is bound to its thread */
    SLOT_LOG_NOTIFY = 7,   /* signals logserver, badged, that a ring of ours has bytes */
    SLOT_TIME = 8,         /* endpoint to timeserver, badged; protocol in ipc/time.h */
    SLOT_REPLY = 9,        /* empty: for saving a reply capability */
    SLOT_FAULT = 10,       /* endpoint to init, badged, that the kernel sends the thread's faults to */
    SLOT_ROLE = 16,

    /* logserver */
    SLOT_LOG_SERIAL_PORTS = SLOT_ROLE, /* I/O ports of COM1 */
    SLOT_LOG_SERIAL_IRQ,               /* IRQ handler of COM1, bound to SLOT_NOTIFICATION */
    SLOT_LOG_CLIENT_NOTIFY = 64,       /* + client index: signals that client that console input is waiting */

    /* timeserver */
    SLOT_TIME_PIT_PORTS = SLOT_ROLE,   /* I/O ports 0x40..0x43 */
    SLOT_TIME_IRQ,                     /* IRQ handler of PIT and HPET, bound to SLOT_NOTIFICATION */
    SLOT_TIME_RECEIVE,                 /* the endpoint that clients call */
    SLOT_TIME_RECEIVED,                /* empty: for capabilities that come with requests */
    SLOT_TIME_CLIENT_NOTIFY = 64,      /* + client index: signals that client's timer */
    SLOT_TIME_CLIENT_SIGNAL = 96,      /* + 3 * client index + n: what that client has handed over for signal n + 1 */

    /* screenserver */
    SLOT_SCREEN_VGA_PORTS = SLOT_ROLE, /* I/O ports 0x3c0..0x3df */
    SLOT_SCREEN_KEYBOARD_DATA,         /* I/O port 0x60 */
    SLOT_SCREEN_KEYBOARD_COMMAND,      /* I/O port 0x64 */
    SLOT_SCREEN_KEYBOARD_IRQ,          /* IRQ handler of the keyboard, bound to SLOT_NOTIFICATION */

    /* vmmserver */
    SLOT_VM_EPT_ROOT = SLOT_ROLE,      /* second-level translation root, already assigned to an ASID pool; not in PV mode */
    SLOT_VM_RTC_PORTS,                 /* I/O ports 0x70..0x71, only where the configuration passes them through */
    SLOT_VM_ASID_POOL,                 /* for the guest's address spaces, in PV mode */
    SLOT_VM_VIRTIO_CALL = 32,          /* + device: endpoint of its virtioserver (ipc/virtio.h); may grant */
    SLOT_VM_VIRTIO_NOTIFY = 48,        /* + device: tells its virtioserver that the guest has filled queues */
    SLOT_VM_UNTYPED = 64,              /* + n: the VM's memory; how many and how large is in struct startup */
    SLOT_VM_UNTYPED_MAX = 192,         /* no more untypeds than this */

    /* virtioserver */
    SLOT_VIRTIO_RECEIVE = SLOT_ROLE,   /* the endpoint that the monitor calls */
    SLOT_VIRTIO_INTERRUPT,             /* signals the monitor that the device interrupts */
    SLOT_VIRTIO_FRAME = 32,            /* + n: empty; for the frames of the guest's RAM */
};

/* Badge bits of the notification that is bound to a service's thread. */
enum notification_bit {
    NOTIFY_TIMER = 1u << 0,        /* from timeserver: the armed deadline has passed */
    NOTIFY_CONSOLE_INPUT = 1u << 1, /* from logserver: the console's input ring has bytes */
    NOTIFY_STOP = 1u << 2,         /* from init: stop as soon as possible */
    NOTIFY_IRQ = 1u << 3,          /* the service's own interrupt */
    NOTIFY_LOG_RING = 1u << 4,     /* logserver only: some client's ring has bytes */
    NOTIFY_VIRTIO_QUEUE = 1u << 5, /* virtioserver only: the guest has filled queues */
    NOTIFY_TIME_TABLE = 1u << 6,   /* timeserver only: its table has changed */
    NOTIFY_TIME_LOST = 1u << 7,    /* from init, with NOTIFY_TIMER: timeserver is a new one and knows no timers */
    NOTIFY_DUMP = 1u << 16,        /* monitor only: init wants registers and stack of the guest in the log */
    NOTIFY_VIRTIO_INTERRUPT = 1u << 8, /* monitor only, shifted by the device's number: it interrupts */
};
