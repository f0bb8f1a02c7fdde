/* A PVM guest for tests: the guest of guest_fixture.h, with its shared page, its MSRs set, in supervisor mode. */
#pragma once

#include "tests/unit/guest_fixture.h"
#include "vmm/pv/pvm.h"

#define SHARED_PAGE UINT64_C(0x9000)
#define ENTRY       UINT64_C(0xffff900000010000)
#define SYSCALLS    UINT64_C(0xffff900000020000) /* where MSR_LSTAR is */
#define RETU        UINT64_C(0xffff900000030000)
#define RETS        UINT64_C(0xffff900000030010)
#define STACK_TOP   (KERNEL_BASE + UINT64_C(0xb000))
#define OTHER_CR3   UINT64_C(0x5001) /* the program's */
#define KERNEL_GS   UINT64_C(0xffff900000040000)
#define USER_GS     UINT64_C(0x00007f0000001000)

#define RANGE_FIRST 256u
#define RANGE_LAST  508u

#define WRITES_MAX 8u

struct pvm_fixture {
    struct guest_fixture *guest;
    struct vcpu *vcpu;
    struct pv_cpu cpu;
    struct pvm pvm;
    struct pvm_vcpu_struct *shared;
    struct { uint64_t physical, length; } write[WRITES_MAX]; /* that the monitor has told of, the first ones */
    unsigned writes;
};

/* In the place of privileged.c: what has been left to it. */
extern unsigned privileged_calls;
extern uint8_t privileged_vector;
extern uint32_t privileged_error;

/* Directly after pvm_init; and with everything set up. */
struct pvm_fixture *pvm_fixture_bare(void);
struct pvm_fixture *pvm_fixture_create(void);
void pvm_fixture_destroy(struct pvm_fixture *fixture);

/* Whether the MSR takes the value; what it has. */
bool pvm_fixture_set(struct pvm_fixture *fixture, unsigned msr, uint64_t value);
uint64_t pvm_fixture_get(struct pvm_fixture *fixture, unsigned msr);

/* In a program, with registers of which each has a value of its own. */
void pvm_fixture_run_program(struct pvm_fixture *fixture);
uint64_t pvm_fixture_register(struct pvm_fixture *fixture, enum vcpu_register reg);
