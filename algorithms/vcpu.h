/* The state of one virtual CPU as the monitor sees it, however the CPU is run.
 *
 * Registers live in the back end (VMCS, VMCB, thread context) and are fetched when they are first asked for and written
 * back, where changed, before the guest goes on: `valid` and `dirty` say which. A back end fills vcpu_operations and
 * turns each of its exits into a struct vcpu_exit; everything else in the monitor knows only this.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Order of the general registers: the processor's own numbers (SDM 2A 2.1.5). */
enum vcpu_register {
    VCPU_RAX, VCPU_RCX, VCPU_RDX, VCPU_RBX, VCPU_RSP, VCPU_RBP, VCPU_RSI, VCPU_RDI,
    VCPU_R8, VCPU_R9, VCPU_R10, VCPU_R11, VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15,
    VCPU_RIP, VCPU_RFLAGS,
    VCPU_CR0, VCPU_CR2, VCPU_CR3, VCPU_CR4, VCPU_XCR0, VCPU_DR7,
    VCPU_EFER, VCPU_PAT,
    VCPU_STAR, VCPU_LSTAR, VCPU_CSTAR, VCPU_FMASK, VCPU_KERNEL_GS_BASE,
    VCPU_SYSENTER_CS, VCPU_SYSENTER_ESP, VCPU_SYSENTER_EIP,
    VCPU_GDTR_BASE, VCPU_GDTR_LIMIT, VCPU_IDTR_BASE, VCPU_IDTR_LIMIT,
    VCPU_PDPTE0, VCPU_PDPTE1, VCPU_PDPTE2, VCPU_PDPTE3, /* as the CPU holds them in PAE paging */
    VCPU_INTERRUPTIBILITY, /* VCPU_BLOCKED_BY_… */
    VCPU_PENDING_DEBUG,    /* debug exceptions that come when the guest goes on: SDM 3C 25.4.2 */
    VCPU_SEGMENT_FIRST, /* six of four fields each, then LDTR and TR: see VCPU_SEGMENT */
    VCPU_REGISTER_COUNT = VCPU_SEGMENT_FIRST + 8 * 4,
};

enum vcpu_segment { VCPU_ES, VCPU_CS, VCPU_SS, VCPU_DS, VCPU_FS, VCPU_GS, VCPU_LDTR, VCPU_TR }; /* SDM 2A table B-8 */
enum vcpu_segment_field { VCPU_SELECTOR, VCPU_BASE, VCPU_LIMIT, VCPU_ACCESS /* as in the VMCS: SDM 3C 25.4.1 */ };

#define VCPU_SEGMENT(segment, field) ((enum vcpu_register)(VCPU_SEGMENT_FIRST + (segment) * 4 + (field)))

/* VCPU_INTERRUPTIBILITY, as in the VMCS: SDM 3C 25.4.2. */
#define VCPU_BLOCKED_BY_STI    1u
#define VCPU_BLOCKED_BY_MOV_SS 2u
#define VCPU_BLOCKED_BY_NMI    8u

/* VCPU_PENDING_DEBUG: a single step (BS). */
#define VCPU_PENDING_DEBUG_STEP (UINT64_C(1) << 14)

/* Bits of registers that the monitor looks at (SDM 3A 2.3, 2.5, 2.2.1). */
#define RFLAGS_TF (UINT64_C(1) << 8)
#define RFLAGS_IF (UINT64_C(1) << 9)
#define RFLAGS_DF (UINT64_C(1) << 10)
#define CR0_PE (UINT64_C(1) << 0)
#define CR0_MP (UINT64_C(1) << 1)
#define CR0_EM (UINT64_C(1) << 2)
#define CR0_TS (UINT64_C(1) << 3)
#define CR0_ET (UINT64_C(1) << 4)
#define CR0_NE (UINT64_C(1) << 5)
#define CR0_WP (UINT64_C(1) << 16)
#define CR0_AM (UINT64_C(1) << 18)
#define CR0_NW (UINT64_C(1) << 29)
#define CR0_CD (UINT64_C(1) << 30)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_VME     (UINT64_C(1) << 0)
#define CR4_PVI     (UINT64_C(1) << 1)
#define CR4_TSD     (UINT64_C(1) << 2)
#define CR4_DE      (UINT64_C(1) << 3)
#define CR4_PSE     (UINT64_C(1) << 4)
#define CR4_PAE     (UINT64_C(1) << 5)
#define CR4_MCE     (UINT64_C(1) << 6)
#define CR4_PGE     (UINT64_C(1) << 7)
#define CR4_PCE     (UINT64_C(1) << 8)
#define CR4_OSFXSR  (UINT64_C(1) << 9)
#define CR4_OSXMMEXCPT (UINT64_C(1) << 10)
#define CR4_UMIP    (UINT64_C(1) << 11)
#define CR4_LA57    (UINT64_C(1) << 12)
#define CR4_VMXE    (UINT64_C(1) << 13)
#define CR4_FSGSBASE (UINT64_C(1) << 16)
#define CR4_PCIDE   (UINT64_C(1) << 17)
#define CR4_OSXSAVE (UINT64_C(1) << 18)
#define CR4_SMEP    (UINT64_C(1) << 20)
#define CR4_SMAP    (UINT64_C(1) << 21)
#define CR4_PKE     (UINT64_C(1) << 22)
#define EFER_SCE  (UINT64_C(1) << 0)
#define EFER_LME  (UINT64_C(1) << 8)
#define EFER_LMA  (UINT64_C(1) << 10)
#define EFER_NXE  (UINT64_C(1) << 11)
#define ACCESS_LONG (UINT64_C(1) << 13) /* segment: 64-bit code */
#define ACCESS_DB   (UINT64_C(1) << 14) /* segment: 32-bit */

#define VECTOR_DB 1u
#define VECTOR_NMI 2u
#define VECTOR_UD 6u
#define VECTOR_DF 8u
#define VECTOR_TS 10u
#define VECTOR_GP 13u
#define VECTOR_PF 14u

/* Why the guest stopped, in words that fit every back end. */
enum vcpu_exit_kind {
    VCPU_EXIT_NONE,        /* nothing to handle: a notification for the monitor arrived */
    VCPU_EXIT_IO,          /* IN, OUT and their string forms */
    VCPU_EXIT_MEMORY,      /* guest physical address without (sufficient) mapping */
    VCPU_EXIT_CPUID,
    VCPU_EXIT_READ_MSR,
    VCPU_EXIT_WRITE_MSR,
    VCPU_EXIT_CONTROL_REGISTER,
    VCPU_EXIT_DEBUG_REGISTER,
    VCPU_EXIT_XSETBV,
    VCPU_EXIT_HALT,
    VCPU_EXIT_INTERRUPT_WINDOW,
    VCPU_EXIT_INVALIDATE,  /* INVD, WBINVD: nothing to do but go on */
    VCPU_EXIT_HYPERCALL,   /* VMCALL, VMMCALL */
    VCPU_EXIT_UNDEFINED,   /* an instruction that this virtual CPU does not have (VMX, SVM …): #UD */
    VCPU_EXIT_FORBIDDEN,   /* one that it has and that nobody may use (performance counters): #GP */
    VCPU_EXIT_EXCEPTION,
    VCPU_EXIT_PAUSE,
    VCPU_EXIT_TRIPLE_FAULT,
    VCPU_EXIT_INIT,        /* INIT or SIPI, which have no sender */
    VCPU_EXIT_TASK_SWITCH,
    VCPU_EXIT_BAD_STATE,   /* the processor refused to enter the guest */
    VCPU_EXIT_UNKNOWN,
    VCPU_EXIT_KIND_COUNT,
};

struct vcpu_exit {
    enum vcpu_exit_kind kind;
    uint32_t raw_reason;         /* the back end's own number, for messages */
    uint64_t qualification;      /* likewise; what it means is in the fields below */
    uint8_t instruction_length;  /* 0: not known */
    uint64_t guest_physical;     /* MEMORY */
    union {
        struct {
            uint16_t port;
            uint8_t size; /* bytes */
            bool in, string, repeated;
            uint8_t address_size; /* string: 2, 4 or 8; 0: not known */
            uint8_t segment;      /* string OUT: enum vcpu_segment */
        } io;
        struct {
            bool read, write, execute;
            bool table_walk; /* the access was to a paging structure of the guest, not to what it translated */
        } memory;
        struct {
            uint8_t number, gpr;
            enum { VCPU_MOV_TO_CR, VCPU_MOV_FROM_CR, VCPU_CLTS, VCPU_LMSW } access;
            uint16_t lmsw;
        } control;
        struct { uint8_t vector; bool has_error; uint32_t error; } exception;
        uint64_t notification; /* NONE: badge, 0: no notification, just an end of running */
    };
};

struct vcpu;

/* What a back end can do. CONTEXT is the vcpu's. Reads and writes of registers that the guest can have always succeed;
 * a value has been checked by whoever calls vcpu_set. */
struct vcpu_operations {
    uint64_t (*read)(void *context, enum vcpu_register reg);
    void (*write)(void *context, enum vcpu_register reg, uint64_t value);
    /* A control register (VCPU_CR0, VCPU_CR4) is to be set to VALUE, which has passed the monitor's checks. True: the
     * processor carries it out itself, with all that belongs to it, as it executes the instruction again; false: the
     * monitor must. NULL: always false. */
    bool (*permit_control)(void *context, enum vcpu_register reg, uint64_t value);
    bool has_cr2; /* CR2 can be written, as raising a page fault needs */
    /* Runs the guest until it stops or the monitor is notified. */
    void (*run)(void *context, struct vcpu *vcpu, struct vcpu_exit *exit);
};

struct vcpu_exception {
    bool pending, has_error;
    uint8_t vector;
    uint32_t error;
};

/* What the processor delivers through the guest's IDT when it enters the guest. */
enum vcpu_event_kind { VCPU_EVENT_NONE, VCPU_EVENT_INTERRUPT, VCPU_EVENT_NMI, VCPU_EVENT_EXCEPTION };

struct vcpu_event {
    enum vcpu_event_kind kind;
    uint8_t vector;
    bool has_error;
    uint32_t error;
};

#define VCPU_MASK_WORDS ((VCPU_REGISTER_COUNT + 63) / 64)

struct vcpu {
    const struct vcpu_operations *operations;
    void *context;
    uint64_t value[VCPU_REGISTER_COUNT];
    uint64_t valid[VCPU_MASK_WORDS], dirty[VCPU_MASK_WORDS];
    struct vcpu_exception exception; /* to be delivered at the next entry */
    uint64_t pending[4];             /* external interrupts waiting to be delivered, a bit a vector */
    bool nmi;                        /* so is an NMI */
    bool halted;
    /* For the back end. The event stays until the guest has got it, even if the entry does not take place; an event
     * whose delivery an exit interrupted is put back here. */
    struct vcpu_event event;
    bool want_interrupt_window, want_nmi_window; /* exit as soon as the guest can take one */
};

void vcpu_init(struct vcpu *vcpu, const struct vcpu_operations *operations, void *context);

#define VCPU_MASK_WORD(reg) ((unsigned)(reg) / 64u)
#define VCPU_MASK_BIT(reg)  (UINT64_C(1) << ((unsigned)(reg) % 64u))

uint64_t vcpu_fetch(struct vcpu *vcpu, enum vcpu_register reg); /* for vcpu_get: asks the back end */

/* Every exit does a few of these, nearly always of registers that it came with: hence inline. */
static inline uint64_t vcpu_get(struct vcpu *vcpu, enum vcpu_register reg)
{
    if (vcpu->valid[VCPU_MASK_WORD(reg)] & VCPU_MASK_BIT(reg))
        return vcpu->value[reg];
    return vcpu_fetch(vcpu, reg);
}

static inline void vcpu_set(struct vcpu *vcpu, enum vcpu_register reg, uint64_t value)
{
    vcpu->value[reg] = value;
    vcpu->valid[VCPU_MASK_WORD(reg)] |= VCPU_MASK_BIT(reg);
    vcpu->dirty[VCPU_MASK_WORD(reg)] |= VCPU_MASK_BIT(reg);
}

/* For the back end: the value came with the exit; all registers may have changed; writes and clears what is dirty. */
void vcpu_provide(struct vcpu *vcpu, enum vcpu_register reg, uint64_t value);
void vcpu_forget_all(struct vcpu *vcpu);
void vcpu_write_back(struct vcpu *vcpu);

/* The exception is delivered when the guest goes on. A second one makes the two a double fault, or shut the CPU down
 * (SDM 3A 6.15, interrupt 8): false then. */
bool vcpu_raise(struct vcpu *vcpu, uint8_t vector, bool has_error, uint32_t error);

/* External interrupts. */
void vcpu_pend(struct vcpu *vcpu, uint8_t vector);
void vcpu_unpend(struct vcpu *vcpu, uint8_t vector);
static inline bool vcpu_any_pending(const struct vcpu *vcpu)
{
    return (vcpu->pending[0] | vcpu->pending[1] | vcpu->pending[2] | vcpu->pending[3]) != 0;
}
int vcpu_highest_pending(const struct vcpu *vcpu); /* -1: none */

/* Past the instruction that exited; clears what blocks interrupts for one instruction where the back end has that. */
void vcpu_skip(struct vcpu *vcpu, unsigned instruction_length);

const char *vcpu_register_name(enum vcpu_register reg);
const char *vcpu_exit_name(enum vcpu_exit_kind kind);
