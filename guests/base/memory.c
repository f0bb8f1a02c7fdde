/* Physical pages, and the page tables of the kernel and of user programs. */
#include "guests/base/kernel.h"

#define ENTRIES 512ul
#define LARGE_PAGE (2 * MIB)
#define DEVICES (KERNEL_BASE + GIB)
#define DEVICE_PAGES 64u

extern char text_start[], text_end[], constants_end[], image_end[];

struct memory_information memory;
uint64_t kernel_root, no_execute;

static uint64_t next_page, end_of_memory;
static void *free_pages;
static unsigned device_pages;

void *page_new(void)
{
    void *page = free_pages;

    if (page) {
        free_pages = *(void **)page;
    } else {
        if (next_page >= end_of_memory)
            return NULL;
        page = VIRTUAL(next_page);
        next_page += PAGE;
    }
    memory.free--;
    return memset(page, 0, PAGE);
}

void page_free(void *page)
{
    *(void **)page = free_pages;
    free_pages = page;
    memory.free++;
}

static unsigned index_of(uint64_t address, unsigned level)
{
    return address >> (12 + 9 * (level - 1)) & (ENTRIES - 1);
}

static uint64_t *walk(uint64_t root, uint64_t address, unsigned level, bool make, uint64_t flags)
{
    uint64_t *table = VIRTUAL(root);

    for (unsigned at = 4; at > level; at--) {
        uint64_t *entry = &table[index_of(address, at)];

        if (!(*entry & PTE_PRESENT)) {
            void *page = make ? page_new() : NULL;

            if (!page)
                return NULL;
            *entry = PHYSICAL(page) | flags;
        } else if (at < 4 && (*entry & PTE_LARGE)) {
            return NULL;
        }
        table = VIRTUAL(*entry & PTE_ADDRESS);
    }
    return &table[index_of(address, level)];
}

uint64_t *entry_of(uint64_t root, uint64_t address, unsigned level, uint64_t flags)
{
    return walk(root, address, level, true, flags);
}

uint64_t *find_entry(uint64_t root, uint64_t address, unsigned level)
{
    return walk(root, address, level, false, 0);
}

void map_page(uint64_t root, uint64_t address, uint64_t physical, uint64_t flags)
{
    uint64_t *entry = entry_of(root, address, 1, PTE_PRESENT | PTE_WRITE | (flags & PTE_USER));

    if (!entry) {
        print("# no memory for page tables\n");
        power_off();
    }
    *entry = physical | flags | PTE_PRESENT;
}

volatile void *map_device(uint64_t physical)
{
    uint64_t address = DEVICES + device_pages * PAGE;

    if (device_pages++ == DEVICE_PAGES)
        power_off();
    map_page(kernel_root, address, physical & ~(PAGE - 1), PTE_WRITE | PTE_UNCACHED | no_execute);
    return (volatile void *)(address + (physical & (PAGE - 1)));
}

static uint64_t image_flags(uint64_t address)
{
    if (address >= (uint64_t)text_start && address < (uint64_t)text_end)
        return PTE_GLOBAL;
    if (address >= (uint64_t)text_end && address < (uint64_t)constants_end)
        return PTE_GLOBAL | no_execute;
    return PTE_GLOBAL | PTE_WRITE | no_execute;
}

void memory_init(uint64_t from, uint64_t end)
{
    uint64_t physical = 0, image = PHYSICAL(image_end);

    next_page = from < image ? image : (from + PAGE - 1) & ~(PAGE - 1);
    end_of_memory = end & ~(PAGE - 1);
    memory.total = end;
    memory.pages = memory.free = (end_of_memory - next_page) / PAGE;
    no_execute = rdmsr(MSR_EFER) & EFER_NXE ? PTE_NX : 0;

    kernel_root = PHYSICAL(page_new());
    for (; physical < image || physical % LARGE_PAGE != 0; physical += PAGE)
        map_page(kernel_root, physical + KERNEL_BASE, physical, image_flags(physical + KERNEL_BASE));
    for (; physical < end; physical += LARGE_PAGE)
        *entry_of(kernel_root, physical + KERNEL_BASE, 2, PTE_PRESENT | PTE_WRITE) =
            physical | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_GLOBAL | no_execute;
    WRITE_CR(3, kernel_root);
}

uint64_t space_new(void)
{
    uint64_t *table = page_new();

    if (!table)
        return 0;
    memcpy(table, VIRTUAL(kernel_root), PAGE);
    table[USER_SLOT] = 0;
    return PHYSICAL(table);
}

static void free_table(uint64_t entry, unsigned level)
{
    uint64_t *table = VIRTUAL(entry & PTE_ADDRESS);

    for (unsigned i = 0; i < ENTRIES; i++) {
        if (!(table[i] & PTE_PRESENT))
            continue;
        if (level > 1)
            free_table(table[i], level - 1);
        else
            page_free(VIRTUAL(table[i] & PTE_ADDRESS));
    }
    page_free(table);
}

void space_free(uint64_t root)
{
    uint64_t *table = VIRTUAL(root);

    if (table[USER_SLOT] & PTE_PRESENT)
        free_table(table[USER_SLOT], 3);
    page_free(table);
}
