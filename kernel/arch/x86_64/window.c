#include <arch/x86_64/window.h>

#include <stddef.h>
#include <arch/x86_64/console.h>
#include <arch/x86_64/memory.h>
#include <arch/x86_64/stacks.h>
#include <arch/x86_64/x86.h>
#include <lib/string.h>

#define PAGE      0x1000ul
#define LARGE     0x200000ul
#define HUGE      0x40000000ul
#define FOUR_GIB  0x100000000ul
#define LOW_END   0x100000ul

#define PTE_PRESENT       (1ul << 0)
#define PTE_WRITABLE      (1ul << 1)
#define PTE_WRITE_THROUGH (1ul << 3)
#define PTE_UNCACHED      (1ul << 4)
#define PTE_LARGE         (1ul << 7)
#define PTE_GLOBAL        (1ul << 8)
#define PTE_NO_EXECUTE    (1ul << 63)

#define TABLE  (PTE_PRESENT | PTE_WRITABLE)
#define DATA   (PTE_PRESENT | PTE_WRITABLE | PTE_GLOBAL | PTE_NO_EXECUTE)
#define RODATA (PTE_PRESENT | PTE_GLOBAL | PTE_NO_EXECUTE)
#define TEXT   (PTE_PRESENT | PTE_GLOBAL)
#define DEVICE (DATA | PTE_UNCACHED | PTE_WRITE_THROUGH)

/* The image lies in the first two 2 MiB pages (the linker script asserts it), which are mapped by small ones. */
#define IMAGE_TABLES 2

typedef uint64_t page_table[512] __attribute__((aligned(4096)));

/* Page tables are hardware structures, shared by all CPUs. */
static page_table window_pml4 __attribute__((section(".bss.pages")));
static page_table window_pdpt __attribute__((section(".bss.pages")));
static page_table low_directories[4] __attribute__((section(".bss.pages")));
static page_table image_tables[IMAGE_TABLES] __attribute__((section(".bss.pages")));
static page_table device_directory __attribute__((section(".bss.pages")));
static page_table device_table __attribute__((section(".bss.pages")));

extern char kernel_text_start[], kernel_rodata_start[], kernel_data_start[], kernel_image_end[];

uint64_t window_pml4_entry(void)
{
    return window_pml4[KERNEL_WINDOW_SLOT];
}

uint64_t window_root(void)
{
    return kernel_to_physical(window_pml4);
}

static bool covers(const struct regions *ram, uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < ram->count; i++)
        if (ram->list[i].start <= start && ram->list[i].end >= end)
            return true;
    return false;
}

static bool touches(const struct regions *ram, uint64_t start, uint64_t end)
{
    for (unsigned i = 0; i < ram->count; i++)
        if (ram->list[i].start < end && ram->list[i].end > start)
            return true;
    return false;
}

/* How the page of the image's two large pages at ADDRESS is mapped. */
static uint64_t image_page(const struct regions *ram, uint64_t address)
{
    uint64_t pointer = KERNEL_WINDOW + address;

    if (address < LOW_END || !touches(ram, address, address + PAGE) || stack_is_guard_page(pointer))
        return 0;
    if (pointer < (uint64_t)kernel_text_start)
        return address | RODATA;
    if (pointer < (uint64_t)kernel_rodata_start)
        return address | TEXT;
    if (pointer < (uint64_t)kernel_data_start)
        return address | RODATA;
    return address | DATA;
}

/* The directory of a GiB, in a page out of FREE for those above the first four, which the boot tables map already. */
static uint64_t *new_directory(uint64_t gib, struct regions *free)
{
    uint64_t address;

    if (gib < 4)
        return low_directories[gib];
    if (!regions_find_lowest(free, LOW_END, PAGE, PAGE, &address) || address >= FOUR_GIB ||
        !regions_remove(free, address, address + PAGE))
        return NULL;
    return memset(physical_to_kernel(address), 0, PAGE);
}

static bool map_gib(uint64_t gib, const struct regions *ram, struct regions *free)
{
    uint64_t base = gib * HUGE;
    uint64_t *directory = new_directory(gib, free);

    if (!directory) {
        kernel_log("no memory below 4 GiB for the page tables of RAM above it");
        return false;
    }
    for (unsigned i = 0; i < 512; i++) {
        uint64_t start = base + i * LARGE;
        if (start < IMAGE_TABLES * LARGE)
            directory[i] = kernel_to_physical(image_tables[i]) | TABLE;
        else if (touches(ram, start, start + LARGE))
            directory[i] = start | DATA | PTE_LARGE;
    }
    window_pdpt[gib] = kernel_to_physical(directory) | TABLE;
    return true;
}

bool window_init(const struct regions *ram, struct regions *free)
{
    bool huge_pages = cpuid_checked(0x80000001, 0).edx >> 26 & 1;

    for (unsigned i = 0; i < IMAGE_TABLES * 512; i++)
        image_tables[i / 512][i % 512] = image_page(ram, i * PAGE);
    for (uint64_t gib = 0; gib < WINDOW_RAM_END / HUGE; gib++) {
        uint64_t start = gib * HUGE;
        if (gib > 0 && huge_pages && covers(ram, start, start + HUGE))
            window_pdpt[gib] = start | DATA | PTE_LARGE;
        else if (touches(ram, start, start + HUGE) && !map_gib(gib, ram, free))
            return false;
    }
    device_directory[0] = kernel_to_physical(device_table) | TABLE;
    window_pdpt[WINDOW_RAM_END / HUGE] = kernel_to_physical(device_directory) | TABLE;
    window_pml4[KERNEL_WINDOW_SLOT] = kernel_to_physical(window_pdpt) | TABLE;

    write_cr4(read_cr4() | CR4_PGE);
    write_cr3(window_root());
    return true;
}

void window_map_device(unsigned index, uint64_t address)
{
    device_table[index] = address | DEVICE;
    invlpg(DEVICE_BASE + index * PAGE);
}
