#include "vmm/loader.h"
#include "vmm/loader_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PAGE UINT64_C(4096)
#define MIB  (UINT64_C(1) << 20)

const char *loader_refuse(struct loading *loading, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(loading->message, LOADER_MESSAGE_BYTES, format, arguments);
    va_end(arguments);
    return loading->message;
}

uint64_t mib_needed(uint64_t bytes)
{
    return bytes / MIB + (bytes % MIB != 0);
}

uint64_t mib_there(uint64_t bytes)
{
    return bytes / MIB;
}

const char *loader_check_range(struct loading *loading, uint64_t start, uint64_t end)
{
    const struct guest_memory *memory = loading->memory;

    if (end < start)
        return loader_refuse(loading, "the kernel is damaged: a part of it at %#lx is so large that its end wraps "
                             "around", start);
    if (start < HIGH_MEMORY)
        return loader_refuse(loading, "the kernel wants memory at %#lx; expected nothing below 0x100000, where boot "
                             "information and ACPI tables are", start);
    if (guest_memory_at(memory, start, end - start))
        return NULL;
    return loader_refuse(loading, "the kernel needs memory up to %lu MiB, and this VM has %lu MiB%s",
                         mib_needed(end), mib_there(memory->region[0].length),
                         memory->count > 1 ? " in its first region" : "");
}

unsigned loader_memory_map(const struct guest_memory *memory, struct memory_range range[MEMORY_RANGES_MAX])
{
    unsigned count = 0;

    range[count++] = (struct memory_range) { 0, LOW_MEMORY_END, MEMORY_RAM };
    range[count++] = (struct memory_range) { LOW_MEMORY_END, HIGH_MEMORY - LOW_MEMORY_END, MEMORY_RESERVED };
    for (unsigned i = 0; i < memory->count; i++) {
        uint64_t start = memory->region[i].start, skip = start == 0 ? HIGH_MEMORY : 0;

        range[count++] = (struct memory_range) { start + skip, memory->region[i].length - skip, MEMORY_RAM };
    }
    return count;
}

/* Text about a file that is no kernel image, from its first bytes. */
static const char *refuse_unknown(struct loading *loading)
{
    static const struct {
        const char *magic, *name;
    } compressed[] = {
        { "\x1f\x8b", "gzip" }, { "\xfd" "7zXZ", "xz" }, { "\x28\xb5\x2f\xfd", "zstd" }, { "BZh", "bzip2" },
        { "\x02\x21\x4c\x18", "lz4" }, { "\x04\x22\x4d\x18", "lz4" },
    };
    const uint8_t *image = loading->request->kernel;
    uint64_t bytes = loading->request->kernel_bytes;

    for (size_t i = 0; i < sizeof compressed / sizeof compressed[0]; i++) {
        size_t length = strlen(compressed[i].magic);

        if (bytes >= length && memcmp(image, compressed[i].magic, length) == 0)
            return loader_refuse(loading, "the kernel file is compressed with %s; expected an ELF file or a bzImage: "
                                 "decompress it", compressed[i].name);
    }
    if (bytes < 4)
        return loader_refuse(loading, "the kernel file has %lu bytes; expected an ELF file or a bzImage",
                             bytes);
    return loader_refuse(loading, "the kernel file begins with bytes %02x %02x %02x %02x; expected an ELF file or a "
                         "bzImage", image[0], image[1], image[2], image[3]);
}

/* The highest page in the region, below LIMIT, from which on the initrd finds room and misses the kernel; 0: none. */
static uint64_t room_in(const struct guest_region *region, uint64_t limit, uint64_t bytes,
                        const struct loaded_kernel *kernel)
{
    uint64_t bottom = region->start > HIGH_MEMORY ? region->start : HIGH_MEMORY;
    uint64_t top = region->start + region->length;

    if (top > limit)
        top = limit;
    /* First against the top, then below the kernel. */
    for (int below_kernel = 0; below_kernel < 2; below_kernel++) {
        if (below_kernel && top > kernel->start)
            top = kernel->start;
        if (top < bottom || top - bottom < bytes)
            return 0;
        uint64_t start = (top - bytes) & ~(PAGE - 1);
        if (start >= bottom && (start >= kernel->end || start + bytes <= kernel->start))
            return start;
    }
    return 0;
}

static const char *place_initrd(struct loading *loading)
{
    const struct guest_memory *memory = loading->memory;
    const struct boot_request *request = loading->request;
    const struct loaded_kernel *kernel = &loading->kernel;
    uint64_t limit = kernel->initrd_end < FOUR_GIB ? kernel->initrd_end : FOUR_GIB;

    if (request->initrd_bytes == 0)
        return NULL;
    for (unsigned i = 0; i < memory->count && !loading->initrd; i++) {
        bool high = memory->region[i].start >= FOUR_GIB;

        if (!high || kernel->initrd_above_4g)
            loading->initrd = room_in(&memory->region[i], high ? UINT64_MAX : limit, request->initrd_bytes, kernel);
    }
    if (!loading->initrd)
        return loader_refuse(loading, "the initrd needs %lu MiB, for which the VM's memory (%lu MiB, %lu MiB below "
                             "4 GiB) has no room beside the kernel",
                             mib_needed(request->initrd_bytes),
                             mib_there(guest_memory_bytes(memory)),
                             mib_there(memory->region[0].length));
    guest_memory_write(memory, loading->initrd, request->initrd, request->initrd_bytes);
    return NULL;
}

static const char *place_cmdline(struct loading *loading)
{
    const char *cmdline = loading->request->cmdline ? loading->request->cmdline : "";
    uint32_t most = loading->kernel.cmdline_max < CMDLINE_MAX ? loading->kernel.cmdline_max : CMDLINE_MAX;
    size_t length = strnlen(cmdline, CMDLINE_MAX + 1);

    if (length > CMDLINE_MAX)
        return loader_refuse(loading, "the command line has more than %u bytes; expected %u at most", CMDLINE_MAX,
                             most);
    if (length > most)
        return loader_refuse(loading, "the command line has %zu bytes; expected %u at most, by what this kernel says",
                             length, most);
    guest_memory_write(loading->memory, LOADER_CMDLINE, cmdline, length + 1);
    return NULL;
}

static const char *choose_protocol(struct loading *loading, enum boot_protocol *protocol)
{
    bool has_pvh = loading->kernel.pvh_entry != 0;

    switch (loading->request->choice) {
    case BOOT_CHOICE_PVH:
        if (!has_pvh)
            return loader_refuse(loading, "the kernel has no PVH entry (ELF note of Xen, type 18); expected one with "
                                 "boot = \"pvh\"");
        *protocol = BOOT_PVH;
        return NULL;
    case BOOT_CHOICE_LINUX64:
        *protocol = BOOT_LINUX64;
        return NULL;
    default:
        *protocol = has_pvh ? BOOT_PVH : BOOT_LINUX64;
        return NULL;
    }
}

static const char *load_kernel(struct loading *loading)
{
    const struct boot_request *request = loading->request;

    if (!request->kernel || request->kernel_bytes == 0)
        return loader_refuse(loading, "the kernel file is empty; expected an ELF file or a bzImage");
    if (loader_is_bzimage(request->kernel, request->kernel_bytes))
        return loader_load_bzimage(loading);
    if (loader_is_elf(request->kernel, request->kernel_bytes))
        return loader_load_elf(loading);
    return refuse_unknown(loading);
}

const char *loader_load(const struct guest_memory *memory, const struct boot_request *request, struct boot_state *state,
                        char message[LOADER_MESSAGE_BYTES])
{
    struct loading loading = { .memory = memory, .request = request, .message = message };
    const char *refusal;

    *state = (struct boot_state) { 0 };
    if (memory->count == 0 || !guest_memory_at(memory, 0, 2 * HIGH_MEMORY))
        return loader_refuse(&loading, "the VM has %lu KiB of memory; expected 2 MiB at least, from address 0 on",
                             (guest_memory_bytes(memory) >> 10));
    refusal = load_kernel(&loading);
    if (!refusal)
        refusal = choose_protocol(&loading, &state->protocol);
    if (!refusal)
        refusal = place_cmdline(&loading);
    if (!refusal)
        refusal = place_initrd(&loading);
    if (refusal)
        return refusal;
    return state->protocol == BOOT_PVH ? loader_prepare_pvh(&loading, state) : loader_prepare_linux64(&loading, state);
}
