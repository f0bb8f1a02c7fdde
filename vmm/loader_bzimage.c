/* bzImages: the compressed kernel goes to memory as it is and unpacks itself there.
 * (Linux, Documentation/arch/x86/boot.rst) */
#include "vmm/loader_parts.h"

#include <stddef.h>
#include <string.h>

#define HEADER_AT         offsetof(struct boot_params, hdr) /* the same in the file */
#define HEADER_MAGIC_AT   (HEADER_AT + offsetof(struct setup_header, header))
#define HEADER_JUMP_AT    (HEADER_AT + offsetof(struct setup_header, jump) + 1)
#define HEADER_ROOM_END   offsetof(struct boot_params, edd_mbr_sig_buffer)
#define BOOT_FLAG         0xaa55u
#define HEADER_MAGIC      "HdrS"
#define SECTOR            512u
#define PROTOCOL_NEEDED   0x020cu /* the first with xloadflags */
#define ENTRY_64_BIT      0x200u
#define HEADER_BYTES_NEEDED (offsetof(struct setup_header, init_size) + sizeof(uint32_t))

bool loader_is_bzimage(const uint8_t *image, uint64_t bytes)
{
    return bytes >= HEADER_MAGIC_AT + 4 && memcmp(image + HEADER_MAGIC_AT, HEADER_MAGIC, 4) == 0;
}

/* Where in memory the kernel finds room for SIZE bytes: where it wants to be or, if it can be moved, further up. */
static const char *choose_address(struct loading *loading, const struct setup_header *header, uint64_t size,
                                  uint64_t *address)
{
    const struct guest_memory *memory = loading->memory;
    uint64_t wanted = header->pref_address, alignment = header->kernel_alignment;

    *address = wanted;
    if (wanted >= HIGH_MEMORY && guest_memory_at(memory, wanted, size))
        return NULL;
    if (!header->relocatable_kernel)
        return loader_check_range(loading, wanted, wanted + size);
    if (alignment == 0 || (alignment & (alignment - 1)))
        return loader_refuse(loading, "the kernel is damaged: an alignment of %#lx; expected a power of two",
                             alignment);
    /* Below where it wants to be is no use: it would move itself up there. (A region's end fits 64 bits.) */
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_region *region = &memory->region[i];
        uint64_t lowest = region->start > wanted ? region->start : wanted;
        uint64_t start = (lowest + alignment - 1) & ~(alignment - 1);

        if (region->start >= FOUR_GIB && !(header->xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G))
            continue;
        if (start >= lowest && start >= HIGH_MEMORY && guest_memory_at(memory, start, size)) {
            *address = start;
            return NULL;
        }
    }
    return loader_check_range(loading, wanted, wanted + size);
}

const char *loader_load_bzimage(struct loading *loading)
{
    const uint8_t *image = loading->request->kernel;
    uint64_t length = loading->request->kernel_bytes;
    struct setup_header header = { 0 };

    if (loading->request->choice == BOOT_CHOICE_PVH)
        return loader_refuse(loading, "the kernel is a bzImage, which has no PVH entry; expected boot = \"linux64\" or "
                             "the ELF file (vmlinux) inside it");
    if (length < HEADER_AT + sizeof header)
        return loader_refuse(loading, "the kernel is truncated: %lu bytes, too few for the header of a bzImage",
                             length);
    memcpy(&header, image + HEADER_AT, sizeof header);
    if (header.boot_flag != BOOT_FLAG)
        return loader_refuse(loading, "the kernel is damaged: a bzImage with boot flag %#x; expected 0xaa55",
                             header.boot_flag);
    if (header.version < PROTOCOL_NEEDED)
        return loader_refuse(loading, "the kernel is a bzImage of boot protocol %u.%02u; expected 2.12 (Linux 3.8) or "
                             "newer", header.version >> 8, header.version & 0xff);
    if (!(header.xloadflags & XLF_KERNEL_64))
        return loader_refuse(loading, "the kernel is a bzImage without a 64-bit entry; expected a 64-bit kernel");

    uint64_t header_end = HEADER_MAGIC_AT + image[HEADER_JUMP_AT];
    if (header_end < HEADER_AT + HEADER_BYTES_NEEDED || header_end > HEADER_ROOM_END)
        return loader_refuse(loading, "the kernel is damaged: a bzImage whose header ends at %#lx",
                             header_end);

    uint64_t setup_bytes = ((header.setup_sects ? header.setup_sects : 4u) + 1u) * (uint64_t)SECTOR;
    uint64_t payload_bytes = header.syssize * UINT64_C(16);
    if (header_end > length || setup_bytes > length || payload_bytes > length - setup_bytes)
        return loader_refuse(loading, "the kernel is truncated: a bzImage of %lu bytes; expected %lu",
                             length, (setup_bytes + payload_bytes));
    if (payload_bytes <= ENTRY_64_BIT)
        return loader_refuse(loading, "the kernel is damaged: a bzImage with %lu bytes of code",
                             payload_bytes);

    uint64_t address, size = payload_bytes > header.init_size ? payload_bytes : header.init_size;
    const char *refusal = choose_address(loading, &header, size, &address);
    if (refusal)
        return refusal;
    loading->kernel = (struct loaded_kernel) {
        .start = address,
        .end = address + size,
        .entry = address + ENTRY_64_BIT,
        .initrd_end = header.initrd_addr_max + UINT64_C(1),
        .initrd_above_4g = header.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G,
        .cmdline_max = header.cmdline_size,
        .setup_header = image + HEADER_AT,
        .setup_header_bytes = (uint32_t)(header_end - HEADER_AT),
    };
    guest_memory_write(loading->memory, address, image + setup_bytes, payload_bytes);
    return NULL;
}
