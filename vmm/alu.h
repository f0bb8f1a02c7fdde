/* Results and flags of arithmetic instructions (SDM 2). Pure. */
#pragma once

#include "vmm/instruction.h"

#include <stdbool.h>
#include <stdint.h>

/* SIZE bytes, all ones. */
static inline uint64_t alu_mask(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
}

/* What the instruction makes of its first operand A and its second B, with *RFLAGS as it leaves them. *STORES: the
 * result goes to the first operand. For the operations from ADD to NEG and BT to BTC, of which B is the number of the
 * bit. */
uint64_t alu_compute(enum operation operation, unsigned size, uint64_t a, uint64_t b, uint64_t *rflags, bool *stores);
