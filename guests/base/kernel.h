/* What the small kernels have in common: console, memory, traps, user programs, interrupts. */
#pragma once

#include "guests/base/cpu.h"
#include "guests/base/layout.h"

#define PAGE 4096ul
#define KIB  1024ul
#define MIB  (1024 * KIB)
#define GIB  (1024 * MIB)

/* Where physical memory is seen: an address of the linker's, 0 or 0xffffffff80000000. */
extern char kernel_base[];
#define KERNEL_BASE ((uint64_t)kernel_base)
#define IN_UPPER_HALF (KERNEL_BASE >> 63 != 0)
#define VIRTUAL(physical) ((void *)((uint64_t)(physical) + KERNEL_BASE))
#define PHYSICAL(pointer) ((uint64_t)(pointer) - KERNEL_BASE)

/* start.c: what the kernel is for. */
void kernel_main(const char *cmdline);
void power_off(void) __attribute__((noreturn));
void reset(void) __attribute__((noreturn));

/* string.c */
void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
bool same_text(const char *a, const char *b);
bool starts_with(const char *text, const char *start);

/* console.c: the serial port. print() knows %s %c %u %lu %x %lx, with widths (%8lu %016lx, %-8s). */
void put(char c);
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool input_ready(void);
char input(void);

/* memory.c: pages of 4 KiB, zeroed, and the kernel's address space. */
#define PTE_PRESENT  (1ul << 0)
#define PTE_WRITE    (1ul << 1)
#define PTE_USER     (1ul << 2)
#define PTE_WRITE_THROUGH (1ul << 3)
#define PTE_UNCACHED (1ul << 4)
#define PTE_ACCESSED (1ul << 5)
#define PTE_DIRTY    (1ul << 6)
#define PTE_LARGE    (1ul << 7)
#define PTE_GLOBAL   (1ul << 8)
#define PTE_NX       (1ul << 63)
#define PTE_ADDRESS  0x000ffffffffff000ul

struct memory_information {
    uint64_t total, pages, free; /* bytes; pages that were given to the allocator, and those free */
};
extern struct memory_information memory;
extern uint64_t kernel_root; /* physical address of the PML4 */
extern uint64_t no_execute;  /* PTE_NX where the processor has it, else 0 */

void memory_init(uint64_t from, uint64_t end);
void *page_new(void);
void page_free(void *page);
/* The entry of level LEVEL (1: 4 KiB, 2: 2 MiB, 3: 1 GiB, 4) that maps ADDRESS; tables on the way are made, with
 * FLAGS of theirs. NULL: no memory, or there is a larger page in the way. */
uint64_t *entry_of(uint64_t root, uint64_t address, unsigned level, uint64_t flags);
/* The same where all is there already. */
uint64_t *find_entry(uint64_t root, uint64_t address, unsigned level);
void map_page(uint64_t root, uint64_t address, uint64_t physical, uint64_t flags);
volatile void *map_device(uint64_t physical);
/* Another address space, which shares the kernel's part, and its end: user pages and tables go. */
uint64_t space_new(void);
void space_free(uint64_t root);

/* User programs are in this slot of the PML4 in all address spaces. */
#define USER_SLOT 1ul
#define USER_BASE (USER_SLOT << 39)

/* descriptors.c */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

#define GATE_INTERRUPT      0x8e
#define GATE_TRAP           0x8f
#define GATE_USER_INTERRUPT 0xee
#define IST_DOUBLE_FAULT 1
#define IST_SPARE        2
#define GDT_ENTRIES      16

extern volatile uint64_t gdt[GDT_ENTRIES];
extern volatile struct gate idt[256];
extern struct tss tss;
extern char ist_stack[7][4096];
extern char vectors[], take_syscall[];

void descriptors_init(void);
void set_gate(unsigned vector, uint64_t address, uint8_t type, uint8_t ist);

/* Traps in the kernel: first asked is what the kernel has for it. */
void take_trap(struct frame *frame);
extern void (*trap_handler)(struct frame *frame);

/* users.c */
struct cpu {
    uint64_t stack;
    struct user *user;
    void *user_end;
    uint64_t scratch;
};
extern struct cpu cpu;

struct user {
    struct frame frame;
    uint64_t root, fs_base;
    bool by_sysret;
} __attribute__((aligned(16))); /* so that the processor, which aligns the stack, pushes into it */

/* Runs a user program until something brings it back: gives the vector, or VECTOR_SYSCALL. Interrupts must be
 * disabled. */
uint64_t run_user(struct user *user);
void enter_user(void);
void enter_user_by_sysret(void);

/* apic.c: the local APIC, in whichever way there is, and the I/O APIC. */
#define APIC_ID       0x02
#define APIC_TPR      0x08
#define APIC_EOI      0x0b
#define APIC_SPURIOUS 0x0f
#define APIC_ISR      0x10
#define APIC_IRR      0x20
#define APIC_ICR      0x30
#define APIC_TIMER    0x32
#define APIC_INITIAL  0x38
#define APIC_COUNT    0x39
#define APIC_DIVIDE   0x3e
#define TIMER_PERIODIC (1u << 17)
#define TIMER_MASKED   (1u << 16)

extern bool x2apic;
extern volatile uint32_t *apic_page, *ioapic_page; /* apic_page where it is not an x2APIC */
void apic_init(void);
void apic_use_x2apic(void); /* where there is one */
uint32_t apic_read(unsigned reg);
void apic_write(unsigned reg, uint32_t value);
void apic_self(uint8_t vector);
uint32_t ioapic_read(unsigned reg);
void ioapic_write(unsigned reg, uint32_t value);
void route_pin(unsigned pin, uint8_t vector, bool masked);
