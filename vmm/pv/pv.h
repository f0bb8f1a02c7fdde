/* The back end for PV mode: the guest is a thread in ring 3, its kernel as well as its programs (docs/pv-mode.md). What
 * makes the thread stop is dealt with here as far as it is PV mode's own business: the shadow page tables, instructions
 * that a kernel may execute and ring 3 may not, delivery of exceptions and interrupts. The rest becomes an exit as with
 * the other back ends. Pure but for what thread.h and mapping.h do. */
#pragma once

#include "vmm/emulate.h"
#include "vmm/pv/cpu.h"
#include "vmm/pv/mapping.h"
#include "vmm/pv/patch.h"
#include "vmm/pv/privileged.h"
#include "vmm/pv/pvm.h"
#include "vmm/pv/shadow.h"
#include "vmm/pv/thread.h"
#include "vmm/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct pv_counts {
    uint64_t syscalls, exceptions, page_faults, notifications; /* why the thread stopped */
    uint64_t events;                  /* delivered through the guest's IDT */
    uint64_t steps;                   /* single steps behind STI */
    uint64_t pages_scanned;           /* for sensitive instructions, when first executed */
    uint64_t tables_written, written_otherwise; /* stores to page tables that were carried out, or made possible */
};

struct pv {
    struct vcpu *vcpu;
    struct pv_cpu cpu;
    bool speaks_pvm; /* the guest knows where it runs: nothing is patched, and the functions of pvm.h stand in for others */
    struct pvm pvm;
    struct pv_thread thread;
    struct mapping mapping;
    struct shadow *shadow;
    struct emulator emulator; /* for stores to page tables and code */
    const struct guest_memory *memory;
    struct patch_policy patch_policy;
    struct patch_report patched; /* in pages that were first executed later */

    uint64_t root;            /* capability of the address space that the thread is in */
    uint64_t resumed_at;      /* rip when it was last let go on */
    bool stepping;            /* for one instruction, to come back behind it */
    bool fpu_forbidden;
    bool notified;            /* there is a notification that has not been passed on */
    uint64_t notification;
    struct pv_counts counts;
    char problem[160];        /* why the guest cannot go on, after an exit with BAD_STATE */
};

struct pv_parts {
    struct guest_memory *memory; /* gets an observer */
    struct bus *bus;
    struct pv_thread_parts thread; /* but for the root */
    struct mapping_source mapping; /* with the limits of all pools */
    void *(*allocate)(uint64_t bytes); /* zeroed */
    unsigned physical_bits;        /* as CPUID says */
};

/* Bytes that `allocate` will be asked for. */
uint64_t pv_bytes(const struct guest_memory *memory, const struct shadow_limits *limits);

/* Makes VCPU one of PV mode. NULL, or why it cannot be. */
const char *pv_init(struct pv *pv, struct vcpu *vcpu, const struct pv_parts *parts);

/* The guest's kernel lies in its memory. Its sensitive instructions are found and replaced; what was found is in *REPORT.
 * NULL, or why it cannot run in PV mode. */
const char *pv_patch_kernel(struct pv *pv, const uint8_t *image, uint64_t length, struct patch_report *report);

/* The same for a kernel that speaks PVM, once the registers of its start are in the vcpu. */
const char *pv_start_pvm(struct pv *pv);

/* A few lines for the end. */
void pv_write_counts(const struct pv *pv, trace_line *line, void *context);
