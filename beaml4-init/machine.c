#include "beaml4-init/machine.h"

#include "beaml4-init/acpi_pages.h"
#include "beaml4-init/calendar.h"

#include <sel4/beaml4.h>
#include <string.h>

#define RTC_INDEX 0x70u
#define RTC_DATA  0x71u

/* Registers of the CMOS clock (MC146818), and where PCs keep the century. */
enum { CMOS_SECOND = 0x00, CMOS_MINUTE = 0x02, CMOS_HOUR = 0x04, CMOS_DAY = 0x07, CMOS_MONTH = 0x08, CMOS_YEAR = 0x09,
       CMOS_STATUS_A = 0x0a, CMOS_STATUS_B = 0x0b, CMOS_CENTURY = 0x32 };
#define CMOS_UPDATING 0x80u

/* An update takes 2 ms at most; far more reads than that lasts, and an end even where no clock answers. */
#define CMOS_READS_MAX 100000u

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static uint8_t read_cmos(const struct machine *machine, uint8_t index)
{
    seL4_X86_IOPort_Out8(machine->rtc_ports, RTC_INDEX, index);
    seL4_X86_IOPort_In8_t answer = seL4_X86_IOPort_In8(machine->rtc_ports, RTC_DATA);
    return answer.error == seL4_NoError ? answer.result : 0xff;
}

static struct cmos_time read_cmos_once(const struct machine *machine)
{
    for (unsigned i = 0; i < CMOS_READS_MAX && (read_cmos(machine, CMOS_STATUS_A) & CMOS_UPDATING); i++)
        ;
    return (struct cmos_time) {
        .second = read_cmos(machine, CMOS_SECOND),
        .minute = read_cmos(machine, CMOS_MINUTE),
        .hour = read_cmos(machine, CMOS_HOUR),
        .day = read_cmos(machine, CMOS_DAY),
        .month = read_cmos(machine, CMOS_MONTH),
        .year = read_cmos(machine, CMOS_YEAR),
        .century = read_cmos(machine, CMOS_CENTURY),
        .status_b = read_cmos(machine, CMOS_STATUS_B),
    };
}

/* Until two readings agree: one alone may have caught the clock between two fields. */
static void read_wall_clock(struct machine *machine)
{
    struct cmos_time time = read_cmos_once(machine), again;

    for (int tries = 0; tries < 5; tries++) {
        again = read_cmos_once(machine);
        if (memcmp(&time, &again, sizeof time) == 0)
            break;
        time = again;
    }
    machine->wall_clock_tsc = read_tsc();
    machine->wall_clock_known = calendar_seconds(&time, &machine->wall_clock_seconds);
}

static void read_firmware(struct machine *machine)
{
    const seL4_BootInfoHeader *record =
        sel4_bootinfo_find(machine->resources->bootinfo, SEL4_BOOTINFO_HEADER_X86_ACPI_RSDP);
    struct acpi_pages pages = { .resources = machine->resources };
    const struct acpi acpi = {
        .rsdp = record ? record + 1 : NULL, .rsdp_bytes = record ? record->len - sizeof *record : 0,
        .read = acpi_pages_read, .context = &pages,
    };

    machine->routes_known = madt_routes(machine->route, &acpi);
    if (!acpi_hpet(&acpi, &machine->hpet))
        machine->hpet = 0;
    acpi_pages_close(&pages);
}

static void read_bootinfo(struct machine *machine)
{
    const seL4_BootInfo *bootinfo = machine->resources->bootinfo;
    const seL4_BootInfoHeader *record = sel4_bootinfo_find(bootinfo, SEL4_BOOTINFO_HEADER_X86_TSC_FREQ);
    seL4_BootInfo_beaml4_t ours;
    uint32_t mhz;

    if (record && record->len >= sizeof *record + sizeof mhz) {
        memcpy(&mhz, record + 1, sizeof mhz);
        machine->tsc_hz = mhz * UINT64_C(1000000);
    }
    machine->features = SEL4_BEAML4_VTX; /* a kernel without a record of ours does not boot otherwise */
    record = sel4_bootinfo_find(bootinfo, SEL4_BOOTINFO_HEADER_BEAML4);
    if (record && record->len >= sizeof ours) {
        memcpy(&ours, record, sizeof ours);
        machine->features = ours.features;
        memcpy(machine->vtx_reason, ours.vtx_reason, sizeof machine->vtx_reason - 1);
        if (ours.tsc_hz != 0)
            machine->tsc_hz = ours.tsc_hz;
    }
}

void machine_open(struct machine *machine, struct resources *resources)
{
    *machine = (struct machine) { .resources = resources };
    read_bootinfo(machine);
    read_firmware(machine);
    if (!resources_take_slot(resources, &machine->rtc_ports) &&
        seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, RTC_INDEX, RTC_DATA, INIT_CNODE, machine->rtc_ports,
                                     INIT_DEPTH) == seL4_NoError)
        read_wall_clock(machine);
}

const char *machine_ports(struct pool *pool, unsigned first, unsigned last, seL4_CPtr *slot)
{
    const char *problem = pool_take_slot(pool, slot);

    if (problem)
        return problem;
    if (seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, first, last, INIT_CNODE, *slot, INIT_DEPTH) !=
        seL4_NoError)
        return "the kernel refused to hand out its I/O ports";
    return NULL;
}

const char *machine_irq(const struct machine *machine, struct pool *pool, unsigned irq, seL4_CPtr notification,
                        seL4_CPtr *slot)
{
    const struct irq_route *route = &machine->route[irq];
    const char *problem = pool_take_slot(pool, slot);

    if (problem)
        return problem;
    /* The kernel's number of the interrupt can be chosen; the ISA number is unique as well. */
    if (seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, INIT_CNODE, *slot, INIT_DEPTH, 0, route->pin, route->level,
                                  route->low, irq) != seL4_NoError)
        return "the kernel refused to hand out its interrupt";
    if (seL4_IRQHandler_SetNotification(*slot, notification) != seL4_NoError)
        return "the kernel refused to connect its interrupt";
    return NULL;
}
