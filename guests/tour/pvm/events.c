/* What descriptor tables are elsewhere: where events go to. */
#include "guests/base/kernel.h"
#include "guests/tour/pvm/layout.h"

#define SIGNATURE 0x40000000
#define FEATURES  0x40000002
#define KVM_EBX   0x4b4d564b
#define PVM_EBX   0x4d5650
#define RED_ZONE  64

volatile struct shared shared __attribute__((aligned(4096)));
void (*trap_handler)(struct frame *frame);

_Static_assert(sizeof shared == 4096 && offsetof(struct shared, vector) == SHARED_VECTOR
               && offsetof(struct shared, cs) == SHARED_CS && offsetof(struct shared, gs_base) == SHARED_GS_BASE
               && offsetof(struct shared, rflags) == SHARED_FLAGS && offsetof(struct shared, r11) == SHARED_R11,
               "layout.h");

extern char pvm_events[], pvm_retu[], pvm_rets[];

/* RFLAGS.IF set and CPL 3 at the start is what a guest has to look for before it asks. */
static bool is_pvm(void)
{
    uint16_t cs;
    uint64_t rflags;

    __asm__ volatile("movw %%cs, %0; pushfq; popq %1" : "=r"(cs), "=r"(rflags));
    return (cs & 3) == 3 && (rflags & RFLAGS_IF) && cpuid(SIGNATURE, 0).b == KVM_EBX
           && cpuid(SIGNATURE, 0).a >= FEATURES && cpuid(FEATURES, 0).b == PVM_EBX;
}

void descriptors_init(void)
{
    if (!is_pvm()) {
        print("Bail out! there is no PVM here\n");
        power_off();
    }
    wrmsr(PVM_MSR(PVM_STRUCT), PHYSICAL(&shared));
    wrmsr(PVM_MSR(PVM_ENTRY), (uint64_t)pvm_events);
    wrmsr(PVM_MSR(PVM_RETU), (uint64_t)pvm_retu);
    wrmsr(PVM_MSR(PVM_RETS), (uint64_t)pvm_rets);
    wrmsr(PVM_MSR(PVM_RED_ZONE), RED_ZONE);
}

void take_trap(struct frame *frame)
{
    if (trap_handler) {
        trap_handler(frame);
        return;
    }
    print("# trap %lu, error %lx, at %lx, address %lx\n", frame->vector, frame->error, frame->rip, shared.cr2);
    power_off();
}
