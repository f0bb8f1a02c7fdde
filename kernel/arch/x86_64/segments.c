#include <arch/x86_64/segments.h>

#include <arch/x86_64/x86.h>

/* No canonical address, hence never a base. */
#define BASE_UNKNOWN 0x8000000000000000ul

/* A property of the machine. */
static bool has_fsgsbase;

void segments_init(bool fsgsbase)
{
    has_fsgsbase = fsgsbase;
}

void segments_save(struct cpu_arch *cpu, struct context *context)
{
    if (has_fsgsbase) {
        uint64_t fs_base, gs_base;
        __asm__ volatile("rdfsbase %0; swapgs; rdgsbase %1; swapgs" : "=r"(fs_base), "=r"(gs_base));
        cpu->loaded_fs_base = context->fs_base = fs_base;
        cpu->loaded_gs_base = context->gs_base = gs_base;
    }
}

void segments_load(struct cpu_arch *cpu, const struct context *context)
{
    if (cpu->loaded_fs_base != context->fs_base) {
        cpu->loaded_fs_base = context->fs_base;
        if (has_fsgsbase)
            __asm__ volatile("wrfsbase %0" : : "r"(context->fs_base));
        else
            wrmsr(MSR_FS_BASE, context->fs_base);
    }
    if (cpu->loaded_gs_base != context->gs_base) {
        cpu->loaded_gs_base = context->gs_base;
        if (has_fsgsbase)
            __asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(context->gs_base));
        else
            wrmsr(MSR_KERNEL_GS_BASE, context->gs_base);
    }
}

void segments_forget(struct cpu_arch *cpu)
{
    cpu->loaded_fs_base = BASE_UNKNOWN;
    cpu->loaded_gs_base = BASE_UNKNOWN;
}
