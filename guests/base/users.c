/* User programs: changing to one and coming back. */
#include "guests/base/kernel.h"

struct cpu cpu;

uint64_t run_user(struct user *user)
{
    static uint64_t fs_base;

    cpu.user = user;
    cpu.user_end = &user->frame + 1;
    tss.rsp[0] = (uint64_t)cpu.user_end;
    if (READ_CR(3) != user->root)
        WRITE_CR(3, user->root);
    if (fs_base != user->fs_base)
        wrmsr(MSR_FS_BASE, fs_base = user->fs_base);
    if (user->by_sysret)
        enter_user_by_sysret();
    else
        enter_user();
    return user->frame.vector;
}
