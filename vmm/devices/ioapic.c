#include "vmm/devices/ioapic.h"

#include "vmm/device.h"
#include "vmm/devices/local_apic.h"

#include <stdlib.h>

/* The registers of the 82093AA (data sheet 290566), at version 20h, which adds the EOI register. */
#define PAGE_BYTES     0x1000u
#define OFFSET_SELECT  0x00u
#define OFFSET_WINDOW  0x10u
#define OFFSET_EOI     0x40u

enum { REGISTER_ID, REGISTER_VERSION, REGISTER_ARBITRATION, REGISTER_REDIRECTION = 0x10 };

#define VERSION ((IOAPIC_PIN_COUNT - 1) << 16 | 0x20u)
#define ID_BITS 0x0f000000u

#define ENTRY_VECTOR(entry)   ((uint8_t)(entry))
#define ENTRY_MODE(entry)     ((unsigned)((entry) >> 8 & 7))
#define ENTRY_LOGICAL         0x800u
#define ENTRY_ACTIVE_LOW      0x2000u
#define ENTRY_REMOTE_IRR      0x4000u
#define ENTRY_LEVEL           0x8000u
#define ENTRY_MASKED          0x10000u
#define ENTRY_DESTINATION(entry) ((uint8_t)((entry) >> 56))
#define ENTRY_WRITABLE        UINT64_C(0xff0000000001afff) /* without delivery status and remote IRR */

enum { MODE_FIXED = 0, MODE_LOWEST_PRIORITY = 1 };

struct ioapic {
    struct machine *machine;
    uint8_t select;
    uint32_t id;
    uint32_t lines; /* the level of each pin's line, a bit a pin */
    uint64_t entry[IOAPIC_PIN_COUNT];
};

static bool is_active(const struct ioapic *ioapic, unsigned pin)
{
    bool level = ioapic->lines >> pin & 1;

    return level != !!(ioapic->entry[pin] & ENTRY_ACTIVE_LOW);
}

/* Sends the pin's message; whether the local APIC took it. NMI, SMI, INIT and ExtINT have no receiver here. */
static bool send(struct ioapic *ioapic, unsigned pin)
{
    struct local_apic *apic = ioapic->machine->local_apic;
    uint64_t entry = ioapic->entry[pin];

    return apic && ENTRY_MODE(entry) <= MODE_LOWEST_PRIORITY
        && local_apic_accepts(apic, ENTRY_DESTINATION(entry), entry & ENTRY_LOGICAL)
        && local_apic_deliver(apic, ENTRY_VECTOR(entry), entry & ENTRY_LEVEL);
}

/* A level-triggered pin sends for as long as its line is active, each time the one before has been ended. */
static void send_if_level(struct ioapic *ioapic, unsigned pin)
{
    uint64_t *entry = &ioapic->entry[pin];

    if ((*entry & (ENTRY_LEVEL | ENTRY_MASKED | ENTRY_REMOTE_IRR)) == ENTRY_LEVEL && is_active(ioapic, pin)
        && send(ioapic, pin))
        *entry |= ENTRY_REMOTE_IRR;
}

void ioapic_set_pin(struct ioapic *ioapic, unsigned pin, bool level)
{
    if (pin >= IOAPIC_PIN_COUNT || (ioapic->lines >> pin & 1) == level)
        return;
    ioapic->lines ^= 1u << pin;

    uint64_t entry = ioapic->entry[pin];
    if (entry & ENTRY_LEVEL)
        send_if_level(ioapic, pin);
    else if (!(entry & ENTRY_MASKED) && is_active(ioapic, pin))
        send(ioapic, pin); /* an edge that comes while the pin is masked is lost (3.2.4, bit 16) */
}

void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PIN_COUNT; pin++) {
        uint64_t *entry = &ioapic->entry[pin];

        if ((*entry & ENTRY_REMOTE_IRR) && ENTRY_VECTOR(*entry) == vector) {
            *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
            send_if_level(ioapic, pin);
        }
    }
}

void machine_set_irq(struct machine *machine, unsigned gsi, bool level)
{
    if (machine->ioapic)
        ioapic_set_pin(machine->ioapic, gsi, level);
}

static void write_entry(struct ioapic *ioapic, unsigned pin, uint64_t value)
{
    uint64_t *entry = &ioapic->entry[pin];

    *entry = (value & ENTRY_WRITABLE) | (*entry & ENTRY_REMOTE_IRR);
    if (!(*entry & ENTRY_LEVEL)) /* making a pin edge-triggered is how the 82093AA is rid of a remote IRR */
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
    send_if_level(ioapic, pin);
}

static uint32_t read_register(const struct ioapic *ioapic, unsigned number)
{
    unsigned half = number - REGISTER_REDIRECTION;

    switch (number) {
    case REGISTER_ID:
    case REGISTER_ARBITRATION:
        return ioapic->id;
    case REGISTER_VERSION:
        return VERSION;
    default:
        return half < 2 * IOAPIC_PIN_COUNT ? (uint32_t)(ioapic->entry[half / 2] >> half % 2 * 32) : UINT32_MAX;
    }
}

static void write_register(struct ioapic *ioapic, unsigned number, uint32_t value)
{
    unsigned half = number - REGISTER_REDIRECTION;

    if (number == REGISTER_ID) {
        ioapic->id = value & ID_BITS;
    } else if (half < 2 * IOAPIC_PIN_COUNT) {
        unsigned shift = half % 2 * 32;
        uint64_t kept = ioapic->entry[half / 2] & ~(UINT64_C(0xffffffff) << shift);

        write_entry(ioapic, half / 2, kept | (uint64_t)value << shift);
    }
}

/* Registers are 32 bits wide; the select and EOI registers may be written as bytes as well (3.0). Anything else in the
 * page reads as zero. */
static enum bus_result access_page(void *device, struct bus_access *access)
{
    struct ioapic *ioapic = device;
    bool whole = access->size == 4;

    if (!access->write)
        access->value = 0;
    if (access->size > 4)
        return BUS_DONE;
    switch (access->offset) {
    case OFFSET_SELECT:
        if (access->write)
            ioapic->select = (uint8_t)access->value;
        else
            access->value = ioapic->select;
        break;
    case OFFSET_WINDOW:
        if (!access->write)
            access->value = read_register(ioapic, ioapic->select);
        else if (whole)
            write_register(ioapic, ioapic->select, (uint32_t)access->value);
        break;
    case OFFSET_EOI:
        if (access->write)
            ioapic_end_of_interrupt(ioapic, (uint8_t)access->value);
        break;
    default:
        break;
    }
    return BUS_DONE;
}

static bool create(struct machine *machine, void **device)
{
    struct ioapic *ioapic = calloc(1, sizeof *ioapic);

    if (!ioapic)
        return false;
    ioapic->machine = machine;
    for (unsigned pin = 0; pin < IOAPIC_PIN_COUNT; pin++)
        ioapic->entry[pin] = ENTRY_MASKED;

    struct bus_range range = {
        .space = BUS_MMIO, .start = IOAPIC_BASE, .length = PAGE_BYTES, .priority = 128,
        .handler = access_page, .device = ioapic, .name = "ioapic",
    };
    if (!bus_register(&machine->bus, &range)) {
        free(ioapic);
        return false;
    }
    machine->ioapic = ioapic;
    *device = ioapic;
    return true;
}

static void destroy(struct machine *machine, void *device)
{
    machine->ioapic = NULL;
    bus_unregister(&machine->bus, device);
    free(device);
}

DEVICE(ioapic_device, .name = "ioapic", .order = DEVICE_ORDER_IOAPIC, .create = create, .destroy = destroy);
