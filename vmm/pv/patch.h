/* Instructions that ring 3 may execute and that do not do there what they do in ring 0: the scanner finds them in a guest
 * kernel's code and puts another opcode in their place, which is undefined in 64-bit mode, so that they trap. Pure.
 *
 * Each kind has an opcode of its own; all other bytes stay, so that a patched instruction says what it was wherever the
 * guest copies it, and has its length. VMCALL and VMMCALL become SYSCALL and NOP.
 */
#pragma once

#include "vmm/guest_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum patch_kind {
    PATCH_PUSHF,        /* all widths, as of the other kinds */
    PATCH_POPF,
    PATCH_IRET,
    PATCH_SELECTORS,    /* 0f 00: SLDT, STR, VERR, VERW */
    PATCH_TABLES,       /* 0f 01: SGDT, SIDT, SMSW, RDTSCP */
    PATCH_RIGHTS,       /* 0f 02, 0f 03: LAR, LSL */
    PATCH_CPUID,        /* 0f a2 */
    PATCH_TSC,          /* 0f 31: RDTSC, where the policy hides it */
    PATCH_RET_FAR,
    PATCH_RET_FAR_POP,  /* with an immediate */
    PATCH_FAR,          /* ff /3, ff /5: far CALL and JMP */
    PATCH_FROM_SEGMENT, /* MOV from segment registers */
    PATCH_TO_SEGMENT,
    PATCH_STACK_SEGMENT, /* 0f a0, a1, a8, a9: PUSH and POP of FS and GS */
    PATCH_FAR_POINTER,  /* 0f b2, b4, b5: LSS, LFS, LGS */
    PATCH_HYPERCALL,    /* VMCALL, VMMCALL */
    PATCH_KIND_COUNT,
};

struct patch_policy {
    bool hide_tsc; /* RDTSC and RDTSCP are to trap */
};

#define PATCH_FAILURES_KEPT 16u

/* What scanning has found; counts add up over calls.
 *
 * Code that overlaps itself, depending on where execution begins, can have an instruction that cannot be patched, or only
 * with an operand of another one: a failure. */
struct patch_report {
    uint64_t count[PATCH_KIND_COUNT];
    uint64_t already;     /* found patched */
    uint64_t undecodable; /* bytes that are no instruction, behind which the scanner began anew */
    uint64_t failures;
    /* Of these, returns and jumps to code of another privilege (IRET, far RET, JMP, CALL) that have been left as they are:
     * they would let a guest's program run with its kernel's memory. */
    uint64_t isolation;
    struct { uint64_t address; enum patch_kind kind; } failure[PATCH_FAILURES_KEPT];
};

/* Code as it lies in guest memory: LENGTH BYTES at linear ADDRESS. STARTS are addresses where instructions begin, in
 * ascending order (symbols, the entry); those outside are skipped. From each the code is read up to the next one; where a
 * byte is no instruction, reading begins anew behind it. */
struct patch_code {
    uint8_t *bytes;
    size_t length;
    uint64_t address;
    const uint64_t *starts;
    size_t start_count;
};

void patch_scan(const struct patch_code *code, const struct patch_policy *policy, struct patch_report *report);

#define PATCH_PAGE_BYTES 4096u

/* A page that is executed for the first time, at OFFSET: of the instruction at rip, from -14 (it begins in the page before)
 * to 4095. PREVIOUS and NEXT are the pages beside it in linear memory, which are only read: PREVIOUS where it is code that
 * has been looked through (else NULL), NEXT where there is memory. True: an instruction that begins in this page has its
 * opcode in NEXT; if NEXT has been looked through before, it must be again before it is executed. */
struct patch_page {
    uint8_t *page;
    const uint8_t *previous, *next;
    uint64_t address; /* linear, of the page */
    int offset;
};

bool patch_page(const struct patch_page *page, const struct patch_policy *policy, struct patch_report *report);

/* The executable segments of an ELF kernel that the loader has put into guest memory at their physical addresses: IMAGE is
 * the file. NULL, or why it cannot run in PV mode (static text). */
const char *patch_elf(const uint8_t *image, uint64_t length, const struct guest_memory *memory,
                      const struct patch_policy *policy, struct patch_report *report);

const char *patch_kind_name(enum patch_kind kind);

/* If the LENGTH bytes at BYTES begin (behind prefixes) with a patched opcode: puts what it was back, and says in *OFFSET
 * where. False: it is none, and nothing is changed. */
bool patch_undo(uint8_t *bytes, unsigned length, unsigned *offset, enum patch_kind *kind);
