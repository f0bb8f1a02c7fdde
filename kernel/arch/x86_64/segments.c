#include <arch/x86_64/segments.h>

#include <arch/x86_64/x86.h>

/* A property of the machine. */
static bool has_fsgsbase;

void segments_init(bool fsgsbase)
{
    has_fsgsbase = fsgsbase;
}

static void set_user_gs_base(struct cpu_arch *cpu, uint64_t base)
{
    if (cpu->loaded_gs_base == base)
        return;
    cpu->loaded_gs_base = base;
    if (has_fsgsbase)
        __asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(base));
    else
        wrmsr(MSR_KERNEL_GS_BASE, base);
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
    set_user_gs_base(cpu, context->gs_base);
}

void segments_enter_guest(struct cpu_arch *cpu, uint64_t kernel_gs_base)
{
    set_user_gs_base(cpu, kernel_gs_base);
}

uint64_t segments_leave_guest(struct cpu_arch *cpu, uint64_t fs_base)
{
    uint64_t gs_base;

    if (has_fsgsbase)
        __asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(gs_base));
    else
        gs_base = rdmsr(MSR_KERNEL_GS_BASE);
    cpu->loaded_fs_base = fs_base;
    cpu->loaded_gs_base = gs_base;
    return gs_base;
}
