/* Page tables: which accesses go through, what the others raise, what is left in the entries. (SDM 3A chapter 4) */
#include "guests/tour/tour.h"

#define NOT_CANONICAL 0x0000800000000000ul
#define MARK 0x1122334455667788ul

#define READ(address)  TRY("movq (%0), %%rax", : : "r"(address) : "rax", "memory")
#define WRITE(address) TRY("movb $1, (%0)", : : "r"(address) : "memory")
#define JUMP(address)  TRY("jmp *%0", : : "r"(address) : "memory")

static uint64_t *new_page;

/* TEST_BASE + OFFSET becomes a new page. */
static uint64_t *map_new(uint64_t offset, uint64_t flags)
{
    new_page = page_new();
    map_page(kernel_root, TEST_BASE + offset, PHYSICAL(new_page), flags);
    invlpg((void *)(TEST_BASE + offset));
    return find_entry(kernel_root, TEST_BASE + offset, 1);
}

static void check_permissions(void)
{
    uint64_t address = TEST_BASE;

    check_equal(READ_CR(3), kernel_root, "the kernel runs on page tables of its own");
    READ(address);
    check_page_fault(0, address, "reading a page that is not there");
    WRITE(address + 5);
    check_page_fault(PF_WRITE, address + 5, "writing to a page that is not there");
    JUMP(address + 16);
    check_page_fault(no_execute ? PF_FETCH : 0, address + 16, "executing a page that is not there");

    uint64_t *entry = map_new(0, KERNEL_PAGE);
    *(volatile uint64_t *)address = MARK;
    check_equal(*new_page, MARK, "a page is where its entry says, as soon as it is there");
    *new_page = ~MARK;
    check_equal(*(volatile uint64_t *)address, ~MARK, "what is written through one address is read through the other");
    *entry &= ~PTE_WRITE;
    invlpg((void *)address);
    READ(address);
    check_done("a read-only page can be read");
    WRITE(address + 3);
    check_page_fault(PF_PRESENT | PF_WRITE, address + 3, "writing to a read-only page");
    check_equal(*new_page, ~MARK, "a write that faulted has written nothing");

    WRITE_CR(0, READ_CR(0) & ~CR0_WP);
    WRITE(address);
    check_done("without CR0.WP the kernel writes to read-only pages");
    check_equal(*new_page & 0xff, 1, "and what it writes is there");
    WRITE_CR(0, READ_CR(0) | CR0_WP);
    WRITE(address);
    check_page_fault(PF_PRESENT | PF_WRITE, address, "with CR0.WP again it does not");

    extern char text_start[];
    WRITE((uint64_t)text_start);
    check_page_fault(PF_PRESENT | PF_WRITE, (uint64_t)text_start, "the kernel's text cannot be written to");
}

static void check_no_execute(void)
{
    uint64_t address = TEST_BASE + PAGE;
    uint64_t *entry = map_new(PAGE, PTE_WRITE | no_execute);

    *(uint8_t *)new_page = 0xc3; /* ret */
    if (!no_execute) {
        skip("executing a page with the no-execute bit", "the processor has none");
        return;
    }
    JUMP(address);
    check_page_fault(PF_PRESENT | PF_FETCH, address, "executing a page with the no-execute bit");
    *entry &= ~PTE_NX;
    invlpg((void *)address);
    TRY("call *%0", : : "r"(address) : "memory");
    check_done("without it the page is executed");
    *find_entry(kernel_root, address, 2) |= PTE_NX;
    invlpg((void *)address);
    JUMP(address);
    check_page_fault(PF_PRESENT | PF_FETCH, address, "a no-execute bit further up counts as well");
    *find_entry(kernel_root, address, 2) &= ~PTE_NX;
    invlpg((void *)address);
    TRY("call *%0", : : "r"(address) : "memory");
    check_done("and is gone when it is taken away");
}

static void check_accessed_and_dirty(void)
{
    uint64_t address = TEST_BASE + 2 * PAGE, *entry = map_new(2 * PAGE, KERNEL_PAGE);
    uint64_t *directory = find_entry(kernel_root, address, 2), *top = find_entry(kernel_root, address, 4);

    *directory &= ~PTE_ACCESSED;
    *top &= ~PTE_ACCESSED;
    WRITE_CR(3, kernel_root);
    check(!(*entry & (PTE_ACCESSED | PTE_DIRTY)), "an entry that has not been used has neither accessed nor dirty");
    READ(address);
    check_equal(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED, "a read sets accessed alone");
    check(*directory & PTE_ACCESSED, "in the directory's entry as well");
    check(*top & PTE_ACCESSED, "and in the uppermost table's");
    check(!(*directory & PTE_DIRTY), "a table's entry does not become dirty");
    WRITE(address);
    check_equal(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY, "a write after it sets dirty");

    *entry &= ~(PTE_ACCESSED | PTE_DIRTY);
    invlpg((void *)address);
    READ(address);
    check_equal(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED, "bits that were taken away are set again by a read");
    *entry &= ~(PTE_ACCESSED | PTE_DIRTY);
    invlpg((void *)address);
    WRITE(address);
    check_equal(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY, "and both by a write");
    *entry &= ~(PTE_WRITE | PTE_DIRTY);
    invlpg((void *)address);
    WRITE(address);
    check(!(*entry & PTE_DIRTY), "a write that faults leaves dirty alone");
}

static void check_large_pages(void)
{
    uint64_t small = TEST_BASE + 64 * MIB, address = TEST_BASE + GIB;
    uint64_t physical = PHYSICAL(page_new()), base = physical & ~(2 * MIB - 1);
    uint64_t *entry = entry_of(kernel_root, small, 2, KERNEL_TABLE);

    *entry = base | PTE_PRESENT | PTE_LARGE | KERNEL_PAGE;
    volatile uint64_t *window = (void *)(small + (physical - base));
    *window = MARK;
    check_equal(*(uint64_t *)VIRTUAL(physical), MARK, "a page of 2 MiB");
    check_equal(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY, "its entry becomes accessed and dirty");
    *entry &= ~PTE_WRITE;
    invlpg((void *)window);
    WRITE(window);
    check_page_fault(PF_PRESENT | PF_WRITE, (uint64_t)window, "a page of 2 MiB can be read-only");

    *entry = base | PTE_PRESENT | PTE_LARGE | KERNEL_PAGE | 1ul << 13;
    invlpg((void *)window);
    READ(window);
    check_page_fault(PF_PRESENT | PF_RESERVED, (uint64_t)window,
                     "an address of 2 MiB that is not a multiple is reserved");
    *entry = 0;
    invlpg((void *)window);
    READ(window);
    check_page_fault(0, (uint64_t)window, "a page of 2 MiB that is taken away");

    if (!(cpuid(0x80000001, 0).d & DE_1G)) {
        skip("a page of 1 GiB", "the processor has none");
        return;
    }
    entry = entry_of(kernel_root, address, 3, KERNEL_TABLE);
    *entry = PTE_PRESENT | PTE_LARGE | KERNEL_PAGE;
    window = (void *)(address + physical);
    *window = ~MARK;
    check_equal(*(uint64_t *)VIRTUAL(physical), ~MARK, "a page of 1 GiB");
    check_equal(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY,
                "its entry becomes accessed and dirty as well");
    *entry = 0;
    invlpg((void *)window);
    READ(window);
    check_page_fault(0, (uint64_t)window, "a page of 1 GiB that is taken away");
}

static void check_reserved_bits(void)
{
    uint64_t address = TEST_BASE + 3 * PAGE, *entry = map_new(3 * PAGE, KERNEL_PAGE);
    unsigned width = cpuid(0x80000008, 0).a & 0xff;

    if (width == 0 || width >= 52) {
        skip("a physical address beyond the processor's width", "it has all 52 bits, or does not say");
    } else {
        *entry |= 1ul << 51;
        invlpg((void *)address);
        READ(address);
        check_page_fault(PF_PRESENT | PF_RESERVED, address, "a physical address beyond the processor's width");
        WRITE(address);
        check_page_fault(PF_PRESENT | PF_RESERVED | PF_WRITE, address, "written to");
        *entry &= ~(1ul << 51);
        invlpg((void *)address);
        READ(address);
        check_done("an entry that is mended works again");
    }
    uint64_t *top = find_entry(kernel_root, address, 4);
    *top |= PTE_LARGE;
    WRITE_CR(3, kernel_root);
    READ(address);
    check_page_fault(PF_PRESENT | PF_RESERVED, address, "the uppermost table has no page size");
    *top &= ~PTE_LARGE;
    WRITE_CR(3, kernel_root);

    *entry |= 0x7ful << 52 | 7ul << 9;
    invlpg((void *)address);
    READ(address);
    check_done("bits that are the system's own change nothing");
    *entry |= PTE_UNCACHED | PTE_WRITE_THROUGH;
    invlpg((void *)address);
    READ(address);
    check_done("nor do those about caches");
}

static void check_canonical(void)
{
    READ(NOT_CANONICAL);
    check_fault(VECTOR_GP, 0, "reading at an address that is not canonical");
    WRITE(NOT_CANONICAL);
    check_fault(VECTOR_GP, 0, "writing at an address that is not canonical");
    READ(0xffff7fffffffffff);
    check_fault(VECTOR_GP, 0, "at the last one of them");
    READ(0x00007ffffffffffcul - 8 + 8);
    check(caught.vector != NO_VECTOR, "across the end of the lower half");
}

static void check_across_pages(void)
{
    uint64_t address = TEST_BASE + 8 * PAGE;

    map_new(8 * PAGE, KERNEL_PAGE);
    TRY("movq %1, (%0)", : : "r"(address + PAGE - 4), "r"(MARK) : "memory");
    check_page_fault(PF_WRITE, address + PAGE, "a write across the end of what is mapped");
    check_equal(new_page[PAGE / 8 - 1], 0, "and its first half is not written");
    uint64_t *first = new_page;
    map_new(9 * PAGE, KERNEL_PAGE);
    TRY("movq %1, (%0)", : : "r"(address + PAGE - 4), "r"(MARK) : "memory");
    check_equal(first[PAGE / 8 - 1] >> 32 | (uint64_t)(uint32_t)new_page[0] << 32,
                (MARK & 0xffffffff) | MARK >> 32 << 32,
                "a write across two pages that lie apart");
    uint64_t *entry = map_new(9 * PAGE, KERNEL_PAGE);
    *entry &= ~PTE_WRITE;
    invlpg((void *)(address + PAGE));
    TRY("addq %1, (%0)", : : "r"(address + PAGE - 4), "r"(1ul) : "memory");
    check_page_fault(PF_PRESENT | PF_WRITE, address + PAGE, "an addition whose second half is read-only");
}

static void check_invalidation(void)
{
    uint64_t address = TEST_BASE + 16 * PAGE, *entry = map_new(16 * PAGE, KERNEL_PAGE);
    volatile uint64_t *window = (void *)address;
    uint64_t other = PHYSICAL(page_new());

    *new_page = 1;
    *(uint64_t *)VIRTUAL(other) = 2;
    check_equal(*window, 1, "a page, before it is exchanged");
    *entry = other | PTE_PRESENT | KERNEL_PAGE;
    invlpg((void *)(address + 123));
    check_equal(*window, 2, "after INVLPG the other one is seen");
    *entry = PHYSICAL(new_page) | PTE_PRESENT | KERNEL_PAGE;
    WRITE_CR(3, READ_CR(3));
    check_equal(*window, 1, "after loading CR3 the first one is");
    *entry = other | PTE_PRESENT | KERNEL_PAGE | PTE_GLOBAL;
    invlpg((void *)address);
    check_equal(*window, 2, "a global page");
    *entry = PHYSICAL(new_page) | PTE_PRESENT | KERNEL_PAGE | PTE_GLOBAL;
    invlpg((void *)address);
    check_equal(*window, 1, "INVLPG reaches global pages");
    *entry = other | PTE_PRESENT | KERNEL_PAGE | PTE_GLOBAL;
    WRITE_CR(4, READ_CR(4) & ~CR4_PGE);
    WRITE_CR(4, READ_CR(4) | CR4_PGE);
    check_equal(*window, 2, "a change of CR4.PGE reaches them all");
    *entry = 0;
    WRITE_CR(4, READ_CR(4) & ~CR4_PGE);
    WRITE_CR(4, READ_CR(4) | CR4_PGE);
    READ(window);
    check_page_fault(0, address, "a global page that is taken away");
}

/* A PML4 that maps itself: its tables are seen as pages, and the pages that they map as pages of tables. */
static void check_recursion(void)
{
    uint64_t slot = IN_UPPER_HALF ? 0x1fe : 3, *pml4 = VIRTUAL(kernel_root);
    uint64_t start = slot << 39 | (slot & 0x100 ? 0xffff000000000000 : 0);
    uint64_t address = TEST_BASE + 20 * PAGE, *entry = map_new(20 * PAGE, KERNEL_PAGE);
    volatile uint64_t *seen = (void *)(start + (address >> 9 & 0x7ffffffff8));
    volatile uint64_t *seen_pml4 = (void *)(start | slot << 30 | slot << 21 | slot << 12);

    pml4[slot] = kernel_root | PTE_PRESENT | KERNEL_PAGE;
    check_equal(*seen, *entry, "a table that maps itself shows the entry of a page");
    check_equal(seen_pml4[slot] & PTE_ADDRESS, kernel_root, "and itself");
    uint64_t other = PHYSICAL(page_new());
    *(uint64_t *)VIRTUAL(other) = MARK;
    *seen = other | PTE_PRESENT | KERNEL_PAGE;
    invlpg((void *)address);
    check_equal(*(volatile uint64_t *)address, MARK, "an entry that is written through it counts");
    check(*entry & PTE_ACCESSED, "and shows that it was used");
    pml4[slot] = 0;
    WRITE_CR(3, kernel_root);
    READ(seen);
    check_page_fault(0, (uint64_t)seen, "all of that goes with its entry");
}

void paging_checks(void)
{
    check_permissions();
    check_no_execute();
    check_accessed_and_dirty();
    check_large_pages();
    check_reserved_bits();
    check_canonical();
    check_across_pages();
    check_invalidation();
    check_recursion();
}
