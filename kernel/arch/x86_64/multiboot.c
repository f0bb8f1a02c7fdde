/* Multiboot 1 (0.6.96) and Multiboot 2 (2.0). The structures are the loader's word for what the machine has, so their
 * contents are believed, but lengths and counts are checked. */
#include <arch/x86_64/loader_info.h>

#include <arch/x86_64/console.h>
#include <arch/x86_64/memory.h>
#include <lib/string.h>

#define LOADER_MAGIC_1 0x2badb002
#define LOADER_MAGIC_2 0x36d76289

#define PAGE     4096ul
#define FOUR_GIB 0x100000000ul
#define LOW_END  0x100000ul

struct multiboot1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, command_line, module_count, modules;
    uint32_t symbols[4];
    uint32_t map_length, map;
    uint32_t drives_length, drives, configuration, loader_name, apm;
    uint32_t vbe_control, vbe_mode_info;
    uint16_t vbe_mode, vbe_interface_segment, vbe_interface_offset, vbe_interface_length;
    uint64_t framebuffer;
    uint32_t framebuffer_pitch, framebuffer_width, framebuffer_height;
    uint8_t framebuffer_bpp, framebuffer_type;
} __attribute__((packed));

#define INFO_MEMORY      (1u << 0)
#define INFO_MODULES     (1u << 3)
#define INFO_MAP         (1u << 6)
#define INFO_VBE         (1u << 11)
#define INFO_FRAMEBUFFER (1u << 12)

struct multiboot1_module {
    uint32_t start, end, name, reserved;
};

struct multiboot2_tag {
    uint32_t type, size;
};

enum multiboot2_type {
    TAG_END = 0,
    TAG_MODULE = 3,
    TAG_MAP = 6,
    TAG_VBE = 7,
    TAG_FRAMEBUFFER = 8,
    TAG_ACPI_1 = 14,
    TAG_ACPI_2 = 15,
};

/* SIZE bytes at a physical address given by the loader, or NULL where they cannot be there. */
static const void *loader_data(uint64_t address, uint64_t size)
{
    if (address == 0 || address >= FOUR_GIB || size > FOUR_GIB - address)
        return NULL;
    return physical_to_kernel(address);
}

static void copy_name(char *to, unsigned room, const char *from, uint64_t available)
{
    unsigned length = 0;

    while (from && length + 1 < room && length < available && from[length]) {
        to[length] = from[length] >= ' ' && from[length] <= '~' ? from[length] : '?';
        length++;
    }
    to[length] = '\0';
}

/* Keeps the first module; the others are only counted. */
static void note_module(struct loader_info *info, uint32_t start, uint32_t end, const char *name, uint64_t name_room)
{
    if (info->module_count++ != 0)
        return;
    info->module = (struct region) { start, end };
    copy_name(info->module_name, sizeof info->module_name, name, name_room);
}

/* RAM is added first and everything else taken out afterwards, so that overlapping entries leave no doubtful RAM. */
static void note_range(struct loader_info *info, uint64_t base, uint64_t length, uint32_t type, bool removing)
{
    uint64_t end = base + length;

    if (end < base)
        end = UINT64_MAX;
    if (!removing) {
        if (info->map_count < SEL4_MULTIBOOT_MAX_MMAP_ENTRIES)
            info->map[info->map_count] =
                (seL4_X86_mb_mmap_t) { .size = 20, .base_addr = base, .length = length, .type = type };
        info->map_count++;
    }
    if (removing == (type == SEL4_MULTIBOOT_RAM_REGION_TYPE))
        return;

    bool fits;
    if (removing) {
        fits = regions_remove(&info->ram, base & ~(PAGE - 1), end > UINT64_MAX - PAGE ? end : (end + PAGE - 1) & ~(PAGE - 1));
    } else {
        if (base < LOW_END)
            base = LOW_END;
        fits = regions_add(&info->ram, (base + PAGE - 1) & ~(PAGE - 1), end & ~(PAGE - 1));
    }
    if (!fits)
        kernel_log("memory range 0x%lx-0x%lx of type %u dropped: the memory map has too many pieces", base, end, type);
}

static bool read_multiboot1(struct loader_info *info, uint32_t address)
{
    const struct multiboot1_info *mb = loader_data(address, sizeof *mb);

    if (!mb) {
        kernel_log("the Multiboot information at 0x%x is out of reach", address);
        return false;
    }

    if (mb->flags & INFO_MODULES) {
        const struct multiboot1_module *modules =
            loader_data(mb->modules, (uint64_t)mb->module_count * sizeof *modules);
        for (uint32_t i = 0; modules && i < mb->module_count; i++)
            note_module(info, modules[i].start, modules[i].end, loader_data(modules[i].name, 1),
                        FOUR_GIB - modules[i].name);
    }

    const uint8_t *map = mb->flags & INFO_MAP ? loader_data(mb->map, mb->map_length) : NULL;
    for (unsigned pass = 0; map && pass < 2; pass++) {
        uint32_t offset = 0;
        while (mb->map_length - offset >= sizeof(seL4_X86_mb_mmap_t)) {
            seL4_X86_mb_mmap_t entry;
            memcpy(&entry, map + offset, sizeof entry);
            if (entry.size < 20 || entry.size > mb->map_length - offset - 4)
                break;
            note_range(info, entry.base_addr, entry.length, entry.type, pass == 1);
            offset += entry.size + 4;
        }
    }
    if (!map && mb->flags & INFO_MEMORY)
        note_range(info, LOW_END, (uint64_t)mb->mem_upper << 10, SEL4_MULTIBOOT_RAM_REGION_TYPE, false);

    if (mb->flags & INFO_VBE) {
        const void *control = loader_data(mb->vbe_control, sizeof info->vbe.control);
        const void *mode_info = loader_data(mb->vbe_mode_info, sizeof info->vbe.mode_info);
        if (control && mode_info) {
            memcpy(info->vbe.control, control, sizeof info->vbe.control);
            memcpy(info->vbe.mode_info, mode_info, sizeof info->vbe.mode_info);
            info->vbe.mode = mb->vbe_mode;
            info->vbe.interface_segment = mb->vbe_interface_segment;
            info->vbe.interface_offset = mb->vbe_interface_offset;
            info->vbe.interface_length = mb->vbe_interface_length;
            info->has_vbe = true;
        }
    }
    if (mb->flags & INFO_FRAMEBUFFER && mb->framebuffer) {
        info->framebuffer = (seL4_X86_BootInfo_fb_t) {
            .addr = mb->framebuffer, .pitch = mb->framebuffer_pitch, .width = mb->framebuffer_width,
            .height = mb->framebuffer_height, .bpp = mb->framebuffer_bpp, .type = mb->framebuffer_type,
        };
        info->has_framebuffer = true;
    }
    return true;
}

static void read_map_tag(struct loader_info *info, const uint8_t *body, uint32_t size)
{
    uint32_t entry_size;

    if (size < 8)
        return;
    memcpy(&entry_size, body, 4);
    if (entry_size < 24)
        return;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint32_t offset = 8; offset <= size && size - offset >= entry_size; offset += entry_size) {
            struct { uint64_t base, length; uint32_t type, reserved; } entry;
            memcpy(&entry, body + offset, sizeof entry);
            note_range(info, entry.base, entry.length, entry.type, pass == 1);
        }
    }
}

static void read_tag(struct loader_info *info, uint32_t type, const uint8_t *body, uint32_t size)
{
    switch (type) {
    case TAG_MODULE: {
        uint32_t range[2];
        if (size < sizeof range)
            break;
        memcpy(range, body, sizeof range);
        note_module(info, range[0], range[1], (const char *)body + sizeof range, size - sizeof range);
        break;
    }
    case TAG_MAP:
        read_map_tag(info, body, size);
        break;
    case TAG_VBE:
        if (size < 8 + sizeof info->vbe.control + sizeof info->vbe.mode_info)
            break;
        info->vbe.mode = (uint32_t)(body[0] | body[1] << 8);
        info->vbe.interface_segment = (uint32_t)(body[2] | body[3] << 8);
        info->vbe.interface_offset = (uint32_t)(body[4] | body[5] << 8);
        info->vbe.interface_length = (uint32_t)(body[6] | body[7] << 8);
        memcpy(info->vbe.control, body + 8, sizeof info->vbe.control);
        memcpy(info->vbe.mode_info, body + 8 + sizeof info->vbe.control, sizeof info->vbe.mode_info);
        info->has_vbe = true;
        break;
    case TAG_FRAMEBUFFER:
        if (size < sizeof info->framebuffer)
            break;
        memcpy(&info->framebuffer, body, sizeof info->framebuffer);
        info->has_framebuffer = info->framebuffer.addr != 0;
        break;
    case TAG_ACPI_1:
    case TAG_ACPI_2:
        if (size < 20 || (type == TAG_ACPI_1 && info->has_rsdp))
            break;
        memset(&info->rsdp, 0, sizeof info->rsdp);
        memcpy(&info->rsdp, body, type == TAG_ACPI_1 ? 20 : size < sizeof info->rsdp ? size : sizeof info->rsdp);
        info->has_rsdp = true;
        break;
    }
}

static bool read_multiboot2(struct loader_info *info, uint32_t address)
{
    const uint32_t *head = loader_data(address, 8);
    const uint8_t *data = head ? loader_data(address, head[0]) : NULL;

    if (!data || head[0] < 8) {
        kernel_log("the Multiboot 2 information at 0x%x is out of reach", address);
        return false;
    }

    uint32_t total = head[0], offset = 8;
    while (offset <= total && total - offset >= sizeof(struct multiboot2_tag)) {
        struct multiboot2_tag tag;
        memcpy(&tag, data + offset, sizeof tag);
        if (tag.type == TAG_END)
            break;
        if (tag.size < sizeof tag || tag.size > total - offset) {
            kernel_log("the Multiboot 2 tag of type %u at offset %u has a bad size of %u", tag.type, offset, tag.size);
            return false;
        }
        read_tag(info, tag.type, data + offset + sizeof tag, tag.size - (uint32_t)sizeof tag);
        offset += (tag.size + 7) & ~7u;
    }
    return true;
}

bool loader_info_read(struct loader_info *info, uint32_t magic, uint32_t information)
{
    bool read;

    memset(info, 0, sizeof *info);
    if (magic == LOADER_MAGIC_1) {
        info->multiboot = 1;
        read = read_multiboot1(info, information);
    } else if (magic == LOADER_MAGIC_2) {
        info->multiboot = 2;
        read = read_multiboot2(info, information);
    } else {
        kernel_log("the boot loader is neither Multiboot 1 nor 2 (magic 0x%x); use GRUB, or QEMU's -kernel", magic);
        read = false;
    }
    if (!read)
        return false;

    if (info->map_count > SEL4_MULTIBOOT_MAX_MMAP_ENTRIES) {
        kernel_log("the memory map has %u entries; the root task is told the first %u", info->map_count,
                   SEL4_MULTIBOOT_MAX_MMAP_ENTRIES);
        info->map_count = SEL4_MULTIBOOT_MAX_MMAP_ENTRIES;
    }
    if (info->module_count == 0) {
        kernel_log("the boot loader passed no module; give the root task's ELF file as the module (QEMU: -initrd)");
        return false;
    }
    if (info->module_count > 1)
        kernel_log("%u modules; the first one is the root task, the others are ignored", info->module_count);
    if (info->module.start >= info->module.end) {
        kernel_log("module \"%s\" is empty", info->module_name);
        return false;
    }
    if (info->ram.count == 0) {
        kernel_log("the boot loader reported no memory above 1 MiB");
        return false;
    }
    return true;
}
