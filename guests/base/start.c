/* From either boot protocol to kernel_main(). */
#include "guests/base/kernel.h"

#define CMDLINE_MAX 256
#define LOW_MEMORY MIB
#define RAM 1 /* type of a range, in both protocols */

/* Linux: Documentation/arch/x86/boot.rst, zero-page.rst. */
#define BOOT_PARAMS_CMDLINE 0x228
#define BOOT_PARAMS_RANGES  0x1e8
#define BOOT_PARAMS_MAP     0x2d0
/* Xen: public/arch-x86/hvm/start_info.h. */
#define START_INFO_CMDLINE 24
#define START_INFO_MAP     40
#define START_INFO_RANGES  48

#define PM1_CONTROL    0x604
#define SLEEP_ENABLE   (1 << 13)
#define SLEEP_S5       (5 << 10)
#define DEBUG_EXIT     0x501
#define RESET_CONTROL  0xcf9

static char command_line[CMDLINE_MAX];

void kernel_start(uint64_t information, uint64_t by_pvh);

/* The machine may be a virtual one, where sleep type 5 is to power off, or QEMU's own, where it is 0; in Bochs it
 * stays on. */
void power_off(void)
{
    out16(PM1_CONTROL, SLEEP_ENABLE | SLEEP_S5);
    out16(PM1_CONTROL, SLEEP_ENABLE);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void reset(void)
{
    out8(RESET_CONTROL, 2);
    out8(RESET_CONTROL, 6);
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* The end of the RAM that begins at or below 1 MiB. */
static uint64_t end_of_ram(const uint8_t *map, unsigned ranges, unsigned stride)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < ranges; i++, map += stride) {
        uint64_t start, bytes;
        uint32_t type;

        memcpy(&start, map, sizeof start);
        memcpy(&bytes, map + 8, sizeof bytes);
        memcpy(&type, map + 16, sizeof type);
        if (type == RAM && start <= LOW_MEMORY && start + bytes > LOW_MEMORY)
            end = start + bytes;
    }
    return end < GIB ? end : GIB;
}

static void copy_command_line(uint64_t physical)
{
    const char *text = VIRTUAL(physical);

    for (unsigned i = 0; physical && i < CMDLINE_MAX - 1 && text[i]; i++)
        command_line[i] = text[i];
}

static void set_up_processor(void)
{
    uint64_t cr4 = READ_CR(4) | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    if (cpuid(1, 0).c & C1_XSAVE)
        cr4 |= CR4_OSXSAVE;
    if (cpuid(0, 0).a >= 7 && (cpuid(7, 0).b & B7_FSGSBASE))
        cr4 |= CR4_FSGSBASE;
    WRITE_CR(0, (READ_CR(0) & ~(CR0_TS | CR0_EM)) | CR0_WP | CR0_NE | CR0_MP);
    WRITE_CR(4, cr4);
    if (cpuid(0x80000001, 0).d & DE_NX)
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
    wrmsr(MSR_STAR, (uint64_t)SELECTOR_USER_CODE32 << 48 | (uint64_t)SELECTOR_CODE << 32);
    wrmsr(MSR_LSTAR, (uint64_t)take_syscall);
    wrmsr(MSR_FMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
    if (cr4 & CR4_OSXSAVE)
        __asm__ volatile("xsetbv" : : "c"(0), "a"(cpuid(0xd, 0).a), "d"(cpuid(0xd, 0).d));
}

void kernel_start(uint64_t information, uint64_t by_pvh)
{
    const uint8_t *info = VIRTUAL(information);
    uint64_t cmdline = 0, map;
    uint32_t ranges;
    uint64_t end;

    if (by_pvh) {
        memcpy(&cmdline, info + START_INFO_CMDLINE, 8);
        memcpy(&map, info + START_INFO_MAP, 8);
        memcpy(&ranges, info + START_INFO_RANGES, 4);
        end = end_of_ram(VIRTUAL(map), ranges, 24);
    } else {
        memcpy(&cmdline, info + BOOT_PARAMS_CMDLINE, 4);
        end = end_of_ram(info + BOOT_PARAMS_MAP, info[BOOT_PARAMS_RANGES], 20);
    }
    copy_command_line(cmdline);
    descriptors_init();
    wrmsr(MSR_GS_BASE, (uint64_t)&cpu);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    set_up_processor();
    if (end == 0) {
        print("# the memory map has no memory at 1 MiB\n");
        power_off();
    }
    memory_init(0, end);
    kernel_main(command_line);
    power_off();
}
