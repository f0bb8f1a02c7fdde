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

#define GUEST_GDT_LIMIT 0x27
#define GUEST_TASK        0x28 /* in TR; not in the GDT */
#define GUEST_TASK_LIMIT  0x67
#define GUEST_TASK_RIGHTS 0x8bul

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

/* Skips the case where there is no hardware virtualization. NUMBER keeps the guests of one case apart. */
struct guest new_guest(struct env *e, seL4_CPtr tcb, unsigned number);

/* The same, but for VT-x alone. */
struct guest new_vtx_guest(struct env *e, seL4_CPtr tcb, unsigned number);

/* What registers hold as each mode starts. Rights are as SDM 3C 25.4.1 has them. */
struct guest_start {
    seL4_Word cr0, cr3, cr4, efer;
    seL4_Word limit, code_selector, code_rights, data_selector, data_rights; /* of segments */
    seL4_Word idt_base, idt_limit;
};

struct guest_start guest_start(enum guest_mode mode);

/* Puts a program of guest_code.S into the guest, and all registers as that mode starts. On AMD-V its VMCALLs become
 * VMMCALLs. */
void guest_load(struct guest *g, enum guest_mode mode, const char *start, const char *end);

#define GUEST_LOAD(g, mode, program)                                       \
    do {                                                                   \
        extern const char program[], program##_end[];                      \
        guest_load(g, mode, program, program##_end);                       \
    } while (0)

/* One seL4_VMEnter; its result. For any thread. */
seL4_Word guest_enter(struct guest *g);

/* Thread functions with a struct guest as their argument: one entry; and entries so long as nothing but signals ends them,
 * counted in result[1]. */
void guest_run_once(struct env *e, struct thread *t, seL4_Word argument);
void guest_run_on(struct env *e, struct thread *t, seL4_Word argument);

/* The next entry goes on behind the instruction that exited. */
void guest_skip(struct guest *g);

/* How VT-x and AMD-V name what cases for both look for. */
enum guest_stop { GUEST_CALLS, GUEST_HALTS, GUEST_IS_REFUSED, GUEST_LACKS_MEMORY };
seL4_Word guest_reason(const struct guest *g, enum guest_stop stop);

/* A field of the VMCS or VMCB. Writing returns what the kernel made of the value. In the root thread only. */
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

#define EXPECT_STOP(g, stop) EXPECT_EXIT(g, guest_reason(g, stop))

/* Where a symbol of a program ends up in the guest. */
#define GUEST_ADDRESS(program, symbol) (GUEST_CODE + (seL4_Word)((symbol) - (program)))
