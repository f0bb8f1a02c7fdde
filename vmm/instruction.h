/* One instruction that accesses memory, in the form that vmm/emulate executes: what Zydis says, reduced. Pure. */
#pragma once

#include "algorithms/vcpu.h"

#include <stdbool.h>
#include <stdint.h>

#define INSTRUCTION_MAX_BYTES 15u

enum operation {
    OPERATION_MOV, /* also MOVNTI */
    OPERATION_MOVZX, OPERATION_MOVSX, /* also MOVSXD */
    OPERATION_ADD, OPERATION_OR, OPERATION_ADC, OPERATION_SBB, OPERATION_AND, OPERATION_SUB, OPERATION_XOR,
    OPERATION_CMP, OPERATION_TEST, OPERATION_INC, OPERATION_DEC, OPERATION_NOT, OPERATION_NEG,
    OPERATION_XCHG, OPERATION_XADD, OPERATION_CMPXCHG,
    OPERATION_BT, OPERATION_BTS, OPERATION_BTR, OPERATION_BTC,
    OPERATION_MOVS, OPERATION_STOS, OPERATION_LODS,
};

enum instruction_operand { OPERAND_NONE, OPERAND_REGISTER, OPERAND_IMMEDIATE };

/* How code is read (SDM 3A 2.1, 21.1). */
enum code_mode { CODE_REAL, CODE_16, CODE_32, CODE_64 };

#define NO_REGISTER 0xffu

struct instruction {
    enum operation operation;
    uint8_t length;      /* bytes of the instruction */
    uint8_t size;        /* bytes of memory that an access has */
    bool to_memory;      /* the first operand is the one in memory */
    bool repeated;       /* REP with a string instruction */

    enum instruction_operand other; /* the operand that is not in memory */
    uint8_t reg;         /* OPERAND_REGISTER: general register */
    uint8_t reg_size;    /* its bytes */
    bool high_byte;      /* it is AH, CH, DH or BH */
    uint64_t immediate;  /* sign-extended */

    /* The address: segment base + (base + index * scale + displacement) in address_size bytes. String instructions have
     * rsi (in SEGMENT) and rdi (in ES) instead. */
    uint8_t base, index; /* general register, VCPU_RIP, or NO_REGISTER */
    uint8_t scale, address_size, segment;
    int64_t displacement;
};

/* Decodes; false: not an instruction that can be carried out, or not a whole one. */
bool instruction_decode(struct instruction *instruction, enum code_mode mode, const uint8_t *bytes, unsigned length);
