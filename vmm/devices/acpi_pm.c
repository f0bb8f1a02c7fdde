/* The fixed hardware of ACPI: the PM1 event and control registers and the power management timer (ACPI 6.5, 4.8.3).
 *
 * There is no SMI and no legacy mode: the machine is in ACPI mode from the start. The only event that can occur is the
 * timer's carry; there are no buttons.
 */
#include "vmm/device.h"
#include "vmm/devices/ticks.h"

#include <stdlib.h>

#define PM_TIMER_HZ   3579545u
#define PM_TIMER_BITS 24u /* as the FADT's TMR_VAL_EXT = 0 says; the upper eight read as zero */

#define EVENT_PORTS   4u
#define CONTROL_PORTS 2u
#define TIMER_PORTS   4u

/* PM1 status and enable (tables 4.13 and 4.14). */
#define PM1_TIMER       0x0001u
#define PM1_WAKE        0x8000u /* status only */
#define ENABLE_WRITABLE 0x0721u

/* PM1 control (table 4.15). */
#define CONTROL_SCI_ENABLE    0x0001u
#define CONTROL_KEPT          0x1c02u /* sleep type, bus master reload */
#define CONTROL_SLEEP_TYPE(c) ((c) >> 10 & 7u)
#define CONTROL_SLEEP_ENABLE  0x2000u

struct acpi_pm {
    struct machine *machine;
    uint64_t created;
    uint16_t status, enable, control;
    uint64_t carries; /* changes of the timer's highest bit that STATUS accounts for */
    struct timer carry;
};

static uint64_t pm_ticks(const struct acpi_pm *pm)
{
    return ticks_convert(pm->machine->now() - pm->created, pm->machine->tsc_hz, PM_TIMER_HZ);
}

/* The status is set whenever bit 23 changes (4.8.3.1.1), and the SCI with it where the guest wants that. */
static void update(struct acpi_pm *pm)
{
    uint64_t carries = pm_ticks(pm) >> (PM_TIMER_BITS - 1);

    if (carries != pm->carries)
        pm->status |= PM1_TIMER;
    pm->carries = carries;
    machine_set_irq(pm->machine, GSI_ACPI, pm->status & pm->enable);
    if (!(pm->enable & PM1_TIMER) || (pm->status & PM1_TIMER)) {
        timer_cancel(&pm->machine->timers, &pm->carry);
        return;
    }
    uint64_t next = ticks_convert_up((carries + 1) << (PM_TIMER_BITS - 1), PM_TIMER_HZ, pm->machine->tsc_hz);
    timer_arm(&pm->machine->timers, &pm->carry, ticks_after(pm->created, next));
}

static void carry_expired(void *device, uint64_t deadline)
{
    (void)deadline;
    update(device);
}

static void write_control(struct acpi_pm *pm, uint16_t value)
{
    pm->control = value & CONTROL_KEPT;
    if (!(value & CONTROL_SLEEP_ENABLE))
        return;
    if (CONTROL_SLEEP_TYPE(value) == SLEEP_TYPE_S5)
        machine_request_end(pm->machine, MACHINE_POWER_OFF);
    else
        pm->status |= PM1_WAKE; /* no other sleeping state is offered: it ends as soon as it begins */
}

/* Registers are read and written in parts of any size within their block; a word is put together from its bytes. */
static uint64_t part(uint64_t block, const struct bus_access *access)
{
    return block >> access->offset * 8;
}

static uint64_t merge(uint64_t block, const struct bus_access *access)
{
    uint64_t mask = (access->size >= 8 ? UINT64_MAX : (UINT64_C(1) << access->size * 8) - 1) << access->offset * 8;

    return (block & ~mask) | (access->value << access->offset * 8 & mask);
}

static enum bus_result access_events(void *device, struct bus_access *access)
{
    struct acpi_pm *pm = device;

    update(pm);
    if (!access->write) {
        access->value = part((uint32_t)pm->enable << 16 | pm->status, access);
        return BUS_DONE;
    }
    uint64_t block = merge((uint32_t)pm->enable << 16, access);
    pm->status &= (uint16_t)~block; /* written ones clear */
    pm->enable = block >> 16 & ENABLE_WRITABLE;
    update(pm);
    return BUS_DONE;
}

static enum bus_result access_control(void *device, struct bus_access *access)
{
    struct acpi_pm *pm = device;

    if (access->write)
        write_control(pm, (uint16_t)merge(pm->control, access));
    else
        access->value = part(pm->control | CONTROL_SCI_ENABLE, access);
    return BUS_DONE;
}

static enum bus_result access_timer(void *device, struct bus_access *access)
{
    if (!access->write)
        access->value = part(pm_ticks(device) & ((1u << PM_TIMER_BITS) - 1), access);
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    struct acpi_pm *pm = device;

    timer_cancel(&machine->timers, &pm->carry);
    bus_unregister(&machine->bus, pm);
    free(pm);
}

static bool create(struct machine *machine, void **device)
{
    const struct bus_range ranges[] = {
        { .start = PORT_PM1_STATUS, .length = EVENT_PORTS, .handler = access_events },
        { .start = PORT_PM1_CONTROL, .length = CONTROL_PORTS, .handler = access_control },
        { .start = PORT_PM_TIMER, .length = TIMER_PORTS, .handler = access_timer },
    };
    struct acpi_pm *pm = calloc(1, sizeof *pm);

    if (!pm)
        return false;
    pm->machine = machine;
    pm->created = machine->now();
    pm->carry.expired = carry_expired;
    pm->carry.device = pm;
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct bus_range range = ranges[i];

        range.space = BUS_PORT;
        range.priority = 128;
        range.device = pm;
        range.name = "acpi-pm";
        if (!bus_register(&machine->bus, &range)) {
            destroy(machine, pm);
            return false;
        }
    }
    *device = pm;
    return true;
}

DEVICE(acpi_pm_device, .name = "acpi-pm", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
