/* Any code, with any registers and page tables, that is said to have accessed device memory or a port: carrying it out
 * leaves neither guest memory nor the instruction, and ends after a bounded number of accesses.
 */
#include "tests/fuzz/fuzz.h"
#include "vmm/emulate.h"
#include "vmm/port_io.h"

#define RAM_BYTES   UINT64_C(0x10000)
#define DEVICE_BASE UINT64_C(0xfee00000)
#define PAGE_TABLES UINT64_C(0x1000) /* PML4, PDPT, PD, PT: one page each */
#define CODE        UINT64_C(0x8000)
#define CALL_ACCESSES_MAX 2048u /* 64 elements of two operands, each in bytes at worst */

struct guest {
    struct guest_memory memory;
    struct bus bus;
    struct vcpu vcpu;
    struct emulator emulator;
    unsigned accesses;
};

static enum bus_result access_device(void *device, struct bus_access *access)
{
    struct guest *guest = device;

    REQUIRE(guest->accesses++ < CALL_ACCESSES_MAX);
    if (!access->write)
        access->value = access->address * UINT64_C(0x9e3779b97f4a7c15);
    return BUS_DONE;
}

static void create(struct guest *guest, const struct vcpu_operations *operations)
{
    const struct bus_range memory = {
        .space = BUS_MMIO, .start = DEVICE_BASE, .length = 0x1000, .handler = access_device, .device = guest,
    };
    const struct bus_range ports = {
        .space = BUS_PORT, .length = 0x10000, .handler = access_device, .device = guest,
    };

    guest->memory = (struct guest_memory) { .count = 1, .region = { { 0, RAM_BYTES, calloc(1, RAM_BYTES) } } };
    REQUIRE(guest->memory.region[0].host != NULL);
    bus_init(&guest->bus);
    REQUIRE(bus_register(&guest->bus, &memory) && bus_register(&guest->bus, &ports));
    vcpu_init(&guest->vcpu, operations, NULL);
    memset(guest->vcpu.valid, 0xff, sizeof guest->vcpu.valid); /* nothing has to be asked for */
    emulator_init(&guest->emulator, &guest->memory, &guest->bus);
}

/* Identity for the first 4 GiB, in pages of 1 GiB but for the first 2 MiB, which have the smallest ones. */
static void map_everything(struct guest *guest)
{
    uint64_t *tables = (uint64_t *)(guest->memory.region[0].host + PAGE_TABLES);

    tables[0] = (PAGE_TABLES + 0x1000) | 7;
    for (uint64_t i = 1; i < 4; i++)
        tables[512 + i] = i << 30 | 0x87;
    tables[512] = (PAGE_TABLES + 0x2000) | 7;
    tables[1024] = (PAGE_TABLES + 0x3000) | 7;
    for (uint64_t i = 0; i < 512; i++)
        tables[1536 + i] = i << 12 | 7;
}

static uint64_t choose_value(struct script *script)
{
    uint8_t how = script_byte(script);

    switch (how & 7) {
    case 0: case 1: case 2:
        return DEVICE_BASE + script_take(script, 2) % 0x1010;
    case 3: case 4:
        return script_take(script, 2);
    case 5:
        return how >> 3;
    case 6:
        return -(uint64_t)(how >> 3);
    default:
        return script_take(script, 8);
    }
}

static void set_mode(struct script *script, struct vcpu *vcpu)
{
    uint8_t how = script_byte(script);

    vcpu_set(vcpu, VCPU_CR3, PAGE_TABLES);
    vcpu_set(vcpu, VCPU_RFLAGS, 2 | (how & 0x80 ? RFLAGS_DF : 0));
    vcpu_set(vcpu, VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS), how & 0x40 ? 0xf3 : 0x93);
    if (how & 3) { /* 64-bit code */
        vcpu_set(vcpu, VCPU_CR0, CR0_PE | CR0_PG | (how & 4 ? CR0_WP : 0));
        vcpu_set(vcpu, VCPU_CR4, CR4_PAE | (how & 8 ? CR4_SMAP : 0));
        vcpu_set(vcpu, VCPU_EFER, EFER_LME | EFER_LMA);
        vcpu_set(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS), 0xa09b);
    } else {
        uint64_t paging = how & 8 ? CR0_PG : 0;

        vcpu_set(vcpu, VCPU_CR0, (how & 4 ? CR0_PE : 0) | paging);
        vcpu_set(vcpu, VCPU_CR4, how & 0x10 ? CR4_PAE | CR4_PSE : how & 0x20 ? CR4_PSE : 0);
        vcpu_set(vcpu, VCPU_EFER, 0);
        vcpu_set(vcpu, VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS), how & 0x20 ? 0xc09b : 0x9b);
    }
}

/* Bytes as they come, or an opcode that accesses memory with whatever operands follow. */
static unsigned write_code(struct script *script, uint8_t code[INSTRUCTION_MAX_BYTES])
{
    static const char *const opcodes[] = {
        "\x8b", "\x89", "\x8a", "\x88", "\xc7", "\xc6", "\x0f\xb6", "\x0f\xb7", "\x0f\xbe", "\x0f\xbf",
        "\x48\x63", "\xa1", "\xa3", "\xa4", "\xa5", "\xf3\xa4", "\xf3\x48\xa5", "\xaa", "\xf3\xab", "\xac",
        "\xf2\xad", "\x01", "\x11", "\x19", "\x29", "\x2b", "\x31", "\x21", "\x23", "\x09", "\x39", "\x3b",
        "\x85", "\x80", "\x81", "\x83", "\xf6", "\xf7", "\xfe", "\xff", "\x87", "\x86", "\x0f\xb1",
        "\x0f\xc1", "\x0f\xa3", "\x0f\xab", "\x0f\xb3", "\x0f\xbb", "\x0f\xba", "\x0f\xc3", "\xf0\x0f\xb1",
        "\x66\x89", "\x67\x8b", "\x64\x8b", "\x44\x8a", "\x4c\x0f\xbe",
    };
    uint8_t how = script_byte(script);
    unsigned length = 0;

    if (how & 0xc0) {
        const char *opcode = opcodes[how % (sizeof opcodes / sizeof opcodes[0])];

        length = (unsigned)strlen(opcode);
        memcpy(code, opcode, length);
    }
    unsigned end = length + (how & 7) + 2;
    for (; length < end && length < INSTRUCTION_MAX_BYTES; length++)
        code[length] = script_byte(script);
    return length;
}

static void run_memory(struct script *script, struct guest *guest)
{
    uint8_t how = script_byte(script), code[INSTRUCTION_MAX_BYTES] = { 0 };
    uint64_t rip = how & 1 ? RAM_BYTES - script_byte(script) % 16 : CODE + (how >> 1);
    unsigned length = write_code(script, code);

    for (unsigned i = 0; i < length; i++)
        if (rip + i < RAM_BYTES)
            guest->memory.region[0].host[rip + i] = code[i];
    vcpu_set(&guest->vcpu, VCPU_RIP, rip);
    uint64_t physical = DEVICE_BASE + script_byte(script);
    enum emulate_result result = emulate_memory_access(&guest->emulator, &guest->vcpu, physical);
    REQUIRE(emulate_result_text(result)[0] != '?');
    uint64_t moved = vcpu_get(&guest->vcpu, VCPU_RIP) - rip;
    REQUIRE(moved <= INSTRUCTION_MAX_BYTES);
    REQUIRE(result == EMULATE_DONE || moved == 0);
}

static void run_port(struct script *script, struct guest *guest)
{
    uint8_t how = script_byte(script);
    struct vcpu_exit exit = { .kind = VCPU_EXIT_IO, .instruction_length = 1 + (how >> 6) };

    exit.io.port = (uint16_t)script_take(script, 2);
    exit.io.size = (uint8_t)(1u << (how & 3) % 3);
    exit.io.in = how & 4;
    exit.io.string = how & 8;
    exit.io.repeated = how & 16;
    exit.io.address_size = (uint8_t)(2u << (script_byte(script) % 3));
    exit.io.segment = script_byte(script) % 6;
    enum port_io_result result = port_io(&guest->vcpu, &guest->bus, &guest->memory, &exit);
    REQUIRE(result == PORT_IO_DONE || (result == PORT_IO_NO_MEMORY && exit.io.string));
}

static void one_exit(struct script *script, struct guest *guest)
{
    uint8_t how = script_byte(script);
    struct vcpu *vcpu = &guest->vcpu;

    set_mode(script, vcpu);
    for (unsigned i = how & 7; i > 0; i--)
        vcpu_set(vcpu, (enum vcpu_register)(script_byte(script) % 16), choose_value(script));
    if ((how & 0x18) == 0x18) /* page tables are the guest's, too */
        script_damage(&(struct script) { script->bytes, script->left < 12 ? script->left : 12 },
                      guest->memory.region[0].host + PAGE_TABLES, 0x2000);
    else
        map_everything(guest);
    if (how & 0x20)
        vcpu_set(vcpu, VCPU_SEGMENT(script_byte(script) % 6, VCPU_BASE), choose_value(script));
    guest->accesses = 0;
    if ((how & 0xc0) == 0xc0)
        run_port(script, guest);
    else
        run_memory(script, guest);
    vcpu->exception.pending = (how & 0x40) && vcpu->exception.pending; /* delivered, mostly */
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const struct vcpu_operations plain, with_cr2 = { .has_cr2 = true };
    struct script script = { bytes, length };
    struct guest *guest = calloc(1, sizeof *guest);

    REQUIRE(guest != NULL);
    create(guest, script_byte(&script) & 1 ? &with_cr2 : &plain);
    while (script.left > 0)
        one_exit(&script, guest);
    free(guest->memory.region[0].host);
    free(guest);
    return 0;
}
