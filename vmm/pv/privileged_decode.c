#include "vmm/pv/privileged_decode.h"

#include "vmm/pv/patch.h"
#include "vmm/zydis_segment.h"

#include <string.h>

/* Opcodes (SDM 2, appendix A) with exactly one meaning here. */
struct row {
    uint8_t opcode;
    enum privileged_operation operation;
};

static const struct row one_byte[] = {
    { 0x6c, PRIVILEGED_INS },  { 0x6d, PRIVILEGED_INS },  { 0x6e, PRIVILEGED_OUTS }, { 0x6f, PRIVILEGED_OUTS },
    { 0x8c, PRIVILEGED_MOV_FROM_SEGMENT },                { 0x8e, PRIVILEGED_MOV_TO_SEGMENT },
    { 0x9c, PRIVILEGED_PUSHF }, { 0x9d, PRIVILEGED_POPF }, { 0xca, PRIVILEGED_RET_FAR }, { 0xcb, PRIVILEGED_RET_FAR },
    { 0xcc, PRIVILEGED_INT },  { 0xcd, PRIVILEGED_INT },  { 0xcf, PRIVILEGED_IRET },
    { 0xe4, PRIVILEGED_IN },   { 0xe5, PRIVILEGED_IN },   { 0xe6, PRIVILEGED_OUT },  { 0xe7, PRIVILEGED_OUT },
    { 0xec, PRIVILEGED_IN },   { 0xed, PRIVILEGED_IN },   { 0xee, PRIVILEGED_OUT },  { 0xef, PRIVILEGED_OUT },
    { 0xf1, PRIVILEGED_INT1 }, { 0xf4, PRIVILEGED_HLT },  { 0xfa, PRIVILEGED_CLI },  { 0xfb, PRIVILEGED_STI },
};

static const struct row two_bytes[] = {
    { 0x02, PRIVILEGED_LAR },            { 0x03, PRIVILEGED_LSL },              { 0x06, PRIVILEGED_CLTS },
    { 0x07, PRIVILEGED_SYSRET },         { 0x08, PRIVILEGED_INVALIDATE_CACHE }, { 0x09, PRIVILEGED_INVALIDATE_CACHE },
    { 0x20, PRIVILEGED_MOV_FROM_CR },    { 0x21, PRIVILEGED_MOV_FROM_DR },      { 0x22, PRIVILEGED_MOV_TO_CR },
    { 0x23, PRIVILEGED_MOV_TO_DR },      { 0x30, PRIVILEGED_WRMSR },            { 0x31, PRIVILEGED_RDTSC },
    { 0x32, PRIVILEGED_RDMSR },          { 0x33, PRIVILEGED_RDPMC },            { 0x34, PRIVILEGED_UNDEFINED },
    { 0x35, PRIVILEGED_UNDEFINED },      { 0x78, PRIVILEGED_UNDEFINED },        { 0x79, PRIVILEGED_UNDEFINED },
    { 0xa0, PRIVILEGED_PUSH_SEGMENT },   { 0xa1, PRIVILEGED_POP_SEGMENT },      { 0xa2, PRIVILEGED_CPUID },
    { 0xa8, PRIVILEGED_PUSH_SEGMENT },   { 0xa9, PRIVILEGED_POP_SEGMENT },      { 0xb2, PRIVILEGED_LOAD_FAR_POINTER },
    { 0xb4, PRIVILEGED_LOAD_FAR_POINTER }, { 0xb5, PRIVILEGED_LOAD_FAR_POINTER },
};

static enum privileged_operation find(const struct row *rows, size_t count, uint8_t opcode)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].opcode == opcode)
            return rows[i].operation;
    return PRIVILEGED_NONE;
}

/* 0f 01: the register forms are instructions of their own but for SMSW and LMSW. */
static enum privileged_operation group_7(uint8_t modrm)
{
    static const enum privileged_operation memory[8] = {
        PRIVILEGED_SGDT, PRIVILEGED_SIDT, PRIVILEGED_LGDT, PRIVILEGED_LIDT,
        PRIVILEGED_SMSW, PRIVILEGED_NONE, PRIVILEGED_LMSW, PRIVILEGED_INVLPG,
    };

    if (modrm >> 6 != 3)
        return memory[modrm >> 3 & 7];
    if ((modrm & 0x38) == 0x20)
        return PRIVILEGED_SMSW;
    if ((modrm & 0x38) == 0x30)
        return PRIVILEGED_LMSW;
    switch (modrm) {
    case 0xc1: case 0xd9: return PRIVILEGED_HYPERCALL;
    case 0xd0:            return PRIVILEGED_NONE; /* XGETBV: refused for its operand only */
    case 0xd1:            return PRIVILEGED_XSETBV;
    case 0xf8:            return PRIVILEGED_SWAPGS;
    case 0xf9:            return PRIVILEGED_RDTSCP;
    default:              return PRIVILEGED_UNDEFINED;
    }
}

static enum privileged_operation operation_of(const ZydisDecodedInstruction *decoded)
{
    static const enum privileged_operation group_6[8] = {
        PRIVILEGED_SLDT, PRIVILEGED_STR, PRIVILEGED_LLDT, PRIVILEGED_LTR, PRIVILEGED_VERR, PRIVILEGED_VERW,
    };
    uint8_t opcode = decoded->opcode, reg = decoded->raw.modrm.reg, modrm = (uint8_t)(decoded->raw.modrm.mod << 6 | reg << 3 |
                                                                                      decoded->raw.modrm.rm);

    if (decoded->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return PRIVILEGED_NONE;
    switch (decoded->opcode_map) {
    case ZYDIS_OPCODE_MAP_DEFAULT:
        if (opcode == 0xff)
            return reg == 3 ? PRIVILEGED_CALL_FAR : reg == 5 ? PRIVILEGED_JMP_FAR : PRIVILEGED_NONE;
        return find(one_byte, sizeof one_byte / sizeof one_byte[0], opcode);
    case ZYDIS_OPCODE_MAP_0F:
        if (opcode == 0x00)
            return group_6[reg];
        if (opcode == 0x01)
            return group_7(modrm);
        if (opcode == 0xc7) /* VMPTRLD, VMPTRST, VMCLEAR, VMXON; the register forms are RDRAND, RDSEED, RDPID */
            return reg >= 6 && decoded->raw.modrm.mod != 3 ? PRIVILEGED_UNDEFINED : PRIVILEGED_NONE;
        return find(two_bytes, sizeof two_bytes / sizeof two_bytes[0], opcode);
    case ZYDIS_OPCODE_MAP_0F38:
        if (opcode == 0x82)
            return PRIVILEGED_INVPCID;
        return opcode == 0x80 || opcode == 0x81 ? PRIVILEGED_UNDEFINED : PRIVILEGED_NONE; /* INVEPT, INVVPID */
    default:
        return PRIVILEGED_NONE;
    }
}

static uint8_t address_register(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return VCPU_RIP;
    return reg == ZYDIS_REGISTER_NONE ? NO_REGISTER : (uint8_t)ZydisRegisterGetId(reg);
}

static void take_memory(struct privileged_instruction *instruction, const ZydisDecodedInstruction *decoded,
                        const ZydisDecodedOperand *operands)
{
    bool is_string = instruction->operation == PRIVILEGED_INS || instruction->operation == PRIVILEGED_OUTS;

    for (unsigned i = 0; i < decoded->operand_count; i++) {
        const ZydisDecodedOperand *operand = &operands[i];

        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY ||
            (operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && !is_string))
            continue;
        instruction->is_memory = true;
        instruction->base = address_register(operand->mem.base);
        instruction->index = address_register(operand->mem.index);
        instruction->scale = operand->mem.scale;
        instruction->displacement = operand->mem.disp.value;
        instruction->segment = segment_number(operand->mem.segment);
        return;
    }
}

/* The width of those that Zydis knows as different instructions, by the prefixes (SDM 1 3.6.1). */
static uint8_t operand_size(const ZydisDecodedInstruction *decoded, bool is_stack)
{
    if (decoded->raw.rex.W)
        return 8;
    if (decoded->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE)
        return 2;
    return is_stack ? 8 : 4;
}

static void take_port(struct privileged_instruction *instruction, const ZydisDecodedInstruction *decoded)
{
    if (!(decoded->opcode & 1))
        instruction->operand_size = 1;
    else if (instruction->operand_size == 8) /* REX.W does not widen it */
        instruction->operand_size = 4;
    instruction->has_immediate = decoded->opcode >> 4 == 0xe && !(decoded->opcode & 8);
    instruction->repeated = decoded->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

static void take_details(struct privileged_instruction *instruction, const ZydisDecodedInstruction *decoded)
{
    uint8_t reg = (uint8_t)(decoded->raw.modrm.reg | (decoded->raw.rex.R ? 8 : 0));
    uint8_t rm = (uint8_t)(decoded->raw.modrm.rm | (decoded->raw.rex.B ? 8 : 0));

    instruction->reg = rm;
    instruction->other = reg;
    instruction->operand_size = operand_size(decoded, false);
    switch (instruction->operation) {
    case PRIVILEGED_PUSHF:
    case PRIVILEGED_POPF:
        instruction->operand_size = operand_size(decoded, true);
        break;
    case PRIVILEGED_PUSH_SEGMENT:
    case PRIVILEGED_POP_SEGMENT:
        instruction->operand_size = operand_size(decoded, true);
        instruction->number = decoded->opcode & 8 ? VCPU_GS : VCPU_FS;
        break;
    case PRIVILEGED_IN:
    case PRIVILEGED_OUT:
    case PRIVILEGED_INS:
    case PRIVILEGED_OUTS:
        take_port(instruction, decoded);
        break;
    case PRIVILEGED_MOV_TO_SEGMENT:
    case PRIVILEGED_MOV_FROM_SEGMENT:
        instruction->number = decoded->raw.modrm.reg;
        break;
    case PRIVILEGED_LOAD_FAR_POINTER:
        instruction->number = decoded->opcode == 0xb2 ? VCPU_SS : decoded->opcode == 0xb4 ? VCPU_FS : VCPU_GS;
        break;
    case PRIVILEGED_MOV_TO_CR:
    case PRIVILEGED_MOV_FROM_CR:
    case PRIVILEGED_MOV_TO_DR:
    case PRIVILEGED_MOV_FROM_DR:
        instruction->number = reg;
        break;
    case PRIVILEGED_INT:
        instruction->immediate = decoded->opcode == 0xcc ? 3 : decoded->raw.imm[0].value.u & 0xff;
        break;
    case PRIVILEGED_RET_FAR:
        instruction->immediate = decoded->opcode == 0xca ? decoded->raw.imm[0].value.u & 0xffff : 0;
        break;
    default:
        break;
    }
    if (instruction->has_immediate)
        instruction->immediate = decoded->raw.imm[0].value.u & 0xff;
}

bool privileged_decode(struct privileged_instruction *instruction, const uint8_t *bytes, unsigned length)
{
    uint8_t code[INSTRUCTION_MAX_BYTES];
    ZydisDecoder decoder;
    ZydisDecodedInstruction decoded;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    enum patch_kind kind;
    unsigned offset = 0;

    if (length > sizeof code)
        length = sizeof code;
    memcpy(code, bytes, length);
    *instruction = (struct privileged_instruction) { .base = NO_REGISTER, .index = NO_REGISTER, .segment = VCPU_DS };
    instruction->patched = patch_undo(code, length, &offset, &kind);
    instruction->opcode_offset = (uint8_t)offset;
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, length, &decoded, operands)))
        return false;
    instruction->operation = operation_of(&decoded);
    instruction->length = decoded.length;
    instruction->address_size = decoded.address_width / 8;
    if (instruction->operation == PRIVILEGED_NONE)
        return true;
    take_details(instruction, &decoded);
    take_memory(instruction, &decoded, operands);
    return true;
}

const struct privileged_instruction *privileged_decode_cached(struct privileged_cache *cache, uint64_t rip,
                                                              const uint8_t *bytes, unsigned length)
{
    typeof(&cache->entry[0]) entry = &cache->entry[(rip ^ rip >> 5) % PRIVILEGED_CACHED];

    if (entry->valid && entry->instruction.length <= length &&
        memcmp(entry->bytes, bytes, entry->instruction.length) == 0)
        return &entry->instruction;
    entry->valid = privileged_decode(&entry->instruction, bytes, length);
    memcpy(entry->bytes, bytes, length < sizeof entry->bytes ? length : sizeof entry->bytes);
    return entry->valid ? &entry->instruction : NULL;
}
