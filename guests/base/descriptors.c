/* Descriptor tables, and traps of the kernel itself. */
#include "guests/base/kernel.h"

#define ACCESS_TSS 0x89ul

struct tss tss;
volatile struct gate idt[256];
char ist_stack[7][4096] __attribute__((aligned(16)));
void (*trap_handler)(struct frame *frame);

/* SDM 3A 3.4.5: in the order that SYSCALL and SYSRET want. */
volatile uint64_t gdt[GDT_ENTRIES] __attribute__((aligned(16))) = {
    0,
    0x00af9b000000ffff, /* SELECTOR_CODE */
    0x00cf93000000ffff, /* SELECTOR_DATA */
    0x00cffb000000ffff, /* SELECTOR_USER_CODE32 */
    0x00cff3000000ffff, /* SELECTOR_USER_DATA */
    0x00affb000000ffff, /* SELECTOR_USER_CODE */
};

void set_gate(unsigned vector, uint64_t address, uint8_t type, uint8_t ist)
{
    idt[vector] = (struct gate) {
        .offset_low = (uint16_t)address, .selector = SELECTOR_CODE, .ist = ist, .type = type,
        .offset_middle = (uint16_t)(address >> 16), .offset_high = (uint32_t)(address >> 32),
    };
}

static void set_tss(void)
{
    uint64_t base = (uint64_t)&tss, limit = sizeof tss - 1;

    tss.io_map = sizeof tss;
    for (unsigned i = 0; i < 7; i++)
        tss.ist[i] = (uint64_t)&ist_stack[i] + sizeof ist_stack[0];
    gdt[SELECTOR_TSS / 8] = limit | (base & 0xffffff) << 16 | ACCESS_TSS << 40 | (base >> 24 & 0xff) << 56;
    gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
}

void descriptors_init(void)
{
    struct table_pointer gdt_pointer = { sizeof gdt - 1, (uint64_t)gdt }, idt_pointer = { sizeof idt - 1,
                                                                                         (uint64_t)idt };

    for (unsigned i = 0; i < 256; i++)
        set_gate(i, (uint64_t)vectors + i * 16, GATE_INTERRUPT, i == VECTOR_DF ? IST_DOUBLE_FAULT : 0);
    set_gate(VECTOR_BP, (uint64_t)vectors + VECTOR_BP * 16, GATE_USER_INTERRUPT, 0);
    set_gate(VECTOR_OF, (uint64_t)vectors + VECTOR_OF * 16, GATE_USER_INTERRUPT, 0);
    set_gate(0x80, (uint64_t)vectors + 0x80 * 16, GATE_USER_INTERRUPT, 0);
    set_tss();
    __asm__ volatile("lgdt %0; lidt %1" : : "m"(gdt_pointer), "m"(idt_pointer) : "memory");
    __asm__ volatile("movl %0, %%ss; movl %1, %%ds; movl %1, %%es; movl %1, %%fs; movl %1, %%gs\n\t"
                     "pushq %2; leaq 1f(%%rip), %%rax; pushq %%rax; lretq\n"
                     "1:\tltr %w3"
                     : : "r"(SELECTOR_DATA), "r"(0), "i"(SELECTOR_CODE), "r"(SELECTOR_TSS) : "rax", "memory");
}

void take_trap(struct frame *frame)
{
    if (trap_handler) {
        trap_handler(frame);
        return;
    }
    print("# trap %lu, error %lx, at %lx, address %lx\n", frame->vector, frame->error, frame->rip, READ_CR(2));
    power_off();
}
