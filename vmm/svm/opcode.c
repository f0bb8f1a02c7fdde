#include "vmm/svm/opcode.h"

#include "algorithms/vcpu.h"

#define REX_B 1u
#define REX_R 4u

/* Legacy prefixes: false for any other byte. */
static bool take_prefix(struct opcode *opcode, uint8_t byte)
{
    switch (byte) {
    case 0x26: opcode->segment = VCPU_ES; return true;
    case 0x2e: opcode->segment = VCPU_CS; return true;
    case 0x36: opcode->segment = VCPU_SS; return true;
    case 0x3e: opcode->segment = VCPU_DS; return true;
    case 0x64: opcode->segment = VCPU_FS; return true;
    case 0x65: opcode->segment = VCPU_GS; return true;
    case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3: return true;
    default: return false;
    }
}

static bool decode_control(struct opcode *opcode, uint8_t rex, const uint8_t *bytes, unsigned length)
{
    if (length < 3 || bytes[0] != 0x0f || (bytes[1] != 0x20 && bytes[1] != 0x22))
        return false;
    opcode->to_register = bytes[1] == 0x22;
    opcode->number = (uint8_t)((bytes[2] >> 3 & 7) | (rex & REX_R ? 8 : 0));
    opcode->gpr = (uint8_t)((bytes[2] & 7) | (rex & REX_B ? 8 : 0));
    return true;
}

bool opcode_decode(struct opcode *opcode, enum opcode_kind kind, bool is_64, const uint8_t *bytes, unsigned length)
{
    static const uint8_t size_of[] = {
        [OPCODE_ONE_BYTE] = 1, [OPCODE_TWO_BYTES] = 2, [OPCODE_THREE_BYTES] = 3, [OPCODE_PAUSE] = 1, [OPCODE_CONTROL] = 3,
    };
    unsigned start = 0;
    bool lock = false;
    uint8_t rex = 0;

    *opcode = (struct opcode) { .segment = VCPU_DS };
    for (; start < length; start++) {
        if (is_64 && (bytes[start] & 0xf0) == 0x40) {
            rex = bytes[start];
        } else if (take_prefix(opcode, bytes[start])) {
            lock = lock || bytes[start] == 0xf0;
            rex = 0; /* it counts only right before the opcode */
        } else {
            break;
        }
    }
    if (length - start < size_of[kind])
        return false;
    opcode->length = (uint8_t)(start + size_of[kind]);
    if (kind == OPCODE_CONTROL) {
        if (!decode_control(opcode, rex, bytes + start, length - start))
            return false;
        /* LOCK MOV CR0 is how CR8 is named outside of 64-bit code (APM 3, MOV CRn). */
        if (lock && opcode->number == 0)
            opcode->number = 8;
        return true;
    }
    if (kind == OPCODE_TWO_BYTES || kind == OPCODE_THREE_BYTES)
        return bytes[start] == 0x0f;
    return true;
}
