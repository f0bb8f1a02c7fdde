/* Any instruction of a PV guest's kernel or of its programs, with any registers, descriptor tables and page tables: it is
 * carried out within guest memory, a fault leaves everything as it was, and no program gets what is the kernel's but
 * through the kernel's gates.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/pv_fixture.h"
#include "vmm/guest_walk.h"
#include "vmm/port_io.h"
#include "vmm/pv/descriptor.h"

static const char *const opcodes[] = {
    "\xfa", "\xfb", "\xf4", "\x9c", "\x9d", "\x66\x9d", "\xcf", "\x48\xcf", "\x66\xcf", "\xcb", "\x48\xcb", "\xca", "\xff\x1b",
    "\x48\xff\x2b", "\x48\xff\x1b", "\xcd\x80", "\xcd", "\xcc", "\xf1", "\xe4", "\xe7", "\xec", "\xef", "\x6c", "\xf3\x6d",
    "\xf3\x6f", "\x8c", "\x8e", "\x8e\xd0", "\x8e\xd8", "\x8e\xe8", "\x0f\xa0", "\x0f\xa1", "\x0f\xa9", "\x0f\xb2", "\x0f\xb4",
    "\x48\x0f\xb5", "\x0f\x00\xd0", "\x0f\x00\xd8", "\x0f\x00", "\x0f\x01", "\x0f\x01\xf8", "\x0f\x01\xd1", "\x0f\x02", "\x0f\x03",
    "\x0f\x06", "\x0f\x07", "\x48\x0f\x07", "\x0f\x09", "\x0f\x20", "\x0f\x21", "\x0f\x22", "\x0f\x23", "\x0f\x30", "\x0f\x31",
    "\x0f\x32", "\x0f\x33", "\x0f\xa2", "\x66\x0f\x38\x82", "\x06", "\x07", "\x0e", "\x48\x0e", "\x16\x00", "\x17\x01", "\x1e\x02",
    "\x1e\x03", "\x1f\xa2", "\x27\x31", "\x48\x2f", "\x37", "\x3f\x2b", "\x60", "\x61", "\x82\xa8", "\x82\xa9", "\x9a\xb5",
};

static const uint16_t selectors[] = {
    0, 3, PV_KERNEL_CODE, PV_KERNEL_DATA, PV_USER_DATA, PV_USER_CODE_64, PV_TSS_BUSY, PV_CONFORMING, PV_CODE_32, PV_ABSENT,
    PV_LDT, PV_TSS_FREE, PV_READ_ONLY, PV_CALL_GATE, PV_KERNEL_CODE | 3, PV_KERNEL_DATA | 3, PV_GDT_END, 0xffff, PV_LDT | 4, 4,
};

static uint16_t choose_selector(struct script *script)
{
    uint8_t how = script_byte(script);

    return how < 240 ? selectors[how % (sizeof selectors / sizeof selectors[0])] : (uint16_t)script_take(script, 2);
}

static uint64_t choose_value(struct script *script)
{
    uint8_t how = script_byte(script);

    switch (how & 7) {
    case 0: case 1:
        return KERNEL_BASE + script_take(script, 2);
    case 2:
        return script_take(script, 2);
    case 3:
        return choose_selector(script);
    case 4:
        return -(uint64_t)(how >> 3);
    case 5:
        return (UINT64_C(1) << 47) - (how >> 3);
    case 6:
        return DEVICE_LINEAR + (how >> 3) * 8;
    default:
        return script_take(script, 8);
    }
}

static void write_code(struct script *script, struct pv_fixture *pv)
{
    uint64_t rip = vcpu_get(pv->vcpu, VCPU_RIP);
    const char *opcode = opcodes[script_byte(script) % (sizeof opcodes / sizeof opcodes[0])];
    uint8_t *code = pv->guest->ram + (rip & 0xffff);

    for (unsigned i = 0; i < INSTRUCTION_MAX_BYTES; i++) {
        if (*opcode)
            *code++ = (uint8_t)*opcode++;
        else if (code < pv->guest->ram + GUEST_RAM_BYTES)
            *code++ = script_byte(script);
    }
}

/* A frame for IRET and far RET, or a far pointer for LGS and JMP, that might do. */
static void write_frame(struct script *script, struct pv_fixture *pv)
{
    uint64_t rsp = vcpu_get(pv->vcpu, VCPU_RSP) & 0xfff8;
    const uint64_t frame[] = {
        choose_value(script), choose_selector(script), script_take(script, 4), choose_value(script), choose_selector(script),
    };

    for (unsigned i = 0; i < 5 && rsp + i * 8 + 8 <= GUEST_RAM_BYTES; i++)
        pv_set_word(pv, rsp + i * 8, frame[i]);
    vcpu_set(pv->vcpu, VCPU_RBX, vcpu_get(pv->vcpu, VCPU_RSP));
}

static void set_state(struct script *script, struct pv_fixture *pv)
{
    uint8_t how = script_byte(script);

    if (how & 1)
        pv_enter_kernel(pv);
    else
        pv_enter_user(pv);
    for (unsigned i = how >> 1 & 3; i > 0; i--) {
        unsigned reg = script_byte(script) % 16;
        if (reg != VCPU_RSP)
            vcpu_set(pv->vcpu, reg, choose_value(script));
    }
    if (how & 8)
        write_frame(script, pv);
    if ((how & 0x30) == 0x30)
        vcpu_set(pv->vcpu, VCPU_RSP, choose_value(script));
    if ((how & 0x50) == 0x50)
        vcpu_set(pv->vcpu, VCPU_RFLAGS, (script_take(script, 3) & 0x7fd5 & ~RFLAGS_VM) | RFLAGS_FIXED);
    if ((how & 0xc0) == 0xc0) { /* tables of descriptors, the TSS, and those of pages */
        struct script some = { script->bytes, script->left < 8 ? script->left : 8 };
        uint8_t where = script_byte(script);

        script_damage(&some, pv->guest->ram + (where & 1 ? PV_GDT : where & 2 ? PV_IDT : where & 4 ? PV_TSS : GUEST_TABLES),
                      where & 1 ? PV_GDT_END : 0x1000);
    }
    pv->is_patched = how & 2;
}

static bool is_long_code(struct vcpu *vcpu)
{
    return vcpu_get(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)) & ACCESS_LONG;
}

struct before {
    uint64_t value[VCPU_REGISTER_COUNT];
    unsigned cpl;
};

static void check_unchanged(const struct before *before, struct vcpu *vcpu)
{
    for (unsigned reg = 0; reg < VCPU_REGISTER_COUNT; reg++)
        if (reg != VCPU_CR2)
            REQUIRE(before->value[reg] == vcpu->value[reg]);
}

static bool is_interrupt(struct pv_fixture *pv, const struct before *before)
{
    uint8_t bytes[WALK_CODE_BYTES];
    struct privileged_instruction instruction;
    struct walk_context walk;

    walk_begin(&walk, pv->vcpu, &pv->guest->memory);
    unsigned length = walk_fetch_code(&walk, before->value[VCPU_RIP], bytes);
    return privileged_decode(&instruction, bytes, length) &&
           (instruction.operation == PRIVILEGED_INT || instruction.operation == PRIVILEGED_INT1);
}

static void check_program(struct pv_fixture *pv, const struct before *before)
{
    uint64_t iopl = before->value[VCPU_RFLAGS] & RFLAGS_IOPL, virtual = RFLAGS_IOPL | (iopl == RFLAGS_IOPL ? 0 : RFLAGS_IF);

    if (pv_cpl(pv->vcpu) != 3)
        return;
    REQUIRE(((vcpu_get(pv->vcpu, VCPU_RFLAGS) ^ before->value[VCPU_RFLAGS]) & virtual) == 0);
    for (enum vcpu_register reg = VCPU_CR0; reg <= VCPU_IDTR_LIMIT; reg++)
        REQUIRE(reg == VCPU_CR2 || before->value[reg] == pv->vcpu->value[reg]);
}

static void one_instruction(struct script *script, struct pv_fixture *pv)
{
    static const uint8_t vectors[] = { VECTOR_GP, VECTOR_GP, VECTOR_GP, VECTOR_UD, VECTOR_UD, 3, 0, 17 };
    struct vcpu *vcpu = pv->vcpu;
    struct before before;

    set_state(script, pv);
    write_code(script, pv);
    uint8_t vector = vectors[script_byte(script) & 7];
    memcpy(before.value, vcpu->value, sizeof before.value);
    before.cpl = pv_cpl(vcpu);
    enum privileged_result result = privileged_exception(&pv->cpu, vector, script_byte(script), 0, &pv->exit);

    REQUIRE(result == PRIVILEGED_DONE || result == PRIVILEGED_EXIT || result == PRIVILEGED_SHUTDOWN);
    REQUIRE(is_long_code(vcpu));
    REQUIRE((vcpu_get(vcpu, VCPU_RFLAGS) & (RFLAGS_FIXED | RFLAGS_VM)) == RFLAGS_FIXED);
    if (vcpu->exception.pending && vector != 3)
        check_unchanged(&before, vcpu);
    if (before.cpl == 3)
        check_program(pv, &before);
    if (before.cpl == 3 && pv_cpl(vcpu) != 3)
        REQUIRE(vector == 3 || is_interrupt(pv, &before));
    if (result == PRIVILEGED_EXIT) {
        REQUIRE(pv->exit.kind != VCPU_EXIT_NONE && pv->exit.kind < VCPU_EXIT_KIND_COUNT);
        REQUIRE(pv->exit.instruction_length >= 1 && pv->exit.instruction_length <= INSTRUCTION_MAX_BYTES);
        REQUIRE(before.cpl == 0 || pv->exit.kind == VCPU_EXIT_CPUID || pv->exit.kind == VCPU_EXIT_IO ||
                pv->exit.kind == VCPU_EXIT_UNDEFINED || pv->exit.kind == VCPU_EXIT_FORBIDDEN);
        check_unchanged(&before, vcpu);
        if (pv->exit.kind == VCPU_EXIT_IO)
            port_io(vcpu, &pv->guest->bus, &pv->guest->memory, &pv->exit);
    }
}

/* An event, and whatever the instruction has raised. False: the machine has ended. */
static bool deliver(struct script *script, struct pv_fixture *pv)
{
    uint8_t how = script_byte(script);

    if (!deliver_exception(&pv->cpu))
        return false;
    REQUIRE(!pv->vcpu->exception.pending);
    if (how & 3)
        return true;
    pv->vcpu->event = (struct vcpu_event) {
        .kind = how & 4 ? VCPU_EVENT_EXCEPTION : how & 8 ? VCPU_EVENT_NMI : VCPU_EVENT_INTERRUPT,
        .vector = how & 4 ? how >> 4 : how & 8 ? VECTOR_NMI : script_byte(script),
        .has_error = how & 8,
        .error = how >> 3,
    };
    bool delivered = deliver_event(&pv->cpu);
    REQUIRE(pv->vcpu->event.kind == VCPU_EVENT_NONE);
    REQUIRE(is_long_code(pv->vcpu));
    return delivered;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct script script = { bytes, length };
    struct pv_fixture *pv = pv_create();

    pv->cpu.has_invpcid = script_byte(&script) & 1;
    while (script.left > 0) {
        one_instruction(&script, pv);
        if (!deliver(&script, pv)) {
            pv_destroy(pv);
            pv = pv_create();
        }
    }
    pv_destroy(pv);
    return 0;
}
