/* Kernel objects out of the untypeds that the monitor was given, and slots for their capabilities. Nothing is ever
 * given back: init revokes the untypeds when the VM ends. Makes system calls. */
#pragma once

#include "ipc/startup.h"

#include <sel4/sel4.h>
#include <stdbool.h>
#include <stdint.h>

#define OBJECTS_UNTYPED_MAX (SLOT_VM_UNTYPED_MAX - SLOT_VM_UNTYPED)
#define OBJECTS_RUN_MAX     256u /* slots in a row, objects a retype */

struct slot_range {
    uint32_t cnode; /* index in the root CNode */
    uint32_t next, end;
};

struct objects {
    unsigned count;
    struct {
        seL4_CPtr slot;
        uint64_t bytes, used; /* the kernel hands an untyped out in ascending order */
    } untyped[OBJECTS_UNTYPED_MAX];
    struct slot_range fixed; /* of the CNode that init made */
    struct slot_range added; /* of the last one that was hung into the root beside it */
    seL4_CPtr spare_slot;    /* of the first, where another CNode is made */
    uint32_t last_cnode;
    uint64_t frames_expected; /* slots that objects_take_slots will still be asked for */
};

void objects_init(struct objects *objects, const struct startup *startup);

/* One object of TYPE with 2^SIZE_BITS bytes. */
bool objects_make(struct objects *objects, seL4_Word type, unsigned size_bits, seL4_CPtr *object);

/* The same in an empty slot that objects_take_slots has given. */
bool objects_make_in(struct objects *objects, seL4_Word type, unsigned size_bits, seL4_CPtr slot);

/* So many slots are going to be taken in runs. Where the CNode that init made has too few, others hang beside it. */
void objects_expect(struct objects *objects, uint64_t slots);

/* COUNT slots in a row. False: no memory for another CNode. */
bool objects_take_slots(struct objects *objects, unsigned count, seL4_CPtr *first);

/* Up to MAXIMUM objects of one type out of one untyped, the one with the most room, their slots in a row; how many, 0:
 * none. */
unsigned objects_make_many(struct objects *objects, seL4_Word type, unsigned size_bits, unsigned maximum,
                           seL4_CPtr *first);

/* A second capability of the same object. */
bool objects_copy(seL4_CPtr object, seL4_CPtr copy);
