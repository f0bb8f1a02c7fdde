/* Which opcode stands for which instructions. */
#include "vmm/pv/patch.h"

#include "vmm/pv/patch_parts.h"

/* Those chosen are undefined in 64-bit mode on all processors (SDM 2, appendix A, superscript i64). PATCH_HYPERCALL has none:
 * what it becomes is an instruction. */
const struct patch_opcode patch_opcode[PATCH_KIND_COUNT] = {
    [PATCH_PUSHF] = { 0x06, 0x9c },        [PATCH_POPF] = { 0x07, 0x9d },
    [PATCH_IRET] = { 0x0e, 0xcf },         [PATCH_SELECTORS] = { 0x16, 0x0f },
    [PATCH_TABLES] = { 0x17, 0x0f },       [PATCH_RIGHTS] = { 0x1e, 0x0f },
    [PATCH_CPUID] = { 0x1f, 0x0f },        [PATCH_TSC] = { 0x27, 0x0f },
    [PATCH_RET_FAR] = { 0x2f, 0xcb },      [PATCH_RET_FAR_POP] = { 0x37, 0xca },
    [PATCH_FAR] = { 0x3f, 0xff },          [PATCH_FROM_SEGMENT] = { 0x60, 0x8c },
    [PATCH_TO_SEGMENT] = { 0x61, 0x8e },   [PATCH_STACK_SEGMENT] = { 0x82, 0x0f },
    [PATCH_FAR_POINTER] = { 0x9a, 0x0f },
};

const char *patch_kind_name(enum patch_kind kind)
{
    static const char *const names[PATCH_KIND_COUNT] = {
        [PATCH_PUSHF] = "pushf", [PATCH_POPF] = "popf", [PATCH_IRET] = "iret",
        [PATCH_SELECTORS] = "sldt/str/verr/verw", [PATCH_TABLES] = "sgdt/sidt/smsw", [PATCH_RIGHTS] = "lar/lsl",
        [PATCH_CPUID] = "cpuid", [PATCH_TSC] = "rdtsc", [PATCH_RET_FAR] = "far ret",
        [PATCH_RET_FAR_POP] = "far ret n", [PATCH_FAR] = "far call/jmp", [PATCH_FROM_SEGMENT] = "mov from segment",
        [PATCH_TO_SEGMENT] = "mov to segment", [PATCH_STACK_SEGMENT] = "push/pop segment",
        [PATCH_FAR_POINTER] = "lss/lfs/lgs", [PATCH_HYPERCALL] = "vmcall",
    };

    return (unsigned)kind < PATCH_KIND_COUNT ? names[kind] : "?";
}

bool patch_is_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
    case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
        return true;
    default:
        return (byte & 0xf0) == 0x40; /* REX */
    }
}

/* The second byte tells whether it can be what it seems to be. */
static bool fits(enum patch_kind kind, uint8_t second)
{
    switch (kind) {
    case PATCH_SELECTORS:     return second == 0x00;
    case PATCH_TABLES:        return second == 0x01;
    case PATCH_RIGHTS:        return second == 0x02 || second == 0x03;
    case PATCH_CPUID:         return second == 0xa2;
    case PATCH_TSC:           return second == 0x31;
    case PATCH_STACK_SEGMENT: return second == 0xa0 || second == 0xa1 || second == 0xa8 || second == 0xa9;
    case PATCH_FAR_POINTER:   return second == 0xb2 || second == 0xb4 || second == 0xb5;
    case PATCH_FAR:           return (second >> 3 & 7) == 3 || (second >> 3 & 7) == 5;
    default:                  return true;
    }
}

bool patch_undo(uint8_t *bytes, unsigned length, unsigned *offset, enum patch_kind *kind)
{
    unsigned at = 0;

    while (at < length && patch_is_prefix(bytes[at]))
        at++;
    if (at == length)
        return false;
    for (unsigned i = 0; i < PATCH_KIND_COUNT; i++) {
        if (patch_opcode[i].patched != bytes[at] || patch_opcode[i].patched == 0)
            continue;
        bool two_bytes = patch_opcode[i].original == 0x0f || i == PATCH_FAR;
        if (two_bytes && (at + 1 >= length || !fits((enum patch_kind)i, bytes[at + 1])))
            return false;
        bytes[at] = patch_opcode[i].original;
        *offset = at;
        *kind = (enum patch_kind)i;
        return true;
    }
    return false;
}
