/* A process that init makes: program, address space, capability space, thread, all out of one pool. The order is
 * process_create, then what it is given (startup fields, capabilities, pages), then process_start. Whatever fails in
 * between, process_destroy takes everything back. Functions answer NULL or why they failed.
 */
#pragma once

#include "beaml4-init/address_space.h"
#include "beaml4-init/archive.h"
#include "ipc/startup.h"

struct process {
    bool exists; /* from process_create, whether it succeeds or not, to process_destroy */
    struct pool pool;
    struct address_space space;
    struct startup startup; /* what its startup page will hold */
    seL4_CPtr tcb, notification, root_cnode, static_cnode, ipc_buffer;
    uint64_t entry;
};

/* A process called NAME of PROGRAM, an ELF file, with a static CNode of 2^CNODE_BITS slots. It holds its bound
 * notification and HEAP_BYTES of heap, a multiple of the page size. */
const char *process_create(struct process *process, struct resources *resources, const char *name,
                           const struct archive_member *program, unsigned cnode_bits, uint64_t heap_bytes);

/* The same with NOTIFICATION, which outlives it, in place of one of its own. */
const char *process_create_with(struct process *process, struct resources *resources, const char *name,
                                const struct archive_member *program, unsigned cnode_bits, uint64_t heap_bytes,
                                seL4_CPtr notification);

/* The guard that a capability of its static CNode has in its own capability space. */
seL4_Word process_guard(const struct process *process);

/* A copy of a capability of init's, with BADGE where that is not 0, in SLOT of the static CNode in place of what is
 * there. */
const char *process_give(struct process *process, unsigned slot, seL4_CPtr capability, seL4_CapRights_t rights,
                         seL4_Word badge);

/* Its own thread, CNodes and address space, for one that makes objects itself. */
const char *process_give_itself(struct process *process);

/* Its static CNode and address space, for one that maps what it is given. */
const char *process_give_memory(struct process *process);

/* Maps bytes of init's image (a member of the archive) read-only at ADDRESS; both begin at a page boundary. */
const char *process_share_bytes(struct process *process, uint64_t address, const void *bytes, size_t length);

/* Sends its faults to ENDPOINT with BADGE and lets it run. */
const char *process_start(struct process *process, seL4_CPtr endpoint, seL4_Word badge, unsigned priority);

/* Stops it for good. */
void process_suspend(struct process *process);

/* The end of all that it has made or was made for it. */
void process_destroy(struct process *process);
