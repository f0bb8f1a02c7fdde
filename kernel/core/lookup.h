/* Capability pointers to slots. */
#pragma once

#include <core/fault.h>
#include <object/cap.h>
#include <object/tcb.h>

/* Resolves the low DEPTH bits of POINTER from the CNode capability ROOT. Answers the slot, and in *BITS_LEFT how many
 * bits were left where a non-CNode capability ended it early; NULL with *FAILURE filled. */
struct slot *lookup_bits(struct cap root, uint64_t pointer, unsigned depth, unsigned *bits_left,
                         struct lookup_failure *failure);

/* In the thread's CSpace with all 64 bits, which need not all be consumed; NULL with *FAILURE filled. */
struct slot *lookup_slot(const struct tcb *thread, uint64_t pointer, struct lookup_failure *failure);

/* As system calls name a slot: by a CNode capability, an index and a depth; all bits must be consumed. */
struct slot *lookup_target(struct cap root, uint64_t index, uint64_t depth, struct lookup_failure *failure);

/* The words by which a failure is told to a user; answers how many, at most LOOKUP_FAILURE_WORDS. */
#define LOOKUP_FAILURE_WORDS 4u
unsigned lookup_failure_words(const struct lookup_failure *failure, uint64_t *words);
