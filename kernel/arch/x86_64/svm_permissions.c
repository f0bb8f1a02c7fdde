/* Which model specific registers a guest has to itself (APM 2 15.11): those that VMLOAD and VMSAVE switch. */
#include <arch/x86_64/svm.h>

#include <arch/x86_64/memory.h>
#include <arch/x86_64/x86.h>
#include <lib/string.h>

#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

#define MSRS_A_RANGE 0x2000u

/* Two bits a register, for reads and writes; set: an exit. Registers from 0, 0xc0000000, 0xc0010000 on. */
static uint8_t permissions[4][MSRS_A_RANGE / 4] __attribute__((section(".bss.pages"), aligned(4096)));

static const uint32_t guests_own[] = {
    MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
    MSR_STAR,        MSR_LSTAR,        MSR_CSTAR,        MSR_FMASK,
};

void svm_fill_msr_permissions(void)
{
    memset(permissions, 0xff, sizeof permissions);
    for (unsigned i = 0; i < sizeof guests_own / sizeof *guests_own; i++) {
        uint32_t msr = guests_own[i], index = msr % MSRS_A_RANGE;

        permissions[msr < MSRS_A_RANGE ? 0 : 1][index / 4] &= (uint8_t)~(3u << index % 4 * 2);
    }
}

uint64_t svm_msr_permissions(void)
{
    return kernel_to_physical(permissions);
}
