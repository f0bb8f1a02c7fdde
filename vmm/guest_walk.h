/* Linear addresses of the guest to guest physical ones, by the guest's own page tables (SDM 3A chapter 4). */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/guest_memory.h"

#include <stdbool.h>
#include <stdint.h>

/* What is going to be done there; PRESENT: the CPU has done it already, so that it was allowed. */
enum walk_access { WALK_READ, WALK_WRITE, WALK_EXECUTE, WALK_PRESENT };

enum walk_result {
    WALK_OK,
    WALK_PAGE_FAULT,  /* the guest would get a page fault with that error code */
    WALK_NOT_CANONICAL,
    WALK_UNSUPPORTED, /* five-level paging, or paging structures outside of RAM */
};

/* The registers that decide, fetched once for all walks of one instruction. */
struct walk_context {
    const struct guest_memory *memory;
    struct vcpu *vcpu;
    uint64_t cr3;
    uint64_t pdpte[4];
    uint8_t levels; /* 0: paging is off; 2: 32-bit, 3: PAE, 4, 5 */
    bool pse;
    uint64_t reserved; /* bits that have to be 0 in entries of four levels: walk_strictly */
    bool rights_known; /* what follows is fetched when it is first needed */
    bool write_protect, no_supervisor_access; /* CR0.WP; CR4.SMAP without RFLAGS.AC */
    bool user;                                /* CPL 3 */
    bool no_execute, no_supervisor_execute;   /* EFER.NXE; CR4.SMEP */
};

void walk_begin(struct walk_context *context, struct vcpu *vcpu, const struct guest_memory *memory);

/* The access is not the running code's own: to a descriptor table, a stack of another privilege level. */
void walk_as(struct walk_context *context, bool user);

/* No processor walks these tables: bits that are reserved with PHYSICAL_BITS of address, and NX where it is not enabled, are
 * looked at here. Long mode. */
void walk_strictly(struct walk_context *context, unsigned physical_bits);

/* Translates ADDRESS into *PHYSICAL; sets accessed and dirty flags as the CPU does. *ERROR is for a page fault. */
enum walk_result walk_address(struct walk_context *context, uint64_t address, enum walk_access access,
                              uint64_t *physical, uint32_t *error);

/* The code at linear ADDRESS, which the CPU has just executed: as many bytes as can be read, up to an instruction's. */
#define WALK_CODE_BYTES 15u
unsigned walk_fetch_code(struct walk_context *context, uint64_t address, uint8_t bytes[WALK_CODE_BYTES]);
