/* KVM's paravirtual clock: two MSRs by which a guest names memory, in which it finds how to make nanoseconds and the
 * wall clock out of its TSC (Linux, Documentation/virt/kvm/x86/msr.rst). This TSC neither stops nor changes its rate,
 * so what is written there once stays right, and nothing has to be updated behind the guest's back.
 *
 * CPUID offers it on CPUs where Linux does not look at leaf 15H: the other way to the TSC's frequency is to measure it,
 * which fails under emulation.
 */
#include "vmm/device.h"
#include "vmm/devices/ticks.h"

#include <stdlib.h>

#define MSR_WALL_CLOCK  0x4b564d00u
#define MSR_SYSTEM_TIME 0x4b564d01u

#define SYSTEM_TIME_ENABLE UINT64_C(1)
#define ALIGNMENT_MASK     UINT64_C(3)
#define TSC_STABLE         1u

#define NANOSECONDS UINT64_C(1000000000)

struct wall_clock {
    uint32_t version, seconds, nanoseconds; /* UTC when system time was 0 */
};

struct system_time {
    uint32_t version, reserved0;
    uint64_t tsc, nanoseconds; /* system time when the TSC was that */
    uint32_t multiplier;       /* nanoseconds = (ticks << shift) * multiplier / 2^32 */
    int8_t shift;
    uint8_t flags, reserved1[2];
};
_Static_assert(sizeof(struct wall_clock) == 12 && sizeof(struct system_time) == 32, "as guests know them");

struct kvm_clock {
    struct machine *machine;
    uint64_t started; /* TSC when system time was 0 */
    uint64_t value[2];
};

static bool write_wall_clock(const struct kvm_clock *clock, uint64_t address)
{
    const struct machine *machine = clock->machine;
    uint64_t ticks = clock->started - machine->wall_clock_tsc;
    uint64_t nanoseconds = ticks_convert(ticks, machine->tsc_hz, NANOSECONDS);
    struct wall_clock wall = {
        .version = 2, /* even: complete */
        .seconds = (uint32_t)(machine->wall_clock_seconds + nanoseconds / NANOSECONDS),
        .nanoseconds = (uint32_t)(nanoseconds % NANOSECONDS),
    };

    return guest_memory_write(&machine->memory, address, &wall, sizeof wall);
}

static bool write_system_time(const struct kvm_clock *clock, uint64_t address)
{
    uint64_t hz = clock->machine->tsc_hz, now = clock->machine->now();
    /* As it is now, not as it was at the start: Nanos holds a clock that shows 0 for one that was never written. */
    struct system_time time = {
        .version = 2,
        .tsc = now,
        .nanoseconds = ticks_convert(now - clock->started, hz, NANOSECONDS),
        .flags = TSC_STABLE,
    };

    /* Ticks are scaled such that one has 0.5 to 1 ns, for a multiplier with all of its 32 bits. */
    for (; hz > 2 * NANOSECONDS; hz >>= 1)
        time.shift--;
    for (; hz <= NANOSECONDS; hz <<= 1)
        time.shift++;
    time.multiplier = (uint32_t)((NANOSECONDS << 32) / hz);
    return guest_memory_write(&clock->machine->memory, address, &time, sizeof time);
}

static enum bus_result access_clock(void *device, struct bus_access *access)
{
    struct kvm_clock *clock = device;
    bool written = true;

    if (!access->write) {
        access->value = clock->value[access->offset];
        return BUS_DONE;
    }
    if (access->address == MSR_WALL_CLOCK)
        written = !(access->value & ALIGNMENT_MASK) && write_wall_clock(clock, access->value);
    else if (access->value & SYSTEM_TIME_ENABLE)
        written = !(access->value & ALIGNMENT_MASK & ~SYSTEM_TIME_ENABLE)
            && write_system_time(clock, access->value & ~SYSTEM_TIME_ENABLE);
    if (!written)
        return BUS_FAULT;
    clock->value[access->offset] = access->value;
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    bus_unregister(&machine->bus, device);
    free(device);
}

static bool create(struct machine *machine, void **device)
{
    struct kvm_clock *clock;
    struct bus_range range = {
        .space = BUS_MSR, .start = MSR_WALL_CLOCK, .length = 2, .priority = 128, .handler = access_clock,
        .name = "kvm-clock",
    };

    if (machine->tsc_hz == 0)
        return true;
    clock = calloc(1, sizeof *clock);
    range.device = clock;
    if (!clock || !bus_register(&machine->bus, &range)) {
        free(clock);
        return false;
    }
    clock->machine = machine;
    clock->started = machine->now();
    *device = clock;
    return true;
}

DEVICE(kvm_clock_device, .name = "kvm-clock", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
