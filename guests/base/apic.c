/* Interrupt controllers: the local APIC through its page or as an x2APIC, and the I/O APIC. */
#include "guests/base/kernel.h"

#define APIC_PAGE   0xfee00000
#define IOAPIC_PAGE 0xfec00000
#define IOAPIC_WINDOW 4 /* in words */
#define IOAPIC_REDIRECTION 0x10
#define REDIRECTION_MASKED (1u << 16)
#define APIC_BASE_ENABLED  (1u << 11)
#define APIC_BASE_X2APIC   (1u << 10)
#define SPURIOUS_ENABLED   0x1ff
#define PIC_MASK_0 0x21
#define PIC_MASK_1 0xa1

volatile uint32_t *apic_page, *ioapic_page;
bool x2apic;

uint32_t apic_read(unsigned reg)
{
    return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg) : apic_page[reg * 4];
}

void apic_write(unsigned reg, uint32_t value)
{
    if (x2apic)
        wrmsr(MSR_X2APIC + reg, value);
    else
        apic_page[reg * 4] = value;
}

void apic_self(uint8_t vector)
{
    apic_write(APIC_ICR, 1u << 18 | 1u << 14 | vector); /* SDM 3A 10.6.1: to itself, asserted, fixed */
}

uint32_t ioapic_read(unsigned reg)
{
    ioapic_page[0] = reg;
    return ioapic_page[IOAPIC_WINDOW];
}

void ioapic_write(unsigned reg, uint32_t value)
{
    ioapic_page[0] = reg;
    ioapic_page[IOAPIC_WINDOW] = value;
}

void route_pin(unsigned pin, uint8_t vector, bool masked)
{
    ioapic_write(IOAPIC_REDIRECTION + 2 * pin + 1, 0); /* to the CPU with id 0 */
    ioapic_write(IOAPIC_REDIRECTION + 2 * pin, vector | (masked ? REDIRECTION_MASKED : 0));
}

void apic_init(void)
{
    out8(PIC_MASK_0, 0xff);
    out8(PIC_MASK_1, 0xff);
    apic_page = map_device(APIC_PAGE);
    ioapic_page = map_device(IOAPIC_PAGE);
    x2apic = rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLED);
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLED);
    apic_write(APIC_TPR, 0);
}

void apic_use_x2apic(void)
{
    if (!(cpuid(1, 0).c & C1_X2APIC))
        return;
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
    x2apic = true;
}
