/* Citations: ACPI Specification 6.5. */
#include "vmm/acpi_tables.h"

#include "build/acpi/dsdt.hex"
#include "vmm/device.h"

#include <string.h>

#define OEM_ID       "BEAML4"
#define OEM_TABLE_ID "BEAML4VM"
#define CREATOR_ID   "BML4"
#define CENTURY_IN_CMOS 0x32u

struct __attribute__((packed)) table_header { /* 5.2.6 */
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
};

struct __attribute__((packed)) rsdp { /* 5.2.5.3 */
    char signature[8];
    uint8_t checksum; /* of the first 20 bytes */
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
};

struct __attribute__((packed)) generic_address { /* 5.2.3.2 */
    uint8_t space, bits, offset, access; /* space 1: ports; access 1, 2, 3: 8, 16, 32 bits */
    uint64_t address;
};

#define PORT_SPACE 1

struct __attribute__((packed)) fadt { /* 5.2.9 */
    struct table_header header;
    uint32_t facs, dsdt;
    uint8_t reserved0, preferred_profile;
    uint16_t sci_interrupt;
    uint32_t smi_command;
    uint8_t acpi_enable, acpi_disable, s4bios_request, pstate_control;
    uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
    uint8_t pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
    uint8_t gpe0_length, gpe1_length, gpe1_base, cstate_control;
    uint16_t c2_latency, c3_latency, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_architecture;
    uint8_t reserved1;
    uint32_t flags;
    struct generic_address reset_register;
    uint8_t reset_value;
    uint16_t arm_boot_architecture;
    uint8_t minor_version;
    uint64_t x_facs, x_dsdt;
    struct generic_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control, x_pm_timer;
    struct generic_address x_gpe0, x_gpe1, sleep_control, sleep_status;
    uint64_t hypervisor_vendor;
};
_Static_assert(sizeof(struct fadt) == 276, "the length that revision 6 has");

#define FADT_WBINVD             (1u << 0)
#define FADT_C1_SUPPORTED       (1u << 2)
#define FADT_NO_POWER_BUTTON    (1u << 4) /* not as a fixed feature, that is */
#define FADT_NO_SLEEP_BUTTON    (1u << 5)
#define FADT_NO_RTC_WAKE_STATUS (1u << 6)
#define FADT_RESET_REGISTER     (1u << 10)
#define FADT_HEADLESS           (1u << 12)
#define BOOT_LEGACY_DEVICES     (1u << 0) /* COM1, PIT, RTC at their ports; no 8042, though its reset command works */
#define BOOT_NO_VGA             (1u << 2)
#define LATENCY_NO_C2           101u  /* more than 100 or 1,000 µs: there is no such state */
#define LATENCY_NO_C3           1001u

struct __attribute__((packed)) facs { /* 5.2.10 */
    char signature[4];
    uint32_t length, hardware_signature, waking_vector, global_lock, flags;
    uint64_t x_waking_vector;
    uint8_t version, reserved[31];
};
_Static_assert(sizeof(struct facs) == 64, "the length that version 2 has");

struct __attribute__((packed)) madt { /* 5.2.12 */
    struct table_header header;
    uint32_t local_apic_address, flags; /* flags 0: no 8259 pair that could interrupt */
    struct __attribute__((packed)) {
        uint8_t type, length, processor_uid, apic_id;
        uint32_t flags;
    } local_apic;
    struct __attribute__((packed)) {
        uint8_t type, length, id, reserved;
        uint32_t address, gsi_base;
    } io_apic;
    struct __attribute__((packed)) interrupt_override {
        uint8_t type, length, bus, source;
        uint32_t gsi;
        uint16_t flags;
    } timer, sci;
};

#define MADT_ENABLED          1u
#define OVERRIDE_AS_BUS       0x0u
#define OVERRIDE_LEVEL_HIGH   0xdu

struct __attribute__((packed)) xsdt { /* 5.2.8 */
    struct table_header header;
    uint64_t table[2];
};

/* Where everything lies in the area. */
struct area {
    _Alignas(16) struct rsdp rsdp;
    _Alignas(8) uint8_t virtio_present;
    _Alignas(64) struct facs facs;
    _Alignas(16) struct xsdt xsdt;
    _Alignas(16) struct fadt fadt;
    _Alignas(16) struct madt madt;
    _Alignas(16) uint8_t dsdt[sizeof dsdt_aml_code];
};
/* A kernel that starts by PVH may use 0xfd000 and what follows for itself before it reads the tables. */
_Static_assert(ACPI_RSDP_ADDRESS + sizeof(struct area) <= 0xfd000, "room");

_Static_assert(ACPI_RSDP_ADDRESS + offsetof(struct area, virtio_present) == ACPI_VIRTIO_PRESENT, "as in the DSDT");

#define ADDRESS_OF(field) (ACPI_RSDP_ADDRESS + (uint32_t)offsetof(struct area, field))

static uint8_t checksum(const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;
    uint8_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += byte[i];
    return (uint8_t)-sum;
}

static struct table_header header_of(const char signature[4], uint32_t length, uint8_t revision)
{
    struct table_header header = { .length = length, .revision = revision, .oem_revision = 1, .creator_revision = 1 };

    memcpy(header.signature, signature, sizeof header.signature);
    memcpy(header.oem_id, OEM_ID, sizeof header.oem_id);
    memcpy(header.oem_table_id, OEM_TABLE_ID, sizeof header.oem_table_id);
    memcpy(header.creator_id, CREATOR_ID, sizeof header.creator_id);
    return header;
}

static struct generic_address port(uint16_t address, uint8_t bytes)
{
    return (struct generic_address) {
        .space = PORT_SPACE, .bits = (uint8_t)(bytes * 8), .access = bytes == 4 ? 3 : bytes, .address = address,
    };
}

static struct fadt make_fadt(void)
{
    struct fadt fadt = {
        .header = header_of("FACP", sizeof fadt, 6),
        .facs = ADDRESS_OF(facs),
        .dsdt = ADDRESS_OF(dsdt),
        .sci_interrupt = GSI_ACPI,
        /* No SMI command: the machine is in ACPI mode from the start. */
        .pm1a_event = PORT_PM1_STATUS, .pm1_event_length = 4,
        .pm1a_control = PORT_PM1_CONTROL, .pm1_control_length = 2,
        .pm_timer = PORT_PM_TIMER, .pm_timer_length = 4,
        .c2_latency = LATENCY_NO_C2, .c3_latency = LATENCY_NO_C3,
        .century = CENTURY_IN_CMOS,
        .boot_architecture = BOOT_LEGACY_DEVICES | BOOT_NO_VGA,
        .flags = FADT_WBINVD | FADT_C1_SUPPORTED | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE_STATUS
            | FADT_RESET_REGISTER | FADT_HEADLESS,
        .reset_register = port(PORT_RESET_CONTROL, 1),
        .reset_value = RESET_VALUE,
        .minor_version = 3,
        .x_dsdt = ADDRESS_OF(dsdt),
        .x_pm1a_event = port(PORT_PM1_STATUS, 4),
        .x_pm1a_control = port(PORT_PM1_CONTROL, 2),
        .x_pm_timer = port(PORT_PM_TIMER, 4),
    };

    /* Event registers are read by halves, status and enable (4.8.3.1). */
    fadt.x_pm1a_event.access = 2;
    fadt.header.checksum = checksum(&fadt, sizeof fadt);
    return fadt;
}

static struct madt make_madt(void)
{
    struct madt madt = {
        .header = header_of("APIC", sizeof madt, 5),
        .local_apic_address = LOCAL_APIC_BASE,
        .local_apic = { 0, sizeof madt.local_apic, .processor_uid = 0, .apic_id = 0, .flags = MADT_ENABLED },
        .io_apic = { 1, sizeof madt.io_apic, .id = 0, .address = IOAPIC_BASE, .gsi_base = 0 },
        .timer = { 2, sizeof madt.timer, .source = 0, .gsi = GSI_PIT, .flags = OVERRIDE_AS_BUS },
        .sci = { 2, sizeof madt.sci, .source = GSI_ACPI, .gsi = GSI_ACPI, .flags = OVERRIDE_LEVEL_HIGH },
    };

    madt.header.checksum = checksum(&madt, sizeof madt);
    return madt;
}

static struct rsdp make_rsdp(void)
{
    struct rsdp rsdp = { .revision = 2, .length = sizeof rsdp, .xsdt = ADDRESS_OF(xsdt) };

    memcpy(rsdp.signature, "RSD PTR ", sizeof rsdp.signature);
    memcpy(rsdp.oem_id, OEM_ID, sizeof rsdp.oem_id);
    rsdp.checksum = checksum(&rsdp, offsetof(struct rsdp, length));
    rsdp.extended_checksum = checksum(&rsdp, sizeof rsdp);
    return rsdp;
}

bool acpi_tables_write(const struct guest_memory *memory, uint8_t virtio_present)
{
    struct area area = {
        .rsdp = make_rsdp(),
        .virtio_present = virtio_present,
        .facs = { .signature = "FACS", .length = sizeof area.facs, .version = 2 },
        .xsdt = { .header = header_of("XSDT", sizeof area.xsdt, 1), .table = { ADDRESS_OF(fadt), ADDRESS_OF(madt) } },
        .fadt = make_fadt(),
        .madt = make_madt(),
    };

    area.xsdt.header.checksum = checksum(&area.xsdt, sizeof area.xsdt);
    memcpy(area.dsdt, dsdt_aml_code, sizeof area.dsdt);
    return guest_memory_write(memory, ACPI_RSDP_ADDRESS, &area, sizeof area);
}
