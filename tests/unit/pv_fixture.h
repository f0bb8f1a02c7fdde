/* A guest in PV mode for tests of its virtual CPU: the guest of guest_fixture.h with descriptor tables, a TSS, stacks, and a
 * page of code and a stack for programs. */
#pragma once

#include "tests/unit/guest_fixture.h"
#include "vmm/pv/deliver.h"
#include "vmm/pv/privileged.h"

#define PV_GDT          UINT64_C(0x9000)
#define PV_IDT          UINT64_C(0xa000)
#define PV_TSS          UINT64_C(0xb000)
#define PV_IST          UINT64_C(0xb800) /* end of the stack of IST 1 */
#define PV_KERNEL_STACK UINT64_C(0xcff8) /* rsp of the kernel */
#define PV_RSP0         UINT64_C(0xcf00)
#define PV_USER_CODE    UINT64_C(0xd000)
#define PV_USER_STACK   UINT64_C(0xeff8)

enum pv_selector {
    PV_KERNEL_CODE = 0x08, PV_KERNEL_DATA = 0x10, PV_USER_DATA = 0x1b, PV_USER_CODE_64 = 0x23, PV_TSS_BUSY = 0x28,
    PV_CONFORMING = 0x38, PV_CODE_32 = 0x40, PV_ABSENT = 0x48, PV_LDT = 0x50, PV_TSS_FREE = 0x60, PV_READ_ONLY = 0x70,
    PV_CALL_GATE = 0x78, PV_GDT_END = 0x88,
};

#define PV_HANDLER(vector) (KERNEL_BASE + 0x7000 + (vector) * 8)

struct pv_fixture {
    struct guest_fixture *guest;
    struct vcpu *vcpu;
    struct pv_cpu cpu;
    struct vcpu_exit exit;
    uint64_t written[32]; /* guest physical addresses that the CPU says it has written */
    unsigned written_count;
    bool is_patched;      /* what it hears when it asks */
};

struct pv_fixture *pv_create(void);
void pv_destroy(struct pv_fixture *pv);

void pv_enter_kernel(struct pv_fixture *pv);
void pv_enter_user(struct pv_fixture *pv);

uint64_t pv_word(struct pv_fixture *pv, uint64_t physical);
void pv_set_word(struct pv_fixture *pv, uint64_t physical, uint64_t value);
uint64_t *pv_gate(struct pv_fixture *pv, unsigned vector);
uint64_t *pv_descriptor(struct pv_fixture *pv, unsigned selector);

/* Executes the LENGTH bytes of CODE where the virtual CPU's code is, as after a #GP. */
enum privileged_result pv_execute(struct pv_fixture *pv, const void *code, unsigned length);
#define EXECUTE(pv, ...) pv_execute(pv, (const uint8_t[]) { __VA_ARGS__ }, sizeof (const uint8_t[]) { __VA_ARGS__ })
