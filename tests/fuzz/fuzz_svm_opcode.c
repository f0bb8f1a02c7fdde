/* Instructions that exit on AMD-V, with any prefixes and cut off anywhere: what is read of them is what Zydis reads, and
 * nothing is read beyond their end.
 */
#include "tests/fuzz/fuzz.h"

#include "algorithms/vcpu.h"
#include "vmm/svm/opcode.h"

#include <Zydis/Zydis.h>

static const struct instruction {
    enum opcode_kind kind;
    ZydisMnemonic mnemonic;
    uint8_t length;
    uint8_t bytes[3];
} instructions[] = {
    { OPCODE_ONE_BYTE, ZYDIS_MNEMONIC_HLT, 1, { 0xf4 } },
    { OPCODE_ONE_BYTE, ZYDIS_MNEMONIC_OUTSB, 1, { 0x6e } },
    { OPCODE_TWO_BYTES, ZYDIS_MNEMONIC_CPUID, 2, { 0x0f, 0xa2 } },
    { OPCODE_TWO_BYTES, ZYDIS_MNEMONIC_RDMSR, 2, { 0x0f, 0x32 } },
    { OPCODE_TWO_BYTES, ZYDIS_MNEMONIC_WRMSR, 2, { 0x0f, 0x30 } },
    { OPCODE_TWO_BYTES, ZYDIS_MNEMONIC_INVD, 2, { 0x0f, 0x08 } },
    { OPCODE_TWO_BYTES, ZYDIS_MNEMONIC_WBINVD, 2, { 0x0f, 0x09 } },
    { OPCODE_THREE_BYTES, ZYDIS_MNEMONIC_XSETBV, 3, { 0x0f, 0x01, 0xd1 } },
    { OPCODE_PAUSE, ZYDIS_MNEMONIC_PAUSE, 2, { 0xf3, 0x90 } },
    { OPCODE_CONTROL, ZYDIS_MNEMONIC_MOV, 2, { 0x0f, 0x20 } },
    { OPCODE_CONTROL, ZYDIS_MNEMONIC_MOV, 2, { 0x0f, 0x22 } },
};

static const uint8_t prefixes[] = {
    0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x40, 0x41, 0x44, 0x45, 0x48, 0x4f,
};

static void check_control_move(const struct opcode *opcode, const ZydisDecodedOperand *operands)
{
    unsigned to = opcode->to_register ? 0 : 1;

    REQUIRE(ZydisRegisterGetId(operands[to].reg.value) == opcode->number);
    REQUIRE(ZydisRegisterGetId(operands[!to].reg.value) == opcode->gpr);
}

/* Zydis refuses some that a processor refuses as well, and that therefore never exit. */
static void compare(const struct instruction *instruction, bool is_64, const uint8_t *bytes, unsigned length)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction decoded;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    struct opcode opcode;
    bool valid = opcode_decode(&opcode, instruction->kind, is_64, bytes, length);

    REQUIRE(!valid || (opcode.length >= 1 && opcode.length <= length && opcode.number < 16 && opcode.gpr < 16 &&
                       opcode.segment <= VCPU_GS));
    ZydisDecoderInit(&decoder, is_64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                     is_64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &decoded, operands)) ||
        decoded.mnemonic != instruction->mnemonic)
        return;
    REQUIRE(valid);
    REQUIRE(opcode.length == decoded.length);
    if (instruction->kind == OPCODE_CONTROL)
        check_control_move(&opcode, operands);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_length)
{
    struct script script = { input, input_length };

    while (script.left > 0) {
        const struct instruction *instruction =
            &instructions[script_byte(&script) % (sizeof instructions / sizeof instructions[0])];
        uint8_t how = script_byte(&script), *bytes = malloc(OPCODE_MAX_BYTES);
        unsigned length = 0, cut = how >> 4;

        REQUIRE(bytes);
        for (unsigned count = how & 7; count > 0; count--)
            bytes[length++] = prefixes[script_byte(&script) % sizeof prefixes];
        memcpy(bytes + length, instruction->bytes, sizeof instruction->bytes);
        for (length += instruction->length; length < OPCODE_MAX_BYTES; length++)
            bytes[length] = script_byte(&script);
        length = cut ? cut : OPCODE_MAX_BYTES;
        bytes = realloc(bytes, length); /* what lies behind must not be touched */
        REQUIRE(bytes);
        compare(instruction, how & 8, bytes, length);
        free(bytes);
    }
    return 0;
}
