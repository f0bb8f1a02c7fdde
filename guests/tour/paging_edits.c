/* Page tables that are changed while they are in use, by whatever instruction can write: what follows INVLPG or a
 * load of CR3 sees the change. */
#include "guests/tour/tour.h"

#define AREA (TEST_BASE + 8 * GIB)
#define FRAMES 4u

static uint64_t frame[FRAMES];       /* each begins with its number */
static volatile uint64_t *entry;     /* of the page at AREA */
static volatile uint64_t *window;

static uint64_t pte(unsigned number)
{
    return frame[number] | PTE_PRESENT | KERNEL_PAGE;
}

/* Loads the entry into whatever translation there is, so that a change has something to outdo. */
static void start_with(unsigned number)
{
    *entry = pte(number);
    invlpg((void *)AREA);
    (void)*window;
}

static void check_seen(uint64_t number, const char *name)
{
    invlpg((void *)AREA);
    check_equal(*window, number, name);
}

static void check_plain_writes(void)
{
    start_with(0);
    __asm__ volatile("movq %1, %0" : "=m"(*entry) : "r"(pte(1)));
    check_seen(1, "an entry changed by mov");
    __asm__ volatile("movnti %1, %0" : "=m"(*entry) : "r"(pte(2)));
    check_seen(2, "by movnti");
    __asm__ volatile("movl %1, %0" : "=m"(*(volatile uint32_t *)entry) : "r"((uint32_t)pte(3)));
    check_seen(3, "by a write to its lower half");
    __asm__ volatile("movb %1, %0" : "=m"(*((volatile uint8_t *)entry + 1)) : "q"((uint8_t)(pte(1) >> 8)));
    __asm__ volatile("movw %1, %0" : "=m"(*((volatile uint16_t *)entry + 1)) : "r"((uint16_t)(pte(1) >> 16)));
    check_seen(1, "by writes of a byte and of a word");

    uint64_t old = pte(0);
    start_with(2);
    __asm__ volatile("xchgq %0, %1" : "+r"(old), "+m"(*entry));
    check(old == (pte(2) | PTE_ACCESSED), "xchg gets the old entry, with its accessed bit");
    check_seen(0, "and puts the new one there");
    __asm__ volatile("lock xaddq %1, %0" : "+m"(*entry) : "r"(frame[1] - frame[0]));
    check_seen(1, "by xadd");

    uint64_t expected = *entry;
    __asm__ volatile("lock cmpxchgq %2, %0" : "+m"(*entry), "+a"(expected) : "r"(pte(3)) : "cc");
    check_seen(3, "by cmpxchg that finds what it expects");
    expected = 0;
    __asm__ volatile("lock cmpxchgq %2, %0" : "+m"(*entry), "+a"(expected) : "r"(pte(2)) : "cc");
    check(expected == (pte(3) | PTE_ACCESSED), "cmpxchg that does not gets the entry");
    check_seen(3, "and leaves it as it was");
    expected = *entry;
    __asm__ volatile("lock cmpxchg8b %0" : "+m"(*entry), "+a"(expected)
                     : "d"((uint32_t)(*entry >> 32)), "b"((uint32_t)pte(2)), "c"((uint32_t)(pte(2) >> 32)) : "cc");
    check_seen(2, "by cmpxchg8b");
}

static void check_bits(void)
{
    start_with(0);
    __asm__ volatile("lock andq %1, %0" : "+m"(*entry) : "r"(~PTE_WRITE) : "cc");
    invlpg((void *)AREA);
    TRY("movb $0, 1(%0)", : : "r"(AREA) : "memory");
    check_page_fault(PF_PRESENT | PF_WRITE, AREA + 1, "an entry made read-only by lock and");
    __asm__ volatile("lock orq %1, %0" : "+m"(*entry) : "er"(PTE_WRITE) : "cc");
    invlpg((void *)AREA);
    TRY("movb $0, 1(%0)", : : "r"(AREA) : "memory");
    check_done("writable again by lock or");
    __asm__ volatile("lock btrq $1, %0" : "+m"(*entry) : : "cc");
    invlpg((void *)AREA);
    TRY("movb $0, 1(%0)", : : "r"(AREA) : "memory");
    check_page_fault(PF_PRESENT | PF_WRITE, AREA + 1, "read-only by btr");
    __asm__ volatile("btsq $1, %0; btcq $0, %0" : "+m"(*entry) : : "cc");
    invlpg((void *)AREA);
    TRY("movb $0, 1(%0)", : : "r"(AREA) : "memory");
    check_page_fault(PF_WRITE, AREA + 1, "not there by btc");
    __asm__ volatile("incq %0" : "+m"(*entry) : : "cc");
    check_seen(0, "there again by inc");
    __asm__ volatile("notq %0" : "+m"(*entry));
    __asm__ volatile("notq %0" : "+m"(*entry));
    check_seen(0, "by not, twice");
    __asm__ volatile("lock addq %1, %0" : "+m"(*entry) : "r"(frame[3] - frame[0]) : "cc");
    check_seen(3, "by an addition");
    __asm__ volatile("xorq %1, %0" : "+m"(*entry) : "r"(frame[3] ^ frame[2]) : "cc");
    check_seen(2, "by an exclusive or");
}

static void check_many(void)
{
    static uint64_t copy[2] __attribute__((aligned(16)));
    volatile uint64_t *to = entry;
    uint64_t *from = copy, count = 2, rax = 0;

    start_with(0);
    entry[1] = 0;
    copy[0] = pte(1);
    copy[1] = pte(2);
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    invlpg((void *)(AREA + PAGE));
    check_seen(1, "by rep movsq");
    check_equal(window[PAGE / 8], 2, "and the next one");
    to = entry;
    count = 2 * 8;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count), "+a"(rax) : : "memory");
    invlpg((void *)AREA);
    invlpg((void *)(AREA + PAGE));
    TRY("movb (%0), %%al", : : "r"(AREA) : "rax", "memory");
    check_page_fault(0, AREA, "entries cleared by rep stosb");
    TRY("movb (%0), %%al", : : "r"(AREA + PAGE) : "rax", "memory");
    check_page_fault(0, AREA + PAGE, "and the next one as well");
    __asm__ volatile("movups %1, %%xmm0; movaps %%xmm0, %0" : "=m"(*(volatile uint64_t (*)[2])entry) : "m"(copy));
    check_seen(1, "entries written by movaps");
    check_equal(window[PAGE / 8], 2, "and the next");
    copy[0] = pte(3);
    __asm__ volatile("movq %1, %%xmm0; movntdq %%xmm0, %0" : "=m"(*(volatile uint64_t (*)[2])entry) : "m"(copy[0]));
    check_seen(3, "by movntdq");
    __asm__ volatile("movq %1, %%xmm0; movq %%xmm0, %0" : "=m"(*entry) : "m"(copy[1]));
    check_seen(2, "by a half of an SSE register");
    __asm__ volatile("fildq %1; fistpq %0" : "=m"(*entry) : "m"(copy[0]));
    check_seen(3, "by the x87 unit");
    __asm__ volatile("movq %%rsp, %%rcx; leaq %0, %%rsp; addq $8, %%rsp; pushq %1; movq %%rcx, %%rsp"
                     : "=m"(*entry) : "r"(pte(1)) : "rcx", "memory", "cc");
    check_seen(1, "by a push, with the stack in the table");
    __asm__ volatile("pushq %1; popq %0" : "=m"(*entry) : "r"(pte(2)) : "memory");
    check_seen(2, "by a pop into it");
}

/* The whole table is replaced, taken out, used as data, put back. */
static void check_tables(void)
{
    volatile uint64_t *directory = find_entry(kernel_root, AREA, 2), *other = page_new();
    uint64_t old = *directory;

    start_with(0);
    other[0] = pte(3);
    *directory = PHYSICAL(other) | KERNEL_TABLE;
    check_seen(3, "a table that is replaced, after INVLPG");
    *directory = old;
    WRITE_CR(3, kernel_root);
    check_equal(*window, 0, "and put back, after loading CR3");
    other[0] = 0x55;
    check_equal(other[0], 0x55, "a table that is in use no more is memory like any other");
    other[0] = pte(1);
    *directory = PHYSICAL(other) | KERNEL_TABLE;
    check_seen(1, "and can become a table again");

    /* The same table at two places. */
    volatile uint64_t *second = entry_of(kernel_root, AREA + GIB, 2, KERNEL_TABLE),
        *second_window = (void *)(AREA + GIB);
    *second = PHYSICAL(other) | KERNEL_TABLE;
    check_equal(*second_window, 1, "a table in two places");
    other[0] = pte(2);
    invlpg((void *)second_window);
    check_equal(*second_window, 2, "its change is seen in one");
    check_seen(2, "and in the other");
    *directory = old;
    invlpg((void *)AREA);
    *second = 0;
    invlpg((void *)second_window);
    page_free((void *)other);

    uint64_t *top = find_entry(kernel_root, AREA, 4), kept = *top;
    start_with(1);
    *top = 0;
    WRITE_CR(3, kernel_root);
    TRY("movb (%0), %%al", : : "r"(AREA) : "rax", "memory");
    check_page_fault(0, AREA, "512 GiB that go with an entry of the uppermost table");
    *top = kept;
    check_equal(*window, 1, "and are back with it");
}

/* A large page is split into small ones, one of which is then changed, and put together again. */
static void check_split(void)
{
    uint64_t address = AREA + 2 * GIB, base = frame[0] & ~(2 * MIB - 1);
    volatile uint64_t *directory = entry_of(kernel_root, address, 2, KERNEL_TABLE), *table = page_new();
    volatile uint64_t *inside = (void *)(address + frame[0] - base);
    uint64_t large = base | PTE_PRESENT | PTE_LARGE | KERNEL_PAGE, index = (frame[0] - base) / PAGE;

    *directory = large;
    check_equal(*inside, 0, "a large page, before it is split");
    for (unsigned i = 0; i < 512; i++)
        table[i] = (base + i * PAGE) | PTE_PRESENT | KERNEL_PAGE;
    *directory = PHYSICAL(table) | KERNEL_TABLE;
    invlpg((void *)inside);
    check_equal(*inside, 0, "small pages in its place");
    table[index] = pte(2);
    invlpg((void *)inside);
    check_equal(*inside, 2, "one of them changed");
    *directory = large;
    invlpg((void *)inside);
    check_equal(*inside, 0, "and the large page again");
    *directory = 0;
    invlpg((void *)inside);
}

/* Many pages that come and go, against what must be there: more than any cache of translations holds at once. */
static void check_churn(void)
{
    uint64_t seed = 12345;
    static uint8_t mapped[512];
    volatile uint64_t *table = find_entry(kernel_root, AREA, 1) - ((AREA >> 12) & 511);
    unsigned wrong = 0;

    for (unsigned round = 0; round < 2000; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned at = seed >> 33 & 255, number = seed >> 41 & 3;

        table[at] = pte(number);
        mapped[at] = (uint8_t)(number + 1);
        invlpg((void *)(AREA + at * PAGE));
        at = seed >> 49 & 255;
        if (mapped[at] && *(volatile uint64_t *)(AREA + at * PAGE) != mapped[at] - 1u)
            wrong++;
    }
    check_equal(wrong, 0, "2000 changes, each seen at once, the others as they were");
    for (unsigned at = 1; at < 256; at++)
        table[at] = 0;
    WRITE_CR(3, kernel_root);
    TRY("movb (%0), %%al", : : "r"(AREA + 255 * PAGE) : "rax", "memory");
    check_page_fault(0, AREA + 255 * PAGE, "all of them taken away at once");
}

void paging_edit_checks(void)
{
    for (unsigned i = 0; i < FRAMES; i++) {
        uint64_t *page = page_new();

        *page = i;
        frame[i] = PHYSICAL(page);
    }
    map_page(kernel_root, AREA, frame[0], KERNEL_PAGE);
    entry = find_entry(kernel_root, AREA, 1);
    window = (void *)AREA;
    check_plain_writes();
    check_bits();
    check_many();
    check_tables();
    check_split();
    check_churn();
}
