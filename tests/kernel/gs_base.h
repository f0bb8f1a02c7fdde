/* The base of GS, which nothing in the test program uses otherwise. */
#pragma once

#include <sel4/sel4.h>

static inline seL4_Word gs_base(void)
{
    seL4_Word base;
    __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

static inline void set_gs_base(seL4_Word base)
{
    __asm__ volatile("wrgsbase %0" : : "r"(base));
}
