/* Capabilities and the slots that hold them.
 *
 * A slot is 32 bytes (seL4_SlotBits): two words of capability, two of derivation list. A capability's first word is
 * its type, fourteen bits whose meaning depends on the type, and the physical address of its object in units of 16
 * bytes; the second word depends on the type. This file knows the encoding; what operations mean is in derive.h,
 * finalise.h and the file of each object.
 */
#pragma once

#include <lib/assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <arch/x86_64/memory.h>

enum cap_type {
    CAP_NULL,
    CAP_UNTYPED,
    CAP_ENDPOINT,
    CAP_NOTIFICATION,
    CAP_REPLY,
    CAP_CNODE,
    CAP_THREAD,
    CAP_IRQ_CONTROL,
    CAP_IRQ_HANDLER,
    CAP_ZOMBIE, /* a CNode or thread on its way out: slots of it may still hold capabilities */
    CAP_DOMAIN,
    CAP_FRAME,
    CAP_PAGE_TABLE, /* the four kinds of paging structure in order of level */
    CAP_PAGE_DIRECTORY,
    CAP_PDPT,
    CAP_PML4,
    CAP_ASID_CONTROL,
    CAP_ASID_POOL,
    CAP_IO_PORT_CONTROL,
    CAP_IO_PORT,
    CAP_IO_SPACE,
    CAP_IO_PAGE_TABLE,
    CAP_VCPU,
    CAP_EPT_PAGE_TABLE, /* and those of second-level translation */
    CAP_EPT_PAGE_DIRECTORY,
    CAP_EPT_PDPT,
    CAP_EPT_PML4,
    CAP_TYPE_COUNT,
};

/* Rights, as the bits of seL4_CapRights and of CAP_ENDPOINT, CAP_NOTIFICATION. */
enum cap_rights { RIGHT_WRITE = 1, RIGHT_READ = 2, RIGHT_GRANT = 4, RIGHT_GRANT_REPLY = 8, RIGHTS_ALL = 15 };

struct cap {
    uint64_t type : 6;
    uint64_t bits : 14;  /* by type, see the accessors below */
    uint64_t object : 44; /* physical address / 16 */
    uint64_t data;
};

/* The derivation list holds all capabilities in depth-first order; see derive.h. */
struct slot {
    struct cap cap;
    uint64_t next; /* address of the next slot, with the two flags below */
    struct slot *previous;
};

#define SLOT_REVOCABLE    1ul /* may have children */
#define SLOT_FIRST_BADGED 2ul /* not a child of an endpoint or notification capability with the same badge */

static_assert(sizeof(struct cap) == 16 && sizeof(struct slot) == 32, "part of the ABI: seL4_SlotBits");

static inline struct cap cap_make(enum cap_type type, uint64_t physical, unsigned bits, uint64_t data)
{
    return (struct cap) { .type = type, .bits = bits & 0x3fff, .object = physical >> 4, .data = data };
}

static inline struct cap cap_null(void)
{
    return (struct cap) { .type = CAP_NULL };
}

static inline uint64_t cap_physical(struct cap cap)
{
    return (uint64_t)cap.object << 4;
}

/* The object as the kernel sees it; not for frames and untypeds of device memory. */
static inline void *cap_object(struct cap cap)
{
    return physical_to_kernel(cap_physical(cap));
}

/* CAP_UNTYPED: bits = log2 of size | device << 6; data = bytes from the start that have been handed out. */
static inline unsigned untyped_size_bits(struct cap cap)
{
    return cap.bits & 63;
}

static inline bool untyped_is_device(struct cap cap)
{
    return cap.bits >> 6 & 1;
}

static inline struct cap cap_untyped(uint64_t physical, unsigned size_bits, bool device, uint64_t used)
{
    return cap_make(CAP_UNTYPED, physical, size_bits | (unsigned)device << 6, used);
}

/* CAP_ENDPOINT and CAP_NOTIFICATION: bits = rights; data = badge. */
static inline unsigned cap_rights(struct cap cap)
{
    return cap.bits & RIGHTS_ALL;
}

/* CAP_REPLY: object = the thread that waits; bits = master | can grant << 1. The master stands in the waiting thread's
 * TCB_REPLY slot while the thread is alive; the capability derived from it is what answers. */
static inline bool reply_is_master(struct cap cap)
{
    return cap.bits & 1;
}

static inline bool reply_can_grant(struct cap cap)
{
    return cap.bits >> 1 & 1;
}

static inline struct cap cap_reply(uint64_t thread, bool master, bool can_grant)
{
    return cap_make(CAP_REPLY, thread, (unsigned)master | (unsigned)can_grant << 1, 0);
}

/* CAP_CNODE: bits = radix | guard size << 6; data = guard. */
static inline unsigned cnode_radix(struct cap cap)
{
    return cap.bits & 63;
}

static inline unsigned cnode_guard_size(struct cap cap)
{
    return cap.bits >> 6 & 63;
}

static inline struct cap cap_cnode(uint64_t physical, unsigned radix, unsigned guard_size, uint64_t guard)
{
    return cap_make(CAP_CNODE, physical, radix | guard_size << 6, guard);
}

/* CAP_ZOMBIE: object = of the CNode or thread; bits = radix, or ZOMBIE_THREAD; data = slots still to be emptied. */
#define ZOMBIE_THREAD 63u

static inline bool zombie_is_thread(struct cap cap)
{
    return cap.bits == ZOMBIE_THREAD;
}

/* CAP_IRQ_HANDLER: data = irq. CAP_IO_PORT: data = first | last << 16, both inclusive; bits = VPID of the virtual CPU
 * whose guest may use them, or 0. */
static inline uint16_t io_port_first(struct cap cap)
{
    return (uint16_t)cap.data;
}

static inline uint16_t io_port_last(struct cap cap)
{
    return (uint16_t)(cap.data >> 16);
}
