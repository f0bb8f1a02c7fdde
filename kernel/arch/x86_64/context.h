/* The registers of a user thread while it is not running. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <arch/x86_64/layout.h>

/* Registers in the order in which the entry code stores them, straight into this structure: the last seven words are
 * what the processor and the entry stub push, so the stack pointer of ring 0 (TSS) points at the end of the current
 * thread's one. That end must be a multiple of 16 (SDM 3A 6.14.2). */
struct context {
    uint64_t rdi; /* capability pointer of a system call, badge on return */
    uint64_t rsi; /* message tag */
    uint64_t rax, rbx, rbp, r12, r13, r14;
    uint64_t rdx; /* number of a system call */
    uint64_t r10, r8, r9, r15; /* message registers 0 to 3 */
    uint64_t r11, rcx;
    int64_t entry;  /* a vector, ENTRY_SYSCALL, or ENTRY_NONE: all registers must be loaded when it runs again */
    uint64_t error; /* error code of an exception */
    uint64_t rip;   /* where the thread goes on */
    uint64_t cs, rflags, rsp, ss;

    uint64_t fault_ip; /* the instruction that entered the kernel; for a system call rip - 2 */
    uint64_t fs_base, gs_base;
    uint64_t reserved;
} __attribute__((aligned(16)));

_Static_assert(offsetof(struct context, entry) == CONTEXT_ENTRY, "known to entry.S");
_Static_assert(offsetof(struct context, rip) == CONTEXT_RIP, "known to entry.S");
_Static_assert(offsetof(struct context, rflags) == CONTEXT_RFLAGS, "known to entry.S");
_Static_assert(offsetof(struct context, rsp) == CONTEXT_RSP, "known to entry.S");
_Static_assert(offsetof(struct context, fault_ip) == CONTEXT_END, "known to entry.S");

#define RFLAGS_FIXED 0x2
#define RFLAGS_TF    0x100
#define RFLAGS_IF    0x200
#define RFLAGS_DF    0x400
#define RFLAGS_NT    0x4000
#define RFLAGS_RF    0x10000
#define RFLAGS_AC    0x40000

/* CF PF AF ZF SF TF DF OF NT RF AC ID: what a user thread may have set. */
#define RFLAGS_USER 0x254dd5

/* Rflags that a user thread can run with, made out of VALUE: interrupts on, I/O privilege level 0, and as upstream no
 * single-stepping. */
static inline uint64_t context_sanitise_rflags(uint64_t value)
{
    return (value & RFLAGS_USER & ~(uint64_t)(RFLAGS_TF | RFLAGS_NT)) | RFLAGS_FIXED | RFLAGS_IF;
}

/* Canonical: bits 63 to 47 are equal. */
static inline bool address_is_canonical(uint64_t address)
{
    return (int64_t)(address << 16) >> 16 == (int64_t)address;
}

/* ADDRESS, or 0 where no canonical address; for instruction pointers and segment bases given by a user. */
static inline uint64_t context_sanitise_address(uint64_t address)
{
    return address_is_canonical(address) ? address : 0;
}

/* Sets up the registers of a new thread: all zero, user segments, interrupts on. */
void context_init(struct context *context);
