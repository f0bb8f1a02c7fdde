/* For the cases about address spaces: whether memory can be reached, and the details of their errors. */
#pragma once

#include "tests/kernel/harness.h"

/* The call fails with an error that names a number: of an argument or capability, or bytes left. */
#define EXPECT_NUMBERED(call, error, number)     \
    do {                                         \
        EXPECT_EQ(call, error);                  \
        EXPECT_EQ(seL4_GetMR(0), number);        \
    } while (0)

/* The call fails because a paging structure is missing, with so many address bits left. */
#define EXPECT_MISSING_TABLE(call, bits)               \
    do {                                               \
        EXPECT_EQ(call, seL4_FailedLookup);            \
        EXPECT_EQ(seL4_GetMR(0), 0);                   \
        EXPECT_EQ(seL4_GetMR(1), seL4_MissingCapability); \
        EXPECT_EQ(seL4_GetMR(2), bits);                \
    } while (0)

/* The call fails because an ASID leads to no address space. */
#define EXPECT_INVALID_ROOT(call)                \
    do {                                         \
        EXPECT_EQ(call, seL4_FailedLookup);      \
        EXPECT_EQ(seL4_GetMR(0), 0);             \
        EXPECT_EQ(seL4_GetMR(1), seL4_InvalidRoot); \
    } while (0)

#define EXPECT_RANGE(call, first, last)          \
    do {                                         \
        EXPECT_EQ(call, seL4_RangeError);        \
        EXPECT_EQ(seL4_GetMR(0), first);         \
        EXPECT_EQ(seL4_GetMR(1), last);          \
    } while (0)

/* A thread that touches memory, and whose faults we get. */
struct prober {
    struct thread *thread;
    seL4_CPtr endpoint;
    seL4_Word fault_address, fault_status, fault_is_prefetch; /* of the last access that was not possible */
    seL4_Word value; /* that the last one which was possible read, or returned */
};

enum probe { PROBE_READ, PROBE_WRITE, PROBE_CALL };

/* Bits of the fault status (SDM 3A 4.7). */
#define FAULT_PRESENT 1u
#define FAULT_WRITE   2u
#define FAULT_USER    4u

struct prober new_prober(struct env *e);

/* Whether the thread can read or write a word at ADDRESS, or call the code there. A write stores ADDRESS itself. */
bool can(struct env *e, struct prober *prober, enum probe probe, seL4_Word address);

/* A new page table root with an ASID of the initial pool. */
seL4_CPtr new_vspace(struct env *e);

/* An untyped of device memory of at least 2^SIZE_BITS bytes; 0 where the machine has none. */
seL4_CPtr device_untyped(struct env *e, seL4_Word size_bits);

/* Maps our whole image into VSPACE at its addresses, so that threads run there as here. */
void map_image(struct env *e, seL4_CPtr vspace);
