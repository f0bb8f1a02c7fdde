/* What a device model sees of its virtual machine, and how it comes into being.
 *
 * A device is one file below vmm/devices/ that ends in DEVICE(...): nothing central is edited to add one. Devices make
 * no system calls; they talk to the outside through the functions of struct machine, so that a unit test or a fuzzer
 * can play the rest.
 */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/bus.h"
#include "vmm/guest_memory.h"
#include "vmm/timers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a machine ends, as a device asks for it. */
enum machine_end { MACHINE_RUNS, MACHINE_POWER_OFF, MACHINE_RESET };

struct ioapic;
struct local_apic;

struct machine {
    struct bus bus;
    struct timers timers;
    struct guest_memory memory;
    struct vcpu *vcpu;

    /* Time: the guest's TSC is the machine's own. */
    uint64_t tsc_hz;
    uint64_t (*now)(void); /* TSC */
    uint64_t wall_clock_seconds, wall_clock_tsc; /* UTC since 1970 when the TSC had that value */
    bool rtc_passthrough; /* ports 0x70 and 0x71 belong to the guest: no RTC model */

    /* The console. Both take or give as many bytes as they can without waiting. */
    size_t (*console_write)(void *context, const uint8_t *bytes, size_t length);
    size_t (*console_read)(void *context, uint8_t *bytes, size_t length);
    void *console;

    void (*log)(const char *line); /* one line for the system's log, without its end; NULL: nobody listens */

    /* Filled by the devices of these kinds when they are created. */
    struct ioapic *ioapic;
    struct local_apic *local_apic;
    void (*console_input)(void *device); /* the serial device: bytes are waiting in the console */
    void *console_device;

    enum machine_end end;

    void *device[32]; /* what the registered device types created, in their order */
    unsigned device_count;
};

struct device_type {
    const char *name;
    uint8_t order; /* created in ascending order, destroyed in descending order */
    /* Creates the device and registers its ranges. False: no memory. *DEVICE may stay NULL: there is none. */
    bool (*create)(struct machine *machine, void **device);
    void (*destroy)(struct machine *machine, void *device);
};

#define DEVICE_ORDER_LOCAL_APIC 10
#define DEVICE_ORDER_IOAPIC     20
#define DEVICE_ORDER_NORMAL     100

#define DEVICE(identifier, ...) \
    static const struct device_type identifier __attribute__((used, section("device_types"), aligned(8))) = { __VA_ARGS__ }

/* Creates every registered device; false, with the NAME of the one that failed, after destroying the others. */
bool devices_create(struct machine *machine, const char **name);
void devices_destroy(struct machine *machine);

/* Sets an interrupt line of the machine (a global system interrupt: pin of the IOAPIC) to LEVEL. */
void machine_set_irq(struct machine *machine, unsigned gsi, bool level);

/* A device wants the machine to end; the first wish counts. */
static inline void machine_request_end(struct machine *machine, enum machine_end end)
{
    if (machine->end == MACHINE_RUNS)
        machine->end = end;
}

/* Ports and addresses that the device models and the ACPI tables must agree on. */
#define PORT_PM1_STATUS    0x600u /* 2 bytes of status, 2 of enable */
#define PORT_PM1_CONTROL   0x604u
#define PORT_PM_TIMER      0x608u
#define PORT_RESET_CONTROL 0xcf9u /* ACPI reset register: write RESET_VALUE */
#define RESET_VALUE        0x06u
#define SLEEP_TYPE_S5      5u
#define GSI_PIT            2u
#define GSI_SERIAL         4u
#define GSI_RTC            8u
#define GSI_ACPI           9u
#define IOAPIC_BASE        0xfec00000u
#define IOAPIC_PIN_COUNT   24u
#define LOCAL_APIC_BASE    0xfee00000u
#define VIRTIO_SLOTS       8u          /* places for virtio-mmio devices: a page each from VIRTIO_BASE on */
#define VIRTIO_BASE        0xfeb00000u
#define VIRTIO_SLOT_BYTES  0x1000u
#define GSI_VIRTIO         16u         /* of the first; each has its own */
