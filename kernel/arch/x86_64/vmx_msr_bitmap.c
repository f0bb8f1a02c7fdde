/* Which model specific registers a guest has to itself: those that entries and exits switch (SDM 3C 25.6.9). */
#include <arch/x86_64/vmx.h>

#include <arch/x86_64/memory.h>
#include <arch/x86_64/x86.h>
#include <lib/string.h>

#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

#define MSRS_A_RANGE 0x2000u

/* A set bit: an exit. Reads, then writes; low registers, then those from 0xc0000000. The processor's structure. */
static struct {
    uint8_t low_read[MSRS_A_RANGE / 8], high_read[MSRS_A_RANGE / 8];
    uint8_t low_write[MSRS_A_RANGE / 8], high_write[MSRS_A_RANGE / 8];
} bitmap __attribute__((section(".bss.pages"), aligned(4096)));

_Static_assert(sizeof bitmap == 4096, "SDM 3C 25.6.9");

static const uint32_t guests_own[] = {
    MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
};

static void give(uint8_t *low, uint8_t *high, uint32_t msr)
{
    uint8_t *map = msr < MSRS_A_RANGE ? low : high;
    unsigned bit = msr % MSRS_A_RANGE;

    map[bit / 8] &= (uint8_t)~(1u << bit % 8);
}

void vmx_fill_msr_bitmap(void)
{
    memset(&bitmap, 0xff, sizeof bitmap);
    for (unsigned i = 0; i < sizeof guests_own / sizeof *guests_own; i++) {
        give(bitmap.low_read, bitmap.high_read, guests_own[i]);
        give(bitmap.low_write, bitmap.high_write, guests_own[i]);
    }
}

uint64_t vmx_msr_bitmap(void)
{
    return kernel_to_physical(&bitmap);
}
