/* Intel 82093AA: index register, data window, one 64-bit entry a pin. */
#include <arch/x86_64/ioapic.h>

#include <sel4/config.h>
#include <arch/x86_64/window.h>

#define IOAPIC_INDEX 0x00
#define IOAPIC_DATA  0x10

#define REG_VERSION        1
#define REG_ENTRY(pin)     (0x10 + 2 * (pin))
#define ENTRY_ACTIVE_LOW   (1u << 13)
#define ENTRY_LEVEL        (1u << 15)
#define ENTRY_MASKED       (1u << 16)
#define ENTRY_VECTOR       0xffu
#define ENTRY_TARGET_SHIFT 24

/* The controllers are hardware shared by all CPUs. */
static unsigned controllers;
static uint8_t pins[CONFIG_MAX_NUM_IOAPIC];
static uint8_t target;

static volatile uint32_t *ioapic_register(unsigned ioapic, uint32_t offset)
{
    return (volatile uint32_t *)(DEVICE_IOAPIC + ioapic * 4096ul + offset);
}

static uint32_t ioapic_read(unsigned ioapic, uint32_t reg)
{
    *ioapic_register(ioapic, IOAPIC_INDEX) = reg;
    return *ioapic_register(ioapic, IOAPIC_DATA);
}

static void ioapic_write(unsigned ioapic, uint32_t reg, uint32_t value)
{
    *ioapic_register(ioapic, IOAPIC_INDEX) = reg;
    *ioapic_register(ioapic, IOAPIC_DATA) = value;
}

void ioapic_init(unsigned count, uint8_t target_apic_id)
{
    controllers = count;
    target = target_apic_id;
    for (unsigned i = 0; i < count; i++) {
        uint32_t last_pin = ioapic_read(i, REG_VERSION) >> 16 & 0xff;
        pins[i] = (uint8_t)(last_pin < 240 ? last_pin + 1 : 240);
        for (unsigned pin = 0; pin < pins[i]; pin++) {
            ioapic_write(i, REG_ENTRY(pin), ENTRY_MASKED);
            ioapic_write(i, REG_ENTRY(pin) + 1, (uint32_t)target << ENTRY_TARGET_SHIFT);
        }
    }
}

unsigned ioapic_count(void)
{
    return controllers;
}

unsigned ioapic_pins(unsigned ioapic)
{
    return ioapic < controllers ? pins[ioapic] : 0;
}

void ioapic_route(unsigned ioapic, unsigned pin, bool level, bool low, uint8_t vector)
{
    ioapic_write(ioapic, REG_ENTRY(pin), ENTRY_MASKED);
    ioapic_write(ioapic, REG_ENTRY(pin) + 1, (uint32_t)target << ENTRY_TARGET_SHIFT);
    ioapic_write(ioapic, REG_ENTRY(pin), ENTRY_MASKED | (level ? ENTRY_LEVEL : 0) | (low ? ENTRY_ACTIVE_LOW : 0) | vector);
}

void ioapic_mask(unsigned ioapic, unsigned pin, bool masked)
{
    if (pin >= ioapic_pins(ioapic))
        return;

    uint32_t entry = ioapic_read(ioapic, REG_ENTRY(pin));
    if ((entry & ENTRY_VECTOR) < 32)
        return;
    ioapic_write(ioapic, REG_ENTRY(pin), masked ? entry | ENTRY_MASKED : entry & ~ENTRY_MASKED);
}
