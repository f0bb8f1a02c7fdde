/* User programs: changing to one and coming back. */
#include "guests/base/kernel.h"

struct cpu cpu;

uint64_t run_user(struct user *user)
{
    static uint64_t fs_base;

    cpu.user = user;
    cpu.user_end = &user->frame + 1;
    /* One table for both, in which a bit that does not count tells the two apart. */
    if (READ_CR(3) != user->root)
        hypercall(PVM_LOAD_PGTBL, 0, user->root, user->root | 1);
    if (fs_base != user->fs_base)
        wrmsr(MSR_FS_BASE, fs_base = user->fs_base);
    enter_user();
    return user->frame.vector;
}
