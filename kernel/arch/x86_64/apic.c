/* SDM 3A chapter 11 (APIC). */
#include <arch/x86_64/apic.h>

#include <sel4/config.h>
#include <arch/x86_64/console.h>
#include <arch/x86_64/window.h>
#include <arch/x86_64/x86.h>

#define PIC1_COMMAND 0x20
#define PIC1_DATA    0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA    0xa1

#define APIC_ID            0x20
#define APIC_VERSION       0x30
#define APIC_TPR           0x80
#define APIC_EOI           0xb0
#define APIC_SPURIOUS      0xf0
#define APIC_IRR           0x200
#define APIC_ESR           0x280
#define APIC_LVT_CMCI      0x2f0
#define APIC_LVT_TIMER     0x320
#define APIC_LVT_THERMAL   0x330
#define APIC_LVT_PERF      0x340
#define APIC_LVT_LINT0     0x350
#define APIC_LVT_LINT1     0x360
#define APIC_LVT_ERROR     0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE  0x3e0

#define SPURIOUS_ENABLE   (1u << 8)
#define LVT_MASKED        (1u << 16)
#define LVT_PERIODIC      (1u << 17)
#define TIMER_DIVIDE_BY_1 0xb

#define APIC_BASE_X2APIC (1ul << 10)
#define APIC_BASE_ENABLE (1ul << 11)

static uint32_t apic_read(uint32_t reg)
{
    return *(volatile uint32_t *)(DEVICE_LOCAL_APIC + reg);
}

static void apic_write(uint32_t reg, uint32_t value)
{
    *(volatile uint32_t *)(DEVICE_LOCAL_APIC + reg) = value;
}

void pic_disable(void)
{
    out8(PIC1_COMMAND, 0x11);
    out8(PIC2_COMMAND, 0x11);
    out8(PIC1_DATA, VECTOR_IRQ_FIRST);
    out8(PIC2_DATA, VECTOR_IRQ_FIRST + 8);
    out8(PIC1_DATA, 4);
    out8(PIC2_DATA, 2);
    out8(PIC1_DATA, 1);
    out8(PIC2_DATA, 1);
    out8(PIC1_DATA, 0xff);
    out8(PIC2_DATA, 0xff);
}

void apic_init_cpu(struct cpu_arch *cpu)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    /* Out of x2APIC mode the way leads through the disabled state (SDM 3A 11.12.5). */
    if (base & APIC_BASE_X2APIC) {
        base &= ~(APIC_BASE_X2APIC | APIC_BASE_ENABLE);
        wrmsr(MSR_APIC_BASE, base);
    }
    wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);

    cpu->apic_id = apic_read(APIC_ID) >> 24;
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_LVT_TIMER, LVT_MASKED);
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, LVT_MASKED);
    apic_write(APIC_LVT_ERROR, LVT_MASKED);

    uint32_t last_lvt = apic_read(APIC_VERSION) >> 16 & 0xff;
    if (last_lvt >= 4)
        apic_write(APIC_LVT_PERF, LVT_MASKED);
    if (last_lvt >= 5)
        apic_write(APIC_LVT_THERMAL, LVT_MASKED);
    if (last_lvt >= 6)
        apic_write(APIC_LVT_CMCI, LVT_MASKED);
    apic_write(APIC_ESR, 0);
    apic_write(APIC_EOI, 0);
}

void apic_start_tick(uint32_t counts_per_ms)
{
    apic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, counts_per_ms * CONFIG_TIMER_TICK_MS);
}

void apic_start_count(void)
{
    apic_write(APIC_LVT_TIMER, LVT_MASKED);
    apic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
}

uint32_t apic_elapsed_count(void)
{
    return UINT32_MAX - apic_read(APIC_TIMER_CURRENT);
}

void apic_end_of_interrupt(void)
{
    apic_write(APIC_EOI, 0);
}

bool apic_interrupt_pending(void)
{
    for (unsigned word = VECTOR_IRQ_FIRST / 32; word <= VECTOR_IRQ_LAST / 32; word++)
        if (apic_read(APIC_IRR + word * 16) != 0)
            return true;
    return false;
}
