/* A guest that does anything at all with the devices of its machine, while time goes on and a user types.
 *
 * What must hold beside the sanitizers' content: no device keeps the monitor busy, whatever rates the guest asks for;
 * every access is answered within its size; an interrupt that is offered can be taken.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_machine.h"
#include "vmm/devices/local_apic.h"

#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC       0x800u

/* Deadlines a second of all devices together, at most: two timers of 10 kHz (ticks.h), the serial port's retries. */
#define DEADLINES_PER_SECOND 21100u

static uint8_t size_of(uint8_t bits)
{
    return (uint8_t)(1u << (bits & 3));
}

/* Where the guest's accesses change something, as opposed to everywhere that a device answers. */
struct registers {
    uint64_t address;
    uint8_t count, step;
};

static const struct registers ports[] = {
    { 0x3f8, 8, 1 },                     /* serial */
    { 0x40, 4, 1 },                      /* PIT */
    { 0x61, 1, 1 },
    { 0x60, 5, 4 },                      /* i8042 */
    { 0x70, 2, 1 },                      /* RTC */
    { 0x3f8, 1, 1 },
    { PORT_PM1_STATUS, 12, 1 },
    { 0x3fa, 3, 1 },
};

static const struct registers memory[] = {
    { LOCAL_APIC_BASE, 16, 16 },         /* to the spurious vector */
    { LOCAL_APIC_BASE + 0x280, 24, 16 }, /* ESR to divide configuration */
    { LOCAL_APIC_BASE + 0x320, 1, 16 },  /* timer: entry, … */
    { LOCAL_APIC_BASE + 0x380, 1, 16 },  /* … count */
    { LOCAL_APIC_BASE + 0x3e0, 1, 16 },  /* … divider */
    { IOAPIC_BASE, 2, 16 },
    { IOAPIC_BASE, 2, 16 },
    { IOAPIC_BASE + 0x40, 1, 16 },
};

/* One of those, or an address in one of the ranges that the devices registered, or any address. */
static uint64_t choose_address(struct script *script, const struct bus *bus, enum bus_space space)
{
    uint8_t which = script_byte(script);
    uint64_t offset = script_byte(script);

    if (which < 0xc0 && space != BUS_MSR) {
        const struct registers *chosen = space == BUS_PORT ? &ports[which % 8] : &memory[which % 8];

        return chosen->address + offset % chosen->count * chosen->step;
    }
    if (which == 255 || bus->count[space] == 0)
        return script_take(script, space == BUS_PORT ? 2 : 8);
    const struct bus_range *range = &bus->range[space][which % bus->count[space]];
    return range->start + (offset | (uint64_t)script_byte(script) << 8) % range->length;
}

static void access_bus(struct script *script, struct fake_machine *fake, enum bus_space space)
{
    uint8_t how = script_byte(script);
    uint8_t size = space == BUS_MSR ? 8 : space == BUS_MMIO && (how & 1) ? 4 : how & 2 ? size_of(how >> 6) : 1;
    uint64_t address = choose_address(script, &fake->machine.bus, space);
    uint64_t ones = size == 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
    unsigned times = (how & 0x38) == 0x38 ? script_byte(script) % 40u : 1;

    /* The same register several times: a FIFO, a count of two bytes. */
    for (unsigned i = 0; i < times; i++) {
        struct bus_access access = { .write = how & 4, .size = size, .address = address };

        if (access.write)
            access.value = how & 8 ? script_take(script, size) : script_byte(script);
        enum bus_result result = bus_perform(&fake->machine.bus, space, &access);
        REQUIRE(result == BUS_DONE || result == BUS_PASS || result == BUS_FAULT);
        REQUIRE((access.value & ~ones) == 0);
    }
}

/* A timer that interrupts as often as the guest says. */
static void start_timer(struct script *script, struct fake_machine *fake)
{
    uint8_t how = script_byte(script);
    uint64_t count = script_take(script, 1 + (how & 1));

    if (how & 2) {
        fake_out(fake, 0x43, 1, 0x30 | (how >> 2 & 0xf));
        fake_out(fake, 0x40, 1, count & 0xff);
        fake_out(fake, 0x40, 1, count >> 8);
    } else if (how & 4) {
        fake_store(fake, LOCAL_APIC_BASE + 0x3e0, 4, how >> 4);
        fake_store(fake, LOCAL_APIC_BASE + 0x320, 4, (how & 8 ? 0x20000 : 0) | count % 256);
        fake_store(fake, LOCAL_APIC_BASE + 0x380, 4, count);
    } else {
        fake_out(fake, 0x70, 1, 0x0a);
        fake_out(fake, 0x71, 1, 0x20 | how >> 4);
        fake_out(fake, 0x70, 1, 0x0b);
        fake_out(fake, 0x71, 1, count & 0x7f);
    }
}

/* Values that a guest would write, which random ones hardly hit. */
static void write_local_apic_msr(struct script *script, struct fake_machine *fake)
{
    static const uint64_t bases[] = { 0xfee00900, 0xfee00d00, 0xfee00100, 0xfee00800 };
    uint8_t how = script_byte(script);

    switch (how & 3) {
    case 0:
        fake_wrmsr(fake, MSR_APIC_BASE, bases[how >> 2 & 3]);
        break;
    case 1:
        fake_wrmsr(fake, MSR_TSC_DEADLINE, fake_now + script_take(script, 4));
        break;
    case 2:
        fake_wrmsr(fake, MSR_X2APIC + (how >> 2), script_take(script, 4));
        break;
    default:
        fake_store(fake, LOCAL_APIC_BASE + 0xf0, 4, 0x1ff);
        fake_wrmsr(fake, MSR_X2APIC + 0xf, 0x1ff);
        break;
    }
}

static void advance(struct script *script, struct fake_machine *fake)
{
    uint64_t ticks = script_take(script, 4) >> script_byte(script) % 32;
    uint64_t longest = fake->machine.tsc_hz / 8 + 1;

    ticks = ticks < longest ? ticks : longest;
    unsigned stops = fake_advance(fake, ticks);
    REQUIRE(stops <= (unsigned __int128)ticks * DEADLINES_PER_SECOND / fake->machine.tsc_hz + 16);
}

static void oversleep(struct script *script, struct fake_machine *fake)
{
    uint64_t ticks = UINT64_C(1) << script_byte(script) % 48, deadline;

    fake_oversleep(fake, ticks);
    /* What is still due was armed by a callback that had not caught up; nothing has to catch up twice. */
    timers_run(&fake->machine.timers, fake_now);
    REQUIRE(!timers_next(&fake->machine.timers, &deadline) || deadline > fake_now);
}

static void take_interrupt(struct fake_machine *fake)
{
    struct local_apic *apic = fake->machine.local_apic;
    int vector = local_apic_next(apic);

    if (vector < 0)
        return;
    REQUIRE(vector >= 16 && vector <= 255);
    local_apic_take(apic, (uint8_t)vector);
    int next = local_apic_next(apic);
    REQUIRE(next < 0 || next >> 4 > vector >> 4);
}

static void do_one_thing(struct script *script, struct fake_machine *fake)
{
    uint8_t what = script_byte(script);

    switch (what % 16) {
    case 0: case 1: case 2:
        access_bus(script, fake, BUS_PORT);
        break;
    case 3:
        start_timer(script, fake);
        break;
    case 4: case 5: case 6:
        access_bus(script, fake, BUS_MMIO);
        break;
    case 7:
        access_bus(script, fake, BUS_MSR);
        break;
    case 8:
        write_local_apic_msr(script, fake);
        break;
    case 9:
        advance(script, fake);
        break;
    case 10:
        oversleep(script, fake);
        break;
    case 11:
        take_interrupt(fake);
        break;
    case 12:
        fake_store(fake, LOCAL_APIC_BASE + 0xb0, 4, 0);
        fake_wrmsr(fake, MSR_X2APIC + 0xb, 0);
        break;
    case 13:
        fake_type(fake, script->bytes, script->left < (what >> 4) * 4u ? script->left : (what >> 4) * 4u);
        script_take(script, 4);
        break;
    case 14:
        fake->output_room = what & 0x80 ? SIZE_MAX : what >> 4;
        break;
    default:
        machine_set_irq(&fake->machine, what >> 4, script_byte(script) & 1);
        local_apic_set_cr8(fake->machine.local_apic, what >> 4);
        REQUIRE(local_apic_cr8(fake->machine.local_apic) == what >> 4);
        break;
    }
    if (fake->output_length > FAKE_CONSOLE_SIZE / 2)
        fake->output_length = 0;
    fake->machine.end = MACHINE_RUNS;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const uint64_t rates[] = { FAKE_TSC_HZ, 40000000, 3500000000, 24000000 };
    struct script script = { bytes, length };
    uint8_t head = script_byte(&script);
    struct fake_machine *fake = fake_machine_bare(rates[head & 3], script_take(&script, 5));
    const char *name;

    fake->machine.rtc_passthrough = (head & 0x1c) == 0x1c;
    REQUIRE(devices_create(&fake->machine, &name));
    while (script.left > 0)
        do_one_thing(&script, fake);
    fake_machine_destroy(fake);
    return 0;
}
