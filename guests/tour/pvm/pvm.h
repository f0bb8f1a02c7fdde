/* The kernel's side of the PVM guest ABI: docs/pvm.md. What cpu.h does by instructions is here memory, or a call. */
#pragma once

#include <stdint.h>

#define PVM_MSR(n) (0x4b564df0u + (n))
#define PVM_RANGE  0
#define PVM_STRUCT 1
#define PVM_SUPERVISOR_RSP 2
#define PVM_RED_ZONE 3
#define PVM_ENTRY  4
#define PVM_RETU   5
#define PVM_RETS   6
#define PVM_SWITCH_CR3 7

#define PVM_LOAD_PGTBL        0x17088200ul
#define PVM_IRQ_WIN           0x17088201ul
#define PVM_IRQ_HALT          0x17088202ul
#define PVM_TLB_FLUSH         0x17088203ul
#define PVM_TLB_FLUSH_CURRENT 0x17088204ul
#define PVM_TLB_INVLPG        0x17088205ul
#define PVM_LOAD_GS           0x17088206ul
#define PVM_RDMSR             0x17088207ul
#define PVM_WRMSR             0x17088208ul
#define PVM_LOAD_TLS          0x17088209ul

#define PVM_INTERRUPT_WAITS 0x100ul /* in event_flags; beside it RFLAGS_IF */

struct shared {
    uint64_t event_flags;
    uint32_t error, vector;
    uint64_t cr2, reserved0[5];
    uint16_t cs, ss;
    uint32_t reserved1;
    uint64_t reserved2, gs_base;
    uint32_t rflags, pkru;
    uint64_t rip, rsp, rcx, r11;
    uint8_t unused[4096 - 128];
};
extern volatile struct shared shared;

static inline uint64_t hypercall(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t r10 __asm__("r10") = b;

    __asm__ volatile("syscall" : "+a"(number), "+r"(r10) : "b"(a), "d"(c) : "rcx", "r11", "memory");
    return number;
}
