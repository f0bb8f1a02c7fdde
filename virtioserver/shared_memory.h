/* The guest's RAM in the server's address space. The monitor hands the frames over one by one; init has made the paging
 * structures for exactly them. Makes system calls. */
#pragma once

#include "ipc/startup.h"
#include "vmm/guest_memory.h"

#include <sel4/sel4.h>

struct shared_memory {
    struct guest_memory memory; /* empty until all of it is there */
    uint64_t bytes, mapped;     /* of RAM: all, and how much is there */
    uint64_t page_bytes;
    seL4_CPtr next_slot;        /* where the next frame arrives */
};

void shared_memory_init(struct shared_memory *shared, const struct startup *startup);

/* Whether all of it is there. */
bool shared_memory_is_complete(const struct shared_memory *shared);

/* Maps what has arrived with the message just received as the next frame. False: no frame of the right size, or all
 * have arrived already. Either way the slot is free for what comes next. */
bool shared_memory_add(struct shared_memory *shared);

/* Throws away a capability that nobody asked for. */
void shared_memory_refuse(const struct shared_memory *shared);
