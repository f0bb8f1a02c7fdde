#include "vmm/pv/patch_parts.h"

#include "vmm/instruction.h"

#include <Zydis/Zydis.h>
#include <string.h>

/* Most instructions of one byte need no decoder: code that consists of nothing else is read as fast as any. */
static const uint8_t single[256] = {
    [0x50 ... 0x5f] = 1, [0x6c ... 0x6f] = 1, [0x90 ... 0x99] = 1, [0x9c ... 0x9f] = 1, [0xa4 ... 0xa7] = 1,
    [0xaa ... 0xaf] = 1, [0xc3] = 1, [0xc9] = 1, [0xcb] = 1, [0xcc] = 1, [0xcf] = 1, [0xec ... 0xef] = 1, [0xf1] = 1,
    [0xf4 ... 0xf5] = 1, [0xf8 ... 0xfd] = 1,
};

static bool find_one_byte(uint8_t opcode, uint8_t reg, enum patch_kind *kind)
{
    switch (opcode) {
    case 0x8c: *kind = PATCH_FROM_SEGMENT; return true;
    case 0x8e: *kind = PATCH_TO_SEGMENT; return true;
    case 0x9c: *kind = PATCH_PUSHF; return true;
    case 0x9d: *kind = PATCH_POPF; return true;
    case 0xca: *kind = PATCH_RET_FAR_POP; return true;
    case 0xcb: *kind = PATCH_RET_FAR; return true;
    case 0xcf: *kind = PATCH_IRET; return true;
    case 0xff: *kind = PATCH_FAR; return reg == 3 || reg == 5;
    default:   return false;
    }
}

static bool find_group_7(uint8_t mod, uint8_t reg, uint8_t rm, bool hide_tsc, enum patch_kind *kind)
{
    *kind = PATCH_TABLES;
    if (mod != 3)
        return reg == 0 || reg == 1 || reg == 4;
    if ((reg == 0 && rm == 1) || (reg == 3 && rm == 1)) {
        *kind = PATCH_HYPERCALL;
        return true;
    }
    return reg == 4 || (reg == 7 && rm == 1 && hide_tsc);
}

static bool find_two_bytes(const ZydisDecodedInstruction *decoded, bool hide_tsc, enum patch_kind *kind)
{
    uint8_t mod = decoded->raw.modrm.mod, reg = decoded->raw.modrm.reg, rm = decoded->raw.modrm.rm;

    switch (decoded->opcode) {
    case 0x00:
        *kind = PATCH_SELECTORS;
        return reg == 0 || reg == 1 || reg == 4 || reg == 5; /* LLDT and LTR trap */
    case 0x01:
        return find_group_7(mod, reg, rm, hide_tsc, kind);
    case 0x02: case 0x03:
        *kind = PATCH_RIGHTS;
        return true;
    case 0x31:
        *kind = PATCH_TSC;
        return hide_tsc;
    case 0xa0: case 0xa1: case 0xa8: case 0xa9:
        *kind = PATCH_STACK_SEGMENT;
        return true;
    case 0xa2:
        *kind = PATCH_CPUID;
        return true;
    case 0xb2: case 0xb4: case 0xb5:
        *kind = PATCH_FAR_POINTER;
        return true;
    default:
        return false;
    }
}

static bool decode(const uint8_t *code, ZydisDecodedInstruction *decoded)
{
    ZydisDecoder decoder;

    return ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
           ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, INSTRUCTION_MAX_BYTES, decoded));
}

/* Whether what follows is reached only from elsewhere: RET, JMP, IRET, UD2. */
static bool ends_here(const ZydisDecodedInstruction *decoded)
{
    if (decoded->opcode_map == ZYDIS_OPCODE_MAP_0F)
        return decoded->opcode == 0x0b || decoded->opcode == 0x07;
    if (decoded->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
        return false;
    switch (decoded->opcode) {
    case 0xc2: case 0xc3: case 0xca: case 0xcb: case 0xcf: case 0xe9: case 0xeb:
        return true;
    case 0xff:
        return decoded->raw.modrm.reg == 4 || decoded->raw.modrm.reg == 5;
    default:
        return false;
    }
}

static struct patch_instruction decode_single(uint8_t byte)
{
    struct patch_instruction instruction = { .length = 1, .ends = byte == 0xc3 || byte == 0xcb || byte == 0xcf };

    instruction.sensitive = find_one_byte(byte, 0, &instruction.kind);
    return instruction;
}

struct patch_instruction patch_decode(const struct patch_sweep *sweep, size_t at)
{
    struct patch_instruction instruction = { 0 };
    uint8_t code[INSTRUCTION_MAX_BYTES] = { 0 };
    size_t left = sweep->length - at;
    ZydisDecodedInstruction decoded;
    enum patch_kind kind;
    unsigned offset = 0;

    if (single[sweep->bytes[at]])
        return decode_single(sweep->bytes[at]);
    memcpy(code, sweep->bytes + at, left < sizeof code ? left : sizeof code);
    instruction.patched = patch_undo(code, sizeof code, &offset, &kind);
    if (!decode(code, &decoded))
        return (struct patch_instruction) { .length = patch_vector_length(code) };
    while (offset < sizeof code - 1 && patch_is_prefix(code[offset]))
        offset++;
    instruction.length = decoded.length;
    instruction.opcode = offset;
    instruction.ends = ends_here(&decoded);
    instruction.has_target = decoded.raw.imm[0].is_relative;
    instruction.target = decoded.raw.imm[0].value.s + decoded.length;
    if (instruction.patched || decoded.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return instruction;
    if (decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
        instruction.sensitive = find_one_byte(decoded.opcode, decoded.raw.modrm.reg, &instruction.kind);
    else if (decoded.opcode_map == ZYDIS_OPCODE_MAP_0F)
        instruction.sensitive = find_two_bytes(&decoded, sweep->policy->hide_tsc, &instruction.kind);
    return instruction;
}

static void patch(struct patch_sweep *sweep, size_t at, const struct patch_instruction *instruction)
{
    uint8_t *opcode = sweep->bytes + at + instruction->opcode;

    if (instruction->kind == PATCH_HYPERCALL) {
        opcode[1] = 0x05; /* SYSCALL */
        opcode[2] = 0x90; /* NOP */
    } else {
        opcode[0] = patch_opcode[instruction->kind].patched;
    }
    sweep->report->count[instruction->kind]++;
}

static void report_failure(struct patch_report *report, uint64_t address, enum patch_kind kind)
{
    if (report->failures < PATCH_FAILURES_KEPT) {
        report->failure[report->failures].address = address;
        report->failure[report->failures].kind = kind;
    }
    report->failures++;
}

static bool isolates(enum patch_kind kind)
{
    return kind == PATCH_IRET || kind == PATCH_RET_FAR || kind == PATCH_RET_FAR_POP || kind == PATCH_FAR;
}

/* END is where an instruction begins as well. One that reaches beyond it is read in two ways from there on: what is before
 * the opcode are prefixes, so that the second way leads to the same opcode, except in a VMCALL. */
static void handle(struct patch_sweep *sweep, size_t at, size_t end, const struct patch_instruction *instruction)
{
    size_t opcode = at + instruction->opcode;
    size_t last = opcode + (instruction->kind == PATCH_HYPERCALL ? 2 : 0);

    if (opcode < sweep->first)
        return;
    if (opcode >= sweep->last) {
        sweep->spills = sweep->spills || instruction->sensitive;
        return;
    }
    sweep->report->already += instruction->patched;
    if (!instruction->sensitive || (opcode >= end && instruction->kind != PATCH_HYPERCALL))
        return;
    if (last < end && last < sweep->last) {
        patch(sweep, at, instruction);
        if (opcode < sweep->covered && opcode != sweep->covered_opcode) /* and with it an instruction that has this byte as an operand */
            report_failure(sweep->report, sweep->address + at, instruction->kind);
    } else {
        report_failure(sweep->report, sweep->address + at, instruction->kind);
        sweep->report->isolation += isolates(instruction->kind);
    }
}

/* A long run of zeroes is instructions of two bytes: skips whole ones. */
static size_t skip_zeroes(const struct patch_sweep *sweep, size_t at, size_t end)
{
    static const uint8_t zeroes[64];

    while (end - at > sizeof zeroes && memcmp(sweep->bytes + at, zeroes, sizeof zeroes) == 0)
        at += sizeof zeroes;
    return at;
}

void patch_sweep(struct patch_sweep *sweep, size_t at, size_t end)
{
    bool is_start = true;

    while (at < end) {
        if (sweep->bytes[at] == 0)
            at = skip_zeroes(sweep, at, end);
        struct patch_instruction instruction = patch_decode(sweep, at);

        if (instruction.length == 0) {
            sweep->report->undecodable += at >= sweep->first && at < sweep->last;
            at++;
        } else {
            if (instruction.sensitive || instruction.patched)
                handle(sweep, at, end, &instruction);
            if (is_start && at + instruction.length > end) {
                sweep->covered = at + instruction.length;
                sweep->covered_opcode = at + instruction.opcode;
            }
            at += instruction.length;
        }
        is_start = false;
    }
}

void patch_scan(const struct patch_code *code, const struct patch_policy *policy, struct patch_report *report)
{
    struct patch_sweep sweep = {
        .bytes = code->bytes, .length = code->length, .last = code->length, .address = code->address,
        .policy = policy, .report = report,
    };
    size_t at = 0;

    for (size_t i = 0; i < code->start_count; i++) {
        uint64_t start = code->starts[i];

        if (start >= code->address && start - code->address >= code->length)
            break;
        if (start <= code->address || start - code->address <= at)
            continue;
        patch_sweep(&sweep, at, start - code->address);
        at = start - code->address;
    }
    patch_sweep(&sweep, at, code->length);
}
