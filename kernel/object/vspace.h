/* Address spaces of threads: frames, paging structures of four levels, ASIDs. */
#pragma once

#include <api/invocation.h>
#include <object/cap.h>
#include <object/mapping.h>

/* Loads the thread's address space (that of no thread where it has none that is valid). */
void vspace_activate(struct cpu *cpu, struct tcb *thread);

/* Called once, before the first thread. */
void vspace_init(void);

/* A capability to a new object of that seL4 object type (frames and paging structures, user and second-level) at zeroed
 * memory; the kernel's window goes into a PML4. */
struct cap vspace_new_object(uint64_t object_type, uint64_t physical, bool device);

/* Copies of these capabilities: frames come unmapped; structures must be mapped. */
bool vspace_derive(struct invocation *call, struct cap cap, struct cap *derived);

/* Undoes the mapping that CAP stands for; FINAL: of its object. */
void vspace_finalise(struct cpu *cpu, struct cap cap, bool final);

/* Whether CAP can be a thread's VSpace root: a PML4 with an ASID. */
bool vspace_is_root(struct cap cap);

/* Whether CAP can be an IPC buffer: a frame of RAM, and ADDRESS aligned. Otherwise fails the call. */
bool vspace_check_ipc_buffer(struct invocation *call, uint64_t address, struct cap cap);

/* Invocations of CAP_FRAME … CAP_ASID_POOL, CAP_IO_SPACE and CAP_IO_PAGE_TABLE. */
void vspace_invoke(struct invocation *call);

/* For the boot: the capability to the root task's pool, an ASID out of it for its PML4, and plain mappings. */
void asid_install_pool(unsigned pool_index, void *pool);
struct cap asid_assign_boot(struct cap pml4, unsigned pool_index, unsigned entry);
/* Maps a paging structure or frame (CAP; by its rights, cached) at ADDRESS, whose upper structures are there already, and
 * answers the capability as mapped. ROOT has its ASID. */
struct cap vspace_map_boot(struct cap root, struct cap cap, uint64_t address);

/* Frame mapping into the second level, invoked on a frame (X86PageMapEPT); in object/ept.c. */
void ept_map_frame(struct invocation *call);
void ept_unmap_frame(struct cpu *cpu, struct cap frame);
/* Invocations of CAP_EPT_…, and the end of such a capability. */
void ept_invoke(struct invocation *call);
void ept_finalise(struct cpu *cpu, struct cap cap, bool final);
/* An ASID pool lost this second-level root. */
void ept_root_gone(struct cpu *cpu, unsigned asid, uint64_t root);
