/* The instruction that a guest exited for, as far as exits of AMD-V leave it open: its length, the registers of MOV to and
 * from control registers, the segment of string output (APM 3 1.1 to 1.4). Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define OPCODE_MAX_BYTES 15u

enum opcode_kind {
    OPCODE_ONE_BYTE, /* HLT, and IN, OUT and their string forms without operands */
    OPCODE_TWO_BYTES, /* CPUID, RDMSR … : 0f xx */
    OPCODE_THREE_BYTES, /* XSETBV, VMMCALL … : 0f 01 xx */
    OPCODE_PAUSE,     /* f3 90 */
    OPCODE_CONTROL,   /* MOV to and from control registers: 0f 20 /r, 0f 22 /r */
};

struct opcode {
    uint8_t length;
    uint8_t number, gpr; /* OPCODE_CONTROL */
    bool to_register;    /* OPCODE_CONTROL: MOV to a control register */
    uint8_t segment;     /* enum vcpu_segment of the last override, else VCPU_DS */
};

/* False: BYTES do not hold a whole instruction of that kind. IS_64: the code segment is 64-bit. */
bool opcode_decode(struct opcode *opcode, enum opcode_kind kind, bool is_64, const uint8_t *bytes, unsigned length);
