/* Entries with random guest state, controls and code. Whatever comes of it is the guest's: a result, and the kernel, the
 * monitor's registers and the next guest are well. The sequence is the same each time. */
#include "tests/kernel/devices.h"
#include "tests/kernel/guest.h"

#include <string.h>

#define ROUNDS 10000u /* in each mode */
#define MR(name) word[SEL4_VMENTER_FAULT_##name]

/* In ticks of the preemption timer; without it a guest could loop with interrupts off, which Bochs does not interrupt. */
#define RUN_TICKS 30u

/* Implemented in guest_code.S. */
void vector_set(uint64_t value);
uint64_t vector_get(void);
unsigned read_gdt_limit(void);
uint64_t read_xcr0(void);

static seL4_Word next_random(seL4_Word *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dul >> 11 | *state << 53;
}

/* Even numbers, as the kernel lets an owner write them. */
static const struct {
    seL4_Word first, last;
    bool control;
} groups[] = {
    { VMCS_GUEST_ES_SELECTOR, VMCS_GUEST_TR_SELECTOR, false },
    { VMCS_GUEST_DEBUGCTL, VMCS_GUEST_PDPTE3, false },
    { VMCS_PIN_CONTROLS, VMCS_EXCEPTION_BITMAP, true },
    { VMCS_EXIT_CONTROLS, VMCS_EXIT_CONTROLS, true },
    { VMCS_ENTRY_CONTROLS, VMCS_ENTRY_CONTROLS, true },
    { VMCS_ENTRY_INTERRUPTION_INFO, VMCS_ENTRY_INTERRUPTION_INFO, true },
    { VMCS_SECONDARY_CONTROLS, VMCS_SECONDARY_CONTROLS, true },
    { VMCS_GUEST_ES_LIMIT, VMCS_GUEST_SYSENTER_CS, false },
    { VMCS_CR0_MASK, VMCS_CR4_READ_SHADOW, true },
    { VMCS_GUEST_CR0, VMCS_GUEST_SYSENTER_EIP, false },
};

enum { MAX_FIELDS = 128, CHANGES = 3 };

struct fuzz {
    struct guest g;
    seL4_Word random;
    unsigned field_count;
    struct { seL4_Word number, start; } field[MAX_FIELDS];
    unsigned changed[CHANGES], change_count;
    enum guest_mode mode;
    seL4_Word entered, invalid, refused;
};

static void collect_fields(struct fuzz *f, bool controls)
{
    for (unsigned i = 0; i < sizeof groups / sizeof *groups; i++) {
        for (seL4_Word number = groups[i].first; number <= groups[i].last; number += 2) {
            if (groups[i].control && !controls)
                continue;
            f->field[f->field_count].number = number;
            f->field[f->field_count].start = guest_read(&f->g, number);
            f->field_count++;
        }
    }
}

static seL4_Word random_value(struct fuzz *f, seL4_Word start)
{
    seL4_Word r = next_random(&f->random);

    switch (r % 8) {
    case 0:
        return 0;
    case 1:
        return ~0ul;
    case 2:
        return 1ul << (r >> 8) % 64;
    case 3:
    case 4:
        return start ^ 1ul << (r >> 8) % 32;
    case 5:
        return r >> 8 & 0xffff;
    case 6:
        return 0xfffffe8000000000 | (r >> 8 & 0xffffff); /* where the kernel lies */
    default:
        return r;
    }
}

/* An owner cannot have everything; what it may not have is tested elsewhere. */
static void try_write(struct fuzz *f, seL4_Word field, seL4_Word value)
{
    if (!f->g.env->is_ours && field == VMCS_GUEST_ACTIVITY)
        value %= 2; /* upstream's CPU hangs in the others */
    /* Bochs does not check that long mode has protection and paging, and stops. */
    if (f->mode == GUEST_LONG && field == VMCS_GUEST_CR0)
        value |= 0x80000001;
    if (f->mode != GUEST_LONG && field == VMCS_ENTRY_CONTROLS)
        value &= ~(seL4_Word)VMX_ENTRY_LONG_MODE;
    seL4_X86_VCPU_WriteVMCS(f->g.vcpu, field, value);
}

static void change_fields(struct fuzz *f)
{
    f->change_count = 1 + (unsigned)(next_random(&f->random) % CHANGES);
    for (unsigned i = 0; i < f->change_count; i++) {
        unsigned index = (unsigned)(next_random(&f->random) % f->field_count);
        f->changed[i] = index;
        try_write(f, f->field[index].number, random_value(f, f->field[index].start));
    }
}

static void change_back(struct fuzz *f)
{
    for (unsigned i = 0; i < f->change_count; i++)
        guest_write(&f->g, f->field[f->changed[i]].number, f->field[f->changed[i]].start);
}

/* Code of any bytes; and one program that goes through many exits. */
static void change_code(struct fuzz *f)
{
    extern const char guest_always_exits[], guest_always_exits_end[];
    seL4_Word *code = (seL4_Word *)(f->g.memory + GUEST_CODE);

    if (!f->g.env->is_ours || next_random(&f->random) % 4 == 0) {
        memcpy(code, guest_always_exits, (size_t)(guest_always_exits_end - guest_always_exits));
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        code[i] = next_random(&f->random);
}

static void change_entry(struct fuzz *f)
{
    struct guest *g = &f->g;
    seL4_Word r = next_random(&f->random);

    g->rip = r % 16 == 0 ? random_value(f, GUEST_CODE) : GUEST_CODE;
    g->controls = r >> 8 & 1 ? next_random(&f->random) : 0;
    g->event = 0;
    if (!g->env->is_ours)
        g->controls = VMX_PRIMARY_HLT_EXITING; /* upstream's kernel faults at an entry that is refused */
    else if ((r >> 16) % 4 == 0)
        g->event = VMX_EVENT_VALID | (next_random(&f->random) & (r >> 20 & 1 ? 0xfff : 0xffffffff));
    if ((g->event & VMX_EVENT_TYPE) == VMX_EVENT_TYPE)
        g->event = 0; /* a pending trap flag: Bochs stops */
}

static void limit_run(struct fuzz *f)
{
    seL4_Word pin = seL4_X86_VCPU_ReadVMCS(f->g.vcpu, VMCS_PIN_CONTROLS).value;

    guest_write(&f->g, VMCS_PIN_CONTROLS, pin | VMX_PIN_PREEMPTION_TIMER);
    guest_write(&f->g, VMCS_GUEST_PREEMPTION_TIMER, RUN_TICKS);
}

static void count(struct fuzz *f, struct env *e)
{
    switch (f->g.MR(REASON_MR)) {
    case VMX_REASON_ENTRY_FAILED:
        f->refused++;
        break;
    case VMX_REASON_INVALID_GUEST_STATE:
    case VMX_REASON_MSR_LOADING:
        f->invalid++;
        break;
    default:
        EXPECT(f->g.MR(REASON_MR) < 70);
        f->entered++;
        break;
    }
}

static void run_rounds(struct fuzz *f, struct env *e)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        change_fields(f);
        change_code(f);
        change_entry(f);
        limit_run(f);
        EXPECT_EQ(guest_enter(&f->g), SEL4_VMENTER_RESULT_FAULT);
        count(f, e);
        change_back(f);
    }
    note("%lu entered, %lu with invalid state, %lu refused", f->entered, f->invalid, f->refused);
    EXPECT(f->entered > ROUNDS / 10 && f->invalid > ROUNDS / 10 && (f->refused > ROUNDS / 100 || !e->is_ours));
}

static void fuzz_mode(struct env *e, enum guest_mode mode)
{
    static struct fuzz fuzz;
    struct fuzz *f = &fuzz;

    *f = (struct fuzz) { .g = new_vtx_guest(e, seL4_CapInitThreadTCB, 0), .random = 0x6b34 + mode, .mode = mode };
    /* Not before it is known that there is VT-x: with UMIP, as QEMU has it, SGDT faults. */
    unsigned gdt_limit = read_gdt_limit();
    uint64_t xcr0 = read_xcr0();
    GUEST_LOAD(&f->g, mode, guest_halt);
    if (!(guest_write(&f->g, VMCS_PIN_CONTROLS, VMX_PIN_PREEMPTION_TIMER) & VMX_PIN_PREEMPTION_TIMER))
        skip(e, "no preemption timer");
    limit_run(f);
    EXPECT_EXIT(&f->g, VMX_REASON_HLT);
    collect_fields(f, e->is_ours);
    vector_set(0x5678);
    run_rounds(f, e);
    EXPECT_EQ(vector_get(), 0x5678);
    EXPECT_EQ(read_xcr0(), xcr0);
    if (e->is_ours)
        EXPECT_EQ(read_gdt_limit(), gdt_limit);

    struct guest next = new_vtx_guest(e, seL4_CapInitThreadTCB, 1);
    GUEST_LOAD(&next, GUEST_LONG, guest_halt);
    EXPECT_EXIT(&next, VMX_REASON_HLT);
}

TEST(random_state_in_long_mode_ends_in_results)
{
    fuzz_mode(e, GUEST_LONG);
}

TEST(random_state_in_protected_mode_ends_in_results)
{
    fuzz_mode(e, GUEST_PROTECTED);
}

TEST(random_state_in_real_mode_ends_in_results)
{
    fuzz_mode(e, GUEST_REAL);
}
