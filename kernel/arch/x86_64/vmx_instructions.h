/* VMX instructions (SDM 3C chapter 31). Those that act on the current VMCS expect that there is one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sel4/vmcs.h>

/* All of these answer whether they succeeded. The operand of the first three is a physical address. */

static inline bool vmxon(uint64_t region)
{
    bool done;
    __asm__ volatile("vmxon %1" : "=@cca"(done) : "m"(region) : "memory");
    return done;
}

static inline bool vmclear(uint64_t vmcs)
{
    bool done;
    __asm__ volatile("vmclear %1" : "=@cca"(done) : "m"(vmcs) : "memory");
    return done;
}

static inline bool vmptrld(uint64_t vmcs)
{
    bool done;
    __asm__ volatile("vmptrld %1" : "=@cca"(done) : "m"(vmcs) : "memory");
    return done;
}

/* 0 for a field that the processor does not have. */
static inline uint64_t vmread(enum vmcs_field field)
{
    uint64_t value = 0;
    __asm__ volatile("vmread %1, %0" : "+r"(value) : "r"((uint64_t)field) : "cc");
    return value;
}

/* Does nothing for a field that the processor does not have. */
static inline void vmwrite(enum vmcs_field field, uint64_t value)
{
    __asm__ volatile("vmwrite %0, %1" : : "r"(value), "r"((uint64_t)field) : "cc", "memory");
}

/* What INVEPT and INVVPID act on, as far as the kernel uses it. */
#define INVALIDATE_ONE_CONTEXT  1ul
#define INVALIDATE_ALL_CONTEXTS 2ul

struct invalidation {
    uint64_t context, address;
};

static inline void invept(uint64_t type, struct invalidation what)
{
    __asm__ volatile("invept %0, %1" : : "m"(what), "r"(type) : "cc", "memory");
}

static inline void invvpid(uint64_t type, struct invalidation what)
{
    __asm__ volatile("invvpid %0, %1" : : "m"(what), "r"(type) : "cc", "memory");
}
