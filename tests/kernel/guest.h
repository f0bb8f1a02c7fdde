/* A small virtual machine of 2 MiB for the cases, run by whichever thread its VCPU belongs to. */
#pragma once

#include "tests/kernel/harness.h"

#include <sel4/vmcs.h>

#define GUEST_BYTES   0x200000ul
#define GUEST_CODE    0x1000ul  /* where its program lies and starts */
#define GUEST_RESULTS 0x6000ul  /* where programs leave words */
#define GUEST_STACK   0x8000ul
#define GUEST_IDT     0x9000ul
#define GUEST_GDT     0xa000ul
#define GUEST_TSS     0xb000ul
#define GUEST_TABLES  0x10000ul /* of long mode: the first GiB, one to one */

#define GUEST_CS      0x8
#define GUEST_DS      0x10
#define GUEST_USER_DS 0x18
#define GUEST_USER_CS 0x20

enum guest_mode { GUEST_REAL, GUEST_PROTECTED, GUEST_LONG };

struct guest {
    struct env *env;
    seL4_CPtr vcpu, ept_root, frame;
    uint8_t *memory;
    seL4_Word rip, controls, event; /* what the next entry says, and the last exit said */
    seL4_Word badge;                /* of the last notification */
    seL4_Word word[SEL4_VMENTER_NUM_FAULT_MSGS]; /* of the last exit */
};

/* Maps 2 MiB of RAM at guest physical 0 of that guest, and for us at an address of its own. */
void guest_map_memory(struct guest *g, unsigned number);

/* Skips the case where there is no VT-x. NUMBER keeps the guests of one case apart. */
struct guest new_guest(struct env *e, seL4_CPtr tcb, unsigned number);

/* Puts a program of guest_code.S into the guest, and all registers as that mode starts. */
void guest_load(struct guest *g, enum guest_mode mode, const char *start, const char *end);

#define GUEST_LOAD(g, mode, program)                                       \
    do {                                                                   \
        extern const char program[], program##_end[];                      \
        guest_load(g, mode, program, program##_end);                       \
    } while (0)

/* One seL4_VMEnter; its result. For any thread. */
seL4_Word guest_enter(struct guest *g);

/* The next entry goes on behind the instruction that exited. */
static inline void guest_skip(struct guest *g)
{
    g->rip += g->word[SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR];
}

/* A field of the VMCS. Writing returns what the kernel made of the value. In the root thread only. */
seL4_Word guest_read(struct guest *g, seL4_Word field);
seL4_Word guest_write(struct guest *g, seL4_Word field, seL4_Word value);

/* A gate of the guest's IDT for VECTOR, in long mode. */
void guest_set_gate(struct guest *g, unsigned vector, seL4_Word handler);

/* A word of the guest's memory. */
static inline volatile seL4_Word *guest_word(struct guest *g, seL4_Word address)
{
    return (volatile seL4_Word *)(g->memory + address);
}

/* Enters, and expects that the guest stops for that reason. */
#define EXPECT_EXIT(g, reason)                                              \
    do {                                                                    \
        EXPECT_EQ(guest_enter(g), SEL4_VMENTER_RESULT_FAULT);               \
        EXPECT_EQ((g)->word[SEL4_VMENTER_FAULT_REASON_MR], reason);         \
    } while (0)

/* Where a symbol of a program ends up in the guest. */
#define GUEST_ADDRESS(program, symbol) (GUEST_CODE + (seL4_Word)((symbol) - (program)))
