#include "tests/kernel/svm_fuzz.h"
#include "tests/kernel/devices.h"
#include "tests/kernel/history.h"

#include <string.h>

#define MR(name) word[SEL4_VMENTER_FAULT_##name]

#define ATTRIBUTES seL4_X86_EPT_Default_VMAttributes
#define LARGE      (1ul << seL4_LargePageBits)
#define PAGE       (1ul << seL4_PageBits)

#define HLT 0xf4

#define MAX_FIELDS 96u
#define CHANGES    4u
#define CODE_BYTES 64u
#define PAGES      4u

#define ROUNDS_A_START  16u /* after so many rounds the guest begins anew from a good state */
#define BADGE           0x55u

/* Implemented in guest_code.S. */
void vector_set(uint64_t value);
uint64_t vector_get(void);
uint64_t read_xcr0(void);

/* What the kernel lets an owner write. */
static const struct {
    seL4_Word first, last, step;
} groups[] = {
    { VMCB_INTERCEPT_EXCEPTIONS, VMCB_INTERCEPT_2, 4 },
    { VMCB_PAUSE_THRESHOLD, VMCB_PAUSE_COUNT, 2 },
    { VMCB_TSC_OFFSET, VMCB_TSC_OFFSET, 8 },
    { VMCB_VIRTUAL_INTERRUPT, VMCB_INTERRUPT_SHADOW, 8 },
    { VMCB_EVENT_INJECTION, VMCB_EVENT_INJECTION, 8 },
    { VMCB_ES + VMCB_SELECTOR, VMCB_TR + VMCB_SELECTOR, 16 },
    { VMCB_ES + VMCB_ATTRIBUTES, VMCB_TR + VMCB_ATTRIBUTES, 16 },
    { VMCB_ES + VMCB_LIMIT, VMCB_TR + VMCB_LIMIT, 16 },
    { VMCB_ES + VMCB_BASE, VMCB_TR + VMCB_BASE, 16 },
    { VMCB_CPL, VMCB_CPL, 1 },
    { VMCB_EFER, VMCB_EFER, 8 },
    { VMCB_CR4, VMCB_RIP, 8 },
    { VMCB_RSP, VMCB_RSP, 8 },
    { VMCB_STAR, VMCB_CR2, 8 },
    { VMCB_PAT, VMCB_PAT, 8 },
};

struct fuzz {
    struct guest g;
    struct history random;
    enum guest_mode mode;
    unsigned field_count;
    struct { seL4_Word field, good; } field[MAX_FIELDS];
    seL4_CPtr pdpt, directory, table, page[PAGES];
    seL4_CPtr ports, timer;
    struct svm_fuzz_count count;
};

static seL4_Word any(struct fuzz *f)
{
    seL4_Word value = 0;

    for (unsigned i = 0; i < 3; i++)
        value = value << 24 ^ draw(&f->random, 1u << 28);
    return value;
}

static seL4_Word random_value(struct fuzz *f, seL4_Word good)
{
    switch (draw(&f->random, 10)) {
    case 0:
        return 0;
    case 1:
        return ~0ul;
    case 2:
        return 1ul << draw(&f->random, 64);
    case 3:
    case 4:
    case 5:
        return good ^ 1ul << draw(&f->random, 32);
    case 6:
        return any(f) & 0xffff;
    case 7:
        return 0xfffffe8000000000 | (any(f) & 0xffffff); /* where the kernel lies */
    case 8:
        return draw(&f->random, 2) ? 0x00007fffffffffff : 0xffff800000000000;
    default:
        return any(f);
    }
}

static void collect_fields(struct fuzz *f)
{
    for (unsigned i = 0; i < sizeof groups / sizeof *groups; i++) {
        for (seL4_Word field = groups[i].first; field <= groups[i].last; field += groups[i].step) {
            f->field[f->field_count].field = field;
            f->field[f->field_count].good = guest_read(&f->g, field);
            f->field_count++;
        }
    }
}

/* QEMU's own process ends by breakpoints that a guest leaves behind, and where a guest writes CR8 while a virtual interrupt
 * waits. */
static void spare_the_emulator(struct fuzz *f)
{
    guest_write(&f->g, VMCB_INTERCEPT_DR, ~0ul);
    guest_write(&f->g, VMCB_INTERCEPT_CR, 1u << (16 + 8) | draw(&f->random, 1u << 16));
}

/* One message, as long as it happens to be; now and then with a field that is not the owner's, and then without effect. */
static void change_fields(struct fuzz *f, struct env *e)
{
    seL4_Word words[2 * CHANGES + 2];
    unsigned changes = 1 + draw(&f->random, CHANGES);

    for (unsigned i = 0; i < changes; i++) {
        unsigned index = draw(&f->random, f->field_count);

        words[2 * i] = f->field[index].field;
        words[2 * i + 1] = random_value(f, f->field[index].good);
    }
    if (draw(&f->random, 64) == 0) {
        words[2 * changes] = VMCB_NESTED_CR3;
        words[2 * changes + 1] = any(f);
        EXPECT_EQ(sel4_vcpu_write_vmcb(f->g.vcpu, 2 * changes + 2, words), seL4_InvalidArgument);
    }
    EXPECT_OK(sel4_vcpu_write_vmcb(f->g.vcpu, 2 * changes, words));
    f->count.writes += changes;
}

static void restore_fields(struct fuzz *f, struct env *e)
{
    seL4_Word words[120];

    for (unsigned done = 0; done < f->field_count;) {
        unsigned count = 0;

        while (done < f->field_count && count < 120) {
            words[count++] = f->field[done].field;
            words[count++] = f->field[done++].good;
        }
        EXPECT_OK(sel4_vcpu_write_vmcb(f->g.vcpu, count, words));
    }
}

/* Behind the code there is nothing but HLT. */
static void change_code(struct fuzz *f)
{
    extern const char svm_guest_always_exits[], svm_guest_always_exits_end[];
    extern const char svm_guest_own_msrs[], svm_guest_own_msrs_end[];
    uint8_t *code = f->g.memory + GUEST_CODE;

    memset(code, HLT, PAGE);
    switch (draw(&f->random, 8)) {
    case 0:
        memcpy(code, svm_guest_always_exits, (size_t)(svm_guest_always_exits_end - svm_guest_always_exits));
        break;
    case 1:
        memcpy(code, svm_guest_own_msrs, (size_t)(svm_guest_own_msrs_end - svm_guest_own_msrs));
        break;
    default:
        for (unsigned i = 0; i < CODE_BYTES / 8; i++)
            ((seL4_Word *)code)[i] = any(f);
        if (draw(&f->random, 2)) {
            static const uint8_t starts[][3] = {
                { 0x0f, 0x01, 0xd8 }, { 0x0f, 0x01, 0xda }, { 0x0f, 0x01, 0xdb }, { 0x0f, 0x01, 0xdc }, { 0x0f, 0x01, 0xdd },
                { 0x0f, 0x01, 0xde }, { 0x0f, 0x01, 0xdf }, { 0x0f, 0x01, 0xd1 }, { 0x0f, 0x01, 0xc8 }, { 0x0f, 0x01, 0xc9 },
                { 0x0f, 0x22, 0xc0 }, { 0x44, 0x0f, 0x22 }, { 0x0f, 0x23, 0xf8 }, { 0x0f, 0x30, 0x90 }, { 0x0f, 0x32, 0x90 },
                { 0x0f, 0x08, 0x90 }, { 0x0f, 0x09, 0x90 }, { 0x0f, 0x01, 0x18 }, { 0x0f, 0x00, 0xd8 }, { 0x0f, 0xae, 0x08 },
                { 0xcd, 0x01, 0xcf }, { 0x0f, 0x33, 0x90 }, { 0x0f, 0x01, 0xf8 }, { 0x0f, 0x05, 0x90 }, { 0x0f, 0x34, 0x90 },
                { 0xfb, 0xf4, 0x90 }, { 0x0f, 0xaa, 0x90 }, { 0xf1, 0x90, 0x90 }, { 0x9d, 0x90, 0x90 }, { 0xee, 0xec, 0x90 },
            };
            memcpy(code, starts[draw(&f->random, sizeof starts / sizeof *starts)], 3);
        }
    }
}

/* Any call may fail: the page is mapped already, or the table that it needs is not. */
static void change_structures(struct fuzz *f)
{
    seL4_Word address = LARGE * draw(&f->random, 3) + PAGE * draw(&f->random, 8);
    seL4_CPtr page = f->page[draw(&f->random, PAGES)];

    switch (draw(&f->random, 8)) {
    case 0:
        seL4_X86_EPTPT_Map(f->table, f->g.ept_root, address, ATTRIBUTES);
        break;
    case 1:
        seL4_X86_EPTPT_Unmap(f->table);
        break;
    case 2:
        seL4_X86_Page_Unmap(page);
        break;
    case 3:
        seL4_X86_EPTPD_Map(f->directory, f->g.ept_root, (seL4_Word)draw(&f->random, 4) << 30, ATTRIBUTES);
        break;
    case 4:
        seL4_X86_EPTPD_Unmap(f->directory);
        break;
    case 5:
        seL4_X86_EPTPDPT_Map(f->pdpt, f->g.ept_root, (seL4_Word)draw(&f->random, 4) << 39, ATTRIBUTES);
        break;
    default:
        seL4_X86_Page_MapEPT(page, f->g.ept_root, address, draw(&f->random, 2) ? seL4_AllRights : seL4_CanRead,
                             (seL4_X86_EPT_VMAttributes)draw(&f->random, 9));
        break;
    }
}

static void change_entry(struct fuzz *f, struct env *e)
{
    struct guest *g = &f->g;

    g->rip = draw(&f->random, 16) ? GUEST_CODE : random_value(f, GUEST_CODE);
    g->controls = draw(&f->random, 2) ? any(f) : 0;
    g->event = 0;
    if (draw(&f->random, 4) == 0)
        g->event = draw(&f->random, 2) ? SVM_EVENT_VALID | (any(f) & 0xfff) : any(f);
    if (draw(&f->random, 4) == 0) {
        seL4_VCPUContext registers;

        for (unsigned i = 0; i < sizeof registers / sizeof(seL4_Word); i++)
            ((seL4_Word *)&registers)[i] = random_value(f, GUEST_RESULTS);
        EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g->vcpu, &registers));
    }
}

static void count_result(struct fuzz *f, struct env *e, seL4_Word result)
{
    f->count.entries++;
    if (result == SEL4_VMENTER_RESULT_NOTIF) {
        EXPECT_EQ(f->g.badge, BADGE);
        EXPECT_OK(seL4_IRQHandler_Ack(f->timer));
        f->count.signals++;
        return;
    }
    EXPECT_EQ(result, SEL4_VMENTER_RESULT_FAULT);
    if (f->g.MR(REASON_MR) == SVM_EXIT_INVALID) {
        f->count.refused++;
        return;
    }
    EXPECT(f->g.MR(REASON_MR) <= SVM_EXIT_NESTED_PAGE_FAULT);
    EXPECT(f->g.MR(REASON_MR) != SVM_EXIT_INTR && f->g.MR(REASON_MR) != SVM_EXIT_NMI);
    f->count.exits++;
}

/* An interrupt every millisecond: no guest runs on for longer. */
static void start_timer(struct fuzz *f, struct env *e)
{
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    f->ports = issue_ports(e, PIT_CHANNEL0, PIT_COMMAND);
    f->timer = new_slot(e);
    EXPECT_OK(seL4_IRQControl_GetIOAPIC(seL4_CapIRQControl, ROOT, f->timer, ROOT_DEPTH, 0, PIT_PIN, 0, 0, 2));
    EXPECT_OK(seL4_IRQHandler_SetNotification(f->timer, badged(e, notification, BADGE)));
    EXPECT_OK(seL4_IRQHandler_Ack(f->timer));
    EXPECT_OK(seL4_TCB_BindNotification(seL4_CapInitThreadTCB, notification));
    pit_periodic(e, f->ports, 1);
}

static void say_hello(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    t->result[0] = argument;
}

static void expect_all_well(struct fuzz *f, struct env *e)
{
    struct thread *t = new_thread(e, 0);

    pit_stop(e, f->ports);
    EXPECT_OK(seL4_TCB_UnbindNotification(seL4_CapInitThreadTCB));
    start(t, say_hello, 0x4711, ABOVE_ROOT);
    EXPECT_EQ(t->result[0], 0x4711);
    struct guest next = new_guest(e, seL4_CapInitThreadTCB, 1);
    GUEST_LOAD(&next, GUEST_LONG, guest_keep);
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(next.vcpu, &(seL4_VCPUContext) { .r8 = 0x2345 }));
    for (unsigned i = 0; i < 5; i++) {
        EXPECT_EXIT(&next, SVM_EXIT_VMMCALL);
        EXPECT_EQ(next.MR(EAX), 0);
        guest_skip(&next);
    }
}

struct svm_fuzz_count svm_fuzz(struct env *e, enum guest_mode mode, seL4_Word seed, unsigned rounds)
{
    static struct fuzz fuzz;
    struct fuzz *f = &fuzz;

    *f = (struct fuzz) { .g = new_svm_guest(e), .random = history(seed), .mode = mode };
    uint64_t xcr0 = read_xcr0();
    f->pdpt = new_object(e, seL4_X86_EPTPDPTObject, 0);
    f->directory = new_object(e, seL4_X86_EPTPDObject, 0);
    f->table = new_object(e, seL4_X86_EPTPTObject, 0);
    for (unsigned i = 0; i < PAGES; i++)
        f->page[i] = new_object(e, i ? seL4_X86_4K : seL4_X86_LargePageObject, 0);
    start_timer(f, e);
    GUEST_LOAD(&f->g, mode, guest_halt);
    collect_fields(f);
    spare_the_emulator(f);
    vector_set(seed);
    for (unsigned round = 0; round < rounds; round++) {
        if (round % ROUNDS_A_START == 0) {
            GUEST_LOAD(&f->g, mode, guest_halt);
            spare_the_emulator(f);
        } else if (draw(&f->random, 2)) {
            restore_fields(f, e);
        }
        change_fields(f, e);
        change_code(f);
        if (draw(&f->random, 4) == 0)
            change_structures(f);
        change_entry(f, e);
        count_result(f, e, guest_enter(&f->g));
        EXPECT_EQ(vector_get(), seed);
    }
    EXPECT_EQ(read_xcr0(), xcr0);
    expect_all_well(f, e);
    return f->count;
}
