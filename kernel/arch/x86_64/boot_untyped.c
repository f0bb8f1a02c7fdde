/* Physical memory as untypeds: pieces of a power of two, aligned to their size. */
#include <arch/x86_64/boot_root.h>

#include <arch/x86_64/console.h>

#define NO_ROOM "the memory map has too many pieces"

/* log2 of the largest untyped that can begin at START and ends at or before END. */
static unsigned piece_bits(uint64_t start, uint64_t end)
{
    unsigned bits = 63 - (unsigned)__builtin_clzl(end - start);

    if (bits > seL4_MaxUntypedBits)
        bits = seL4_MaxUntypedBits;
    if (start != 0 && bits > (unsigned)__builtin_ctzl(start))
        bits = (unsigned)__builtin_ctzl(start);
    return bits;
}

/* How many untypeds of at least 2^MIN_BITS bytes the regions make. */
static unsigned count_pieces(const struct regions *regions, unsigned min_bits)
{
    unsigned count = 0;

    for (unsigned i = 0; i < regions->count; i++) {
        struct region region = regions->list[i];

        while (region.start < region.end) {
            unsigned bits = piece_bits(region.start, region.end);
            count += bits >= min_bits;
            region.start += 1ul << bits;
        }
    }
    return count;
}

/* Answers how many bytes were left out because they lie in smaller pieces. */
static uint64_t provide_pieces(struct root_task *root, const struct regions *regions, bool device, unsigned min_bits)
{
    uint64_t left_out = 0;

    for (unsigned i = 0; i < regions->count; i++) {
        struct region region = regions->list[i];

        while (region.start < region.end) {
            unsigned bits = piece_bits(region.start, region.end);

            if (bits >= min_bits) {
                seL4_BootInfo *info = root->info;

                info->untypedList[root->next_slot - info->untyped.start] = (seL4_UntypedDesc) {
                    .paddr = region.start,
                    .sizeBits = (seL4_Uint8)bits,
                    .isDevice = device,
                };
                /* Counts as handed out entirely, so that it is zeroed before its first use. */
                root_task_provide(root, cap_untyped(region.start, bits, device, 1ul << bits));
            } else {
                left_out += 1ul << bits;
            }
            region.start += 1ul << bits;
        }
    }
    return left_out;
}

static void remove_all(struct regions *from, const struct regions *what)
{
    for (unsigned i = 0; i < what->count; i++)
        if (!regions_remove(from, what->list[i].start, what->list[i].end))
            kernel_panic("the system cannot start: " NO_ROOM);
}

void untypeds_create(struct root_task *root)
{
    const struct boot_memory *memory = &root->boot->memory;
    struct regions devices = { .count = 1, .list = { { 0, CONFIG_PADDR_USER_DEVICE_TOP } } };
    unsigned min_bits = seL4_MinUntypedBits;

    remove_all(&devices, &memory->ram);
    remove_all(&devices, &memory->devices);

    /* Bootinfo has room for so many; where there are more, the smallest ones are given up. */
    while (count_pieces(&devices, min_bits) + count_pieces(&memory->free, min_bits)
           > CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS)
        min_bits++;

    root->info->untyped.start = root->next_slot;
    uint64_t device_loss = provide_pieces(root, &devices, true, min_bits);
    uint64_t loss = provide_pieces(root, &memory->free, false, min_bits);
    root->info->untyped.end = root->next_slot;
    if (device_loss || loss)
        kernel_log("memory in too many pieces for bootinfo: %lu KiB of RAM and %lu KiB of device memory left out",
                   loss / 1024, device_loss / 1024);
}
