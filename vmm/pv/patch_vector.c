/* The length of vector instructions that the decoder has been built without (AVX-512, and what is newer than it): none of
 * them is sensitive, but what follows must be read from where they end (SDM 2A 2.3.5, 2.7.1). */
#include "vmm/pv/patch_parts.h"

#include "vmm/instruction.h"

#define TWO_BYTE_VEX   0xc5u
#define THREE_BYTE_VEX 0xc4u
#define EVEX           0x62u

/* Bytes of ModRM and what belongs to it. */
static unsigned operand_length(const uint8_t *bytes)
{
    unsigned mod = bytes[0] >> 6, rm = bytes[0] & 7, length = 1;

    if (mod == 3)
        return length;
    if (rm == 4) {
        length++;
        if (mod == 0 && (bytes[1] & 7) == 5)
            return length + 4;
    }
    if (mod == 1)
        return length + 1;
    return mod == 2 || (mod == 0 && rm == 5) ? length + 4 : length;
}

static bool has_immediate(unsigned map, uint8_t opcode)
{
    if (map == 1)
        return (opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 || (opcode >= 0xc4 && opcode <= 0xc6);
    return map == 3;
}

unsigned patch_vector_length(const uint8_t code[15])
{
    unsigned at = 0, map, length;

    while (at < 4 && patch_is_prefix(code[at]) && (code[at] & 0xf0) != 0x40)
        at++;
    switch (code[at]) {
    case TWO_BYTE_VEX:
        map = 1;
        at += 2;
        break;
    case THREE_BYTE_VEX:
        map = code[at + 1] & 0x1f;
        at += 3;
        break;
    case EVEX:
        map = code[at + 1] & 7;
        if (code[at + 1] & 8) /* reserved */
            return 0;
        at += 4;
        break;
    default:
        return 0;
    }
    if (map == 0 || map == 4 || map > 6)
        return 0;
    length = at + 1 + operand_length(code + at + 1) + has_immediate(map, code[at]);
    return length <= INSTRUCTION_MAX_BYTES ? length : 0;
}
