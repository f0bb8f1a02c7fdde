/* ACPI 6.5 section 5.2: RSDP, RSDT, XSDT, MADT. Every length is checked before it is followed. */
#include <arch/x86_64/acpi.h>

#include <arch/x86_64/console.h>
#include <arch/x86_64/memory.h>
#include <lib/string.h>

#define FOUR_GIB 0x100000000ul

#define DEFAULT_LOCAL_APIC 0xfee00000
#define DEFAULT_IOAPIC     0xfec00000

#define EBDA_SEGMENT_POINTER 0x40e
#define BIOS_START           0xe0000
#define BIOS_END             0x100000

/* A longer table is no table: summing it up could take minutes. */
#define TABLE_SIZE_MAX 0x400000u

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

enum madt_type {
    MADT_LOCAL_APIC = 0,
    MADT_IOAPIC = 1,
    MADT_LOCAL_APIC_ADDRESS = 5,
};

#define LOCAL_APIC_ENABLED 1u

static bool sums_to_zero(const void *data, uint32_t size)
{
    const uint8_t *bytes = data;
    uint8_t sum = 0;

    while (size--)
        sum = (uint8_t)(sum + *bytes++);
    return sum == 0;
}

static bool rsdp_is_valid(const struct acpi_rsdp *rsdp)
{
    if (memcmp(rsdp->signature, "RSD PTR ", 8) != 0 || !sums_to_zero(rsdp, 20))
        return false;
    return rsdp->revision < 2 || (rsdp->length >= sizeof *rsdp && sums_to_zero(rsdp, sizeof *rsdp));
}

/* Takes the RSDP from a range of low memory, where it stands at a multiple of 16. */
static bool find_rsdp(struct acpi_rsdp *rsdp, uint32_t start, uint32_t end)
{
    for (uint32_t at = start; at + sizeof *rsdp <= end; at += 16) {
        memcpy(rsdp, physical_to_kernel(at), sizeof *rsdp);
        if (rsdp->revision < 2 && memcmp(rsdp->signature, "RSD PTR ", 8) == 0)
            memset((char *)rsdp + 20, 0, sizeof *rsdp - 20);
        if (rsdp_is_valid(rsdp))
            return true;
    }
    return false;
}

/* The table at ADDRESS, or NULL where it is out of reach or damaged. */
static const struct acpi_header *table_at(uint64_t address)
{
    if (address == 0 || address > FOUR_GIB - sizeof(struct acpi_header))
        return NULL;

    const struct acpi_header *table = physical_to_kernel(address);
    if (table->length < sizeof *table || table->length > TABLE_SIZE_MAX || table->length > FOUR_GIB - address)
        return NULL;
    return sums_to_zero(table, table->length) ? table : NULL;
}

/* The first table with SIGNATURE that the root table lists, or NULL. */
static const struct acpi_header *find_table(const struct acpi_rsdp *rsdp, const char *signature)
{
    unsigned entry_size = rsdp->revision >= 2 && rsdp->xsdt ? 8 : 4;
    const struct acpi_header *root = table_at(entry_size == 8 ? rsdp->xsdt : rsdp->rsdt);

    if (!root || memcmp(root->signature, entry_size == 8 ? "XSDT" : "RSDT", 4) != 0) {
        entry_size = 4;
        root = table_at(rsdp->rsdt);
        if (!root || memcmp(root->signature, "RSDT", 4) != 0)
            return NULL;
    }
    for (uint32_t offset = sizeof *root; offset + entry_size <= root->length; offset += entry_size) {
        uint64_t address = 0;
        memcpy(&address, (const char *)root + offset, entry_size);
        const struct acpi_header *table = table_at(address);
        if (table && memcmp(table->signature, signature, 4) == 0)
            return table;
    }
    return NULL;
}

static void read_madt(struct acpi_info *acpi, const struct acpi_header *madt)
{
    const uint8_t *data = (const uint8_t *)madt;
    uint32_t offset = sizeof *madt + 8;

    if (madt->length < offset)
        return;
    memcpy(&acpi->local_apic, data + sizeof *madt, 4);
    while (madt->length - offset >= 2) {
        const uint8_t *entry = data + offset;
        uint8_t size = entry[1];

        if (size < 2 || size > madt->length - offset)
            return;
        if (entry[0] == MADT_LOCAL_APIC && size >= 8 && entry[4] & LOCAL_APIC_ENABLED) {
            if (acpi->cpu_count < CONFIG_MAX_NUM_NODES)
                acpi->cpu_apic_ids[acpi->cpu_count] = entry[3];
            acpi->cpu_count++;
        } else if (entry[0] == MADT_IOAPIC && size >= 12 && acpi->ioapic_count < CONFIG_MAX_NUM_IOAPIC) {
            memcpy(&acpi->ioapics[acpi->ioapic_count].address, entry + 4, 4);
            memcpy(&acpi->ioapics[acpi->ioapic_count].first_gsi, entry + 8, 4);
            acpi->ioapic_count++;
        } else if (entry[0] == MADT_LOCAL_APIC_ADDRESS && size >= 12) {
            uint64_t address;
            memcpy(&address, entry + 4, 8);
            if (address < FOUR_GIB)
                acpi->local_apic = (uint32_t)address;
        }
        offset += size;
    }
}

void acpi_read(struct acpi_info *acpi, struct loader_info *loader)
{
    const struct acpi_header *madt = NULL;

    memset(acpi, 0, sizeof *acpi);
    if (loader->has_rsdp && !rsdp_is_valid(&loader->rsdp)) {
        kernel_log("the boot loader's ACPI root pointer is damaged; looking for another one");
        loader->has_rsdp = false;
    }
    if (!loader->has_rsdp) {
        uint32_t ebda = *(volatile uint16_t *)physical_to_kernel(EBDA_SEGMENT_POINTER) * 16u;
        loader->has_rsdp = (ebda >= 0x80000 && ebda < 0xa0000 && find_rsdp(&loader->rsdp, ebda, ebda + 1024)) ||
                           find_rsdp(&loader->rsdp, BIOS_START, BIOS_END);
    }
    if (loader->has_rsdp) {
        madt = find_table(&loader->rsdp, "APIC");
        acpi->has_dmar = find_table(&loader->rsdp, "DMAR") != NULL;
    }
    if (madt)
        read_madt(acpi, madt);
    else
        kernel_log("no usable ACPI interrupt table (MADT): assuming one processor and the usual APIC addresses");

    if (acpi->local_apic == 0 || acpi->local_apic & 0xfff)
        acpi->local_apic = DEFAULT_LOCAL_APIC;
    if (acpi->ioapic_count == 0) {
        acpi->ioapics[0].address = DEFAULT_IOAPIC;
        acpi->ioapic_count = 1;
    }
    if (acpi->cpu_count == 0)
        acpi->cpu_count = 1;
}
