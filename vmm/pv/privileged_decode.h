/* Instructions of the guest that the monitor carries out, in the form that vmm/pv/privileged.c executes: what Zydis says,
 * reduced. Patched ones (vmm/pv/patch.h) are read as what they were. Pure. */
#pragma once

#include "vmm/instruction.h"

#include <stdbool.h>
#include <stdint.h>

enum privileged_operation {
    PRIVILEGED_NONE, /* any other instruction */
    PRIVILEGED_CLI, PRIVILEGED_STI, PRIVILEGED_PUSHF, PRIVILEGED_POPF, PRIVILEGED_IRET,
    PRIVILEGED_SYSRET, PRIVILEGED_SWAPGS, PRIVILEGED_RDMSR, PRIVILEGED_WRMSR, PRIVILEGED_HLT,
    PRIVILEGED_LGDT, PRIVILEGED_LIDT, PRIVILEGED_SGDT, PRIVILEGED_SIDT,
    PRIVILEGED_LLDT, PRIVILEGED_SLDT, PRIVILEGED_LTR, PRIVILEGED_STR, PRIVILEGED_SMSW, PRIVILEGED_LMSW, PRIVILEGED_CLTS,
    PRIVILEGED_MOV_TO_CR, PRIVILEGED_MOV_FROM_CR, PRIVILEGED_MOV_TO_DR, PRIVILEGED_MOV_FROM_DR,
    PRIVILEGED_INVLPG, PRIVILEGED_INVPCID, PRIVILEGED_INVALIDATE_CACHE,
    PRIVILEGED_IN, PRIVILEGED_OUT, PRIVILEGED_INS, PRIVILEGED_OUTS,
    PRIVILEGED_INT, PRIVILEGED_INT1,
    PRIVILEGED_MOV_TO_SEGMENT, PRIVILEGED_MOV_FROM_SEGMENT, PRIVILEGED_PUSH_SEGMENT, PRIVILEGED_POP_SEGMENT,
    PRIVILEGED_LOAD_FAR_POINTER, PRIVILEGED_LAR, PRIVILEGED_LSL, PRIVILEGED_VERR, PRIVILEGED_VERW,
    PRIVILEGED_RET_FAR, PRIVILEGED_JMP_FAR, PRIVILEGED_CALL_FAR,
    PRIVILEGED_XSETBV, PRIVILEGED_CPUID, PRIVILEGED_RDPMC, PRIVILEGED_RDTSC, PRIVILEGED_RDTSCP,
    PRIVILEGED_HYPERCALL, PRIVILEGED_UNDEFINED, /* VMX, SVM, MONITOR, MWAIT, STAC, SYSENTER …: #UD on this virtual CPU */
    PRIVILEGED_OPERATION_COUNT,
};

struct privileged_instruction {
    enum privileged_operation operation;
    bool patched;          /* reached through a patched opcode */
    uint8_t opcode_offset; /* bytes of prefixes */
    uint8_t length, operand_size, address_size; /* bytes */
    bool repeated;         /* INS, OUTS */

    /* The operand that can be in memory. */
    bool is_memory;
    uint8_t base, index, scale, segment; /* general registers, VCPU_RIP or NO_REGISTER; enum vcpu_segment */
    int64_t displacement;

    uint8_t reg;           /* general register: the other operand, or the one that is not in memory */
    uint8_t other;         /* the register beside it: LAR, LSL and far pointers; INVPCID */
    uint8_t number;        /* control, debug or segment register */
    uint64_t immediate;    /* INT, RETF, IN, OUT */
    bool has_immediate;
};

/* Decodes the 64-bit code at BYTES. False: no instruction at all (or cut off), which is a #UD. */
bool privileged_decode(struct privileged_instruction *instruction, const uint8_t *bytes, unsigned length);

/* What has been decoded lately, by its bytes. */
#define PRIVILEGED_CACHED 32u

struct privileged_cache {
    struct {
        bool valid;
        uint8_t bytes[INSTRUCTION_MAX_BYTES];
        struct privileged_instruction instruction;
    } entry[PRIVILEGED_CACHED];
};

/* The same through the cache; NULL for false. */
const struct privileged_instruction *privileged_decode_cached(struct privileged_cache *cache, uint64_t rip,
                                                              const uint8_t *bytes, unsigned length);
