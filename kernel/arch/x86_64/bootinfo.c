/* The records behind bootinfo, in the order in which upstream has them, ours last. */
#include <arch/x86_64/boot_root.h>

#include <lib/string.h>
#include <object/vcpu.h>
#include <object/virtualization.h>
#include <sel4/beaml4.h>

struct writer {
    uint8_t *buffer; /* NULL: only count */
    uint64_t length;
};

static void write_bytes(struct writer *writer, const void *bytes, uint64_t size)
{
    if (writer->buffer)
        memcpy(writer->buffer + writer->length, bytes, size);
    writer->length += size;
}

static void write_record(struct writer *writer, seL4_Word id, const void *body, uint64_t size)
{
    seL4_BootInfoHeader header = { .id = id, .len = sizeof header + size };

    write_bytes(writer, &header, sizeof header);
    write_bytes(writer, body, size);
}

static void write_memory_map(struct writer *writer, const struct loader_info *loader)
{
    seL4_X86_BootInfo_mmap_t record = {
        .header = { .id = SEL4_BOOTINFO_HEADER_X86_MBMMAP, .len = sizeof record },
        .mmap_length = loader->map_count * (seL4_Uint32)sizeof record.mmap[0],
    };

    memcpy(record.mmap, loader->map, loader->map_count * sizeof record.mmap[0]);
    write_bytes(writer, &record, sizeof record);
}

/* Upstream's records have any size. Ours begins at a multiple of 8. */
static void write_padding(struct writer *writer)
{
    static const uint8_t zeros[8];

    write_record(writer, SEL4_BOOTINFO_HEADER_PADDING, zeros, (0 - writer->length) % 8);
}

static void write_own(struct writer *writer, const struct boot *boot)
{
    seL4_BootInfo_beaml4_t record = {
        .header = { .id = SEL4_BOOTINFO_HEADER_BEAML4, .len = sizeof record },
        .version = SEL4_BEAML4_VERSION,
        .features = (vcpu_available() ? virtualization()->feature | SEL4_BEAML4_VMENTER_REGISTERS : 0)
            | SEL4_BEAML4_FOREIGN | SEL4_BEAML4_HIGH_HALF | SEL4_BEAML4_SHADOW,
        .tsc_hz = boot->clock.tsc_hz,
    };
    const char *reason = vcpu_available() ? "" : vcpu_unavailable_reason();

    for (unsigned i = 0; i + 1 < sizeof record.vtx_reason && reason[i]; i++)
        record.vtx_reason[i] = reason[i];
    write_bytes(writer, &record, sizeof record);
}

uint64_t bootinfo_write_records(const struct boot *boot, uint8_t *buffer)
{
    const struct loader_info *loader = &boot->loader;
    struct writer writer = { .buffer = buffer };
    seL4_Uint32 tsc_mhz = (seL4_Uint32)(boot->clock.tsc_hz / 1000000);

    if (loader->has_vbe)
        write_record(&writer, SEL4_BOOTINFO_HEADER_X86_VBE, &loader->vbe, sizeof loader->vbe);
    if (loader->has_rsdp)
        write_record(&writer, SEL4_BOOTINFO_HEADER_X86_ACPI_RSDP, &loader->rsdp, sizeof loader->rsdp);
    if (loader->has_framebuffer)
        write_record(&writer, SEL4_BOOTINFO_HEADER_X86_FRAMEBUFFER, &loader->framebuffer, sizeof loader->framebuffer);
    write_memory_map(&writer, loader);
    write_record(&writer, SEL4_BOOTINFO_HEADER_X86_TSC_FREQ, &tsc_mhz, sizeof tsc_mhz);
    write_padding(&writer);
    write_own(&writer, boot);
    return writer.length;
}
