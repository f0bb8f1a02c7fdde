/* Physical memory in the kernel's window. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <arch/x86_64/layout.h>

/* Where the kernel sees physical address ADDRESS. */
static inline void *physical_to_kernel(uint64_t address)
{
    return (void *)(KERNEL_WINDOW + address);
}

/* The physical address behind a kernel pointer. */
static inline uint64_t kernel_to_physical(const void *pointer)
{
    return (uint64_t)pointer - KERNEL_WINDOW;
}
