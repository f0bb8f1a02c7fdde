#include "vmm/instruction.h"

#include "vmm/zydis_segment.h"

static bool operation_of(ZydisMnemonic mnemonic, enum operation *operation)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVNTI:  *operation = OPERATION_MOV; return true;
    case ZYDIS_MNEMONIC_MOVZX:   *operation = OPERATION_MOVZX; return true;
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:  *operation = OPERATION_MOVSX; return true;
    case ZYDIS_MNEMONIC_ADD:     *operation = OPERATION_ADD; return true;
    case ZYDIS_MNEMONIC_OR:      *operation = OPERATION_OR; return true;
    case ZYDIS_MNEMONIC_ADC:     *operation = OPERATION_ADC; return true;
    case ZYDIS_MNEMONIC_SBB:     *operation = OPERATION_SBB; return true;
    case ZYDIS_MNEMONIC_AND:     *operation = OPERATION_AND; return true;
    case ZYDIS_MNEMONIC_SUB:     *operation = OPERATION_SUB; return true;
    case ZYDIS_MNEMONIC_XOR:     *operation = OPERATION_XOR; return true;
    case ZYDIS_MNEMONIC_CMP:     *operation = OPERATION_CMP; return true;
    case ZYDIS_MNEMONIC_TEST:    *operation = OPERATION_TEST; return true;
    case ZYDIS_MNEMONIC_INC:     *operation = OPERATION_INC; return true;
    case ZYDIS_MNEMONIC_DEC:     *operation = OPERATION_DEC; return true;
    case ZYDIS_MNEMONIC_NOT:     *operation = OPERATION_NOT; return true;
    case ZYDIS_MNEMONIC_NEG:     *operation = OPERATION_NEG; return true;
    case ZYDIS_MNEMONIC_XCHG:    *operation = OPERATION_XCHG; return true;
    case ZYDIS_MNEMONIC_XADD:    *operation = OPERATION_XADD; return true;
    case ZYDIS_MNEMONIC_CMPXCHG: *operation = OPERATION_CMPXCHG; return true;
    case ZYDIS_MNEMONIC_BT:      *operation = OPERATION_BT; return true;
    case ZYDIS_MNEMONIC_BTS:     *operation = OPERATION_BTS; return true;
    case ZYDIS_MNEMONIC_BTR:     *operation = OPERATION_BTR; return true;
    case ZYDIS_MNEMONIC_BTC:     *operation = OPERATION_BTC; return true;
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSD: /* the SSE instruction of that name has vector operands, which are refused below */
    case ZYDIS_MNEMONIC_MOVSQ:   *operation = OPERATION_MOVS; return true;
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:   *operation = OPERATION_STOS; return true;
    case ZYDIS_MNEMONIC_LODSB:
    case ZYDIS_MNEMONIC_LODSW:
    case ZYDIS_MNEMONIC_LODSD:
    case ZYDIS_MNEMONIC_LODSQ:   *operation = OPERATION_LODS; return true;
    default:                     return false;
    }
}

/* The general register that REG is (a part of), or NO_REGISTER. */
static uint8_t general_register(ZydisRegister reg, uint8_t *size, bool *high_byte)
{
    *high_byte = false;
    if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) {
        *size = 8;
        return (uint8_t)(reg - ZYDIS_REGISTER_RAX);
    }
    if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) {
        *size = 4;
        return (uint8_t)(reg - ZYDIS_REGISTER_EAX);
    }
    if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) {
        *size = 2;
        return (uint8_t)(reg - ZYDIS_REGISTER_AX);
    }
    *size = 1;
    if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL)
        return (uint8_t)(reg - ZYDIS_REGISTER_AL);
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
        *high_byte = true;
        return (uint8_t)(reg - ZYDIS_REGISTER_AH);
    }
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B)
        return (uint8_t)(reg - ZYDIS_REGISTER_SPL + VCPU_RSP);
    return NO_REGISTER;
}

static bool address_register(ZydisRegister reg, uint8_t *number)
{
    uint8_t size;
    bool high_byte;

    if (reg == ZYDIS_REGISTER_NONE)
        *number = NO_REGISTER;
    else if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        *number = VCPU_RIP;
    else
        return (*number = general_register(reg, &size, &high_byte)) != NO_REGISTER;
    return true;
}

static bool take_memory(struct instruction *instruction, const ZydisDecodedOperand *operand)
{
    if (operand->mem.type != ZYDIS_MEMOP_TYPE_MEM || operand->size > 64 || operand->size % 8 != 0)
        return false;
    instruction->size = (uint8_t)(operand->size / 8);
    instruction->segment = segment_number(operand->mem.segment);
    instruction->scale = operand->mem.scale;
    instruction->displacement = operand->mem.disp.value;
    return address_register(operand->mem.base, &instruction->base) &&
           address_register(operand->mem.index, &instruction->index);
}

static bool take_other(struct instruction *instruction, const ZydisDecodedOperand *operand)
{
    if (instruction->other != OPERAND_NONE)
        return false;
    if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        instruction->other = OPERAND_IMMEDIATE;
        instruction->immediate = operand->imm.value.u;
        return true;
    }
    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    instruction->other = OPERAND_REGISTER;
    instruction->reg = general_register(operand->reg.value, &instruction->reg_size, &instruction->high_byte);
    return instruction->reg != NO_REGISTER;
}

static bool take_operands(struct instruction *instruction, const ZydisDecodedInstruction *decoded,
                          const ZydisDecodedOperand *operands)
{
    bool has_memory = false;

    for (unsigned i = 0; i < decoded->operand_count; i++) {
        const ZydisDecodedOperand *operand = &operands[i];

        if (operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
            continue;
        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY) {
            if (!take_other(instruction, operand))
                return false;
            continue;
        }
        if (has_memory || !take_memory(instruction, operand))
            return false;
        has_memory = true;
        instruction->to_memory = i == 0;
    }
    return has_memory;
}

/* The operands of a string instruction are implied; only a source in memory has a segment that a prefix may choose. */
static bool take_string(struct instruction *instruction, const ZydisDecodedInstruction *decoded,
                        const ZydisDecodedOperand *operands)
{
    instruction->size = (uint8_t)(operands[0].size / 8);
    instruction->repeated = decoded->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPNE);
    instruction->base = instruction->index = NO_REGISTER;
    for (unsigned i = 0; i < decoded->operand_count; i++) {
        const ZydisDecodedOperand *operand = &operands[i];

        if (operand->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
            return false; /* not a string instruction */
        if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ))
            instruction->segment = segment_number(operand->mem.segment);
    }
    return true;
}

bool instruction_decode(struct instruction *instruction, enum code_mode mode, const uint8_t *bytes, unsigned length)
{
    static const struct { ZydisMachineMode mode; ZydisStackWidth stack; } modes[] = {
        [CODE_REAL] = { ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16 },
        [CODE_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
        [CODE_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
        [CODE_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
    };
    ZydisDecoder decoder;
    ZydisDecodedInstruction decoded;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    *instruction = (struct instruction) {
        .reg = NO_REGISTER, .base = NO_REGISTER, .index = NO_REGISTER, .segment = VCPU_DS,
    };
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[mode].mode, modes[mode].stack)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &decoded, operands)) ||
        !operation_of(decoded.mnemonic, &instruction->operation))
        return false;
    instruction->length = decoded.length;
    instruction->address_size = decoded.address_width / 8;
    switch (instruction->operation) {
    case OPERATION_MOVS:
    case OPERATION_STOS:
    case OPERATION_LODS:
        return take_string(instruction, &decoded, operands);
    default:
        return take_operands(instruction, &decoded, operands);
    }
}
