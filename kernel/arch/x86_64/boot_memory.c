#include <arch/x86_64/boot_memory.h>

#include <arch/x86_64/memory.h>
#include <lib/string.h>

uint64_t boot_memory_take(struct boot_memory *memory, uint64_t size, uint64_t alignment)
{
    uint64_t address;

    if (!regions_find_highest(&memory->free, size, alignment, &address) ||
        !regions_remove(&memory->free, address, address + size))
        return 0;
    memset(physical_to_kernel(address), 0, size);
    return address;
}
