/* The virtual machine control block as the processor lays it out (AMD64 APM 2 appendix B), as far as the kernel uses it. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <lib/assert.h>
#include <sel4/vmcb.h>

struct vmcb_segment {
    uint16_t selector, attributes;
    uint32_t limit;
    uint64_t base;
};

struct vmcb {
    uint32_t intercept_cr, intercept_dr, intercept_exceptions;
    uint32_t intercept_1, intercept_2, intercept_3;
    uint32_t reserved_018[9];
    uint16_t pause_threshold, pause_count;
    uint64_t io_permissions, msr_permissions, tsc_offset;
    uint32_t asid;
    uint32_t tlb_control;
    uint64_t virtual_interrupt, interrupt_shadow;
    uint64_t exit_code, exit_info_1, exit_info_2, exit_interrupted_event;
    uint64_t nested_paging;
    uint64_t reserved_098[2];
    uint64_t event_injection, nested_cr3;
    uint64_t reserved_0b8;
    uint64_t clean, next_rip;
    uint8_t fetched_bytes[16];
    uint8_t reserved_0e0[0x400 - 0x0e0];

    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t reserved_4a0[0x4cb - 0x4a0];
    uint8_t cpl;
    uint32_t reserved_4cc;
    uint64_t efer;
    uint8_t reserved_4d8[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved_580[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t reserved_5e0[0x5f8 - 0x5e0];
    uint64_t rax, star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t reserved_648[0x668 - 0x648];
    uint64_t pat;
    uint8_t reserved_670[0x1000 - 0x670];
};

/* From VMCB_ES on, as far as the kernel knows it. */
#define VMCB_SAVE_AREA_BYTES (offsetof(struct vmcb, reserved_670) - VMCB_ES)

static_assert(sizeof(struct vmcb) == 4096, "one page");
static_assert(offsetof(struct vmcb, pause_threshold) == VMCB_PAUSE_THRESHOLD, "APM 2 table B-1");
static_assert(offsetof(struct vmcb, virtual_interrupt) == VMCB_VIRTUAL_INTERRUPT, "APM 2 table B-1");
static_assert(offsetof(struct vmcb, event_injection) == VMCB_EVENT_INJECTION, "APM 2 table B-1");
static_assert(offsetof(struct vmcb, next_rip) == VMCB_NEXT_RIP, "APM 2 table B-1");
static_assert(offsetof(struct vmcb, es) == VMCB_ES, "APM 2 table B-2");
static_assert(offsetof(struct vmcb, cpl) == VMCB_CPL, "APM 2 table B-2");
static_assert(offsetof(struct vmcb, efer) == VMCB_EFER, "APM 2 table B-2");
static_assert(offsetof(struct vmcb, cr4) == VMCB_CR4, "APM 2 table B-2");
static_assert(offsetof(struct vmcb, rip) == VMCB_RIP, "APM 2 table B-2");
static_assert(offsetof(struct vmcb, rsp) == VMCB_RSP, "APM 2 table B-2");
static_assert(offsetof(struct vmcb, star) == VMCB_STAR, "APM 2 table B-2");
static_assert(offsetof(struct vmcb, cr2) == VMCB_CR2, "APM 2 table B-2");
static_assert(offsetof(struct vmcb, pat) == VMCB_PAT, "APM 2 table B-2");
