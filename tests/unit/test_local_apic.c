/* The local APIC: registers in both modes, priorities, messages, and the arithmetic of its timer. */
#include "tests/unit/fake_machine.h"
#include "vmm/devices/ioapic.h"
#include "vmm/devices/local_apic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define APIC_BASE    0x1bu
#define TSC_DEADLINE 0x6e0u
#define PAGE(number) (LOCAL_APIC_BASE + (number) * 16u)
#define X2(number)   (0x800u + (number))

#define ID      0x02u
#define VERSION 0x03u
#define TPR     0x08u
#define PPR     0x0au
#define EOI     0x0bu
#define LDR     0x0du
#define DFR     0x0eu
#define SVR     0x0fu
#define ISR     0x10u
#define TMR     0x18u
#define IRR     0x20u
#define ESR     0x28u
#define ICR     0x30u
#define ICR_HIGH 0x31u
#define LVT_TIMER 0x32u
#define LVT_LINT0 0x35u
#define LVT_ERROR 0x37u
#define INITIAL 0x38u
#define CURRENT 0x39u
#define DIVIDE  0x3eu
#define SELF    0x3fu

#define DIVIDE_BY_1  0xbu
#define DIVIDE_BY_16 0x3u
#define PERIODIC     0x20000u
#define DEADLINE     0x40000u
#define MASKED       0x10000u

#define COUNT_TICKS (FAKE_TSC_HZ / LOCAL_APIC_TIMER_HZ) /* of the TSC, at divide by 1 */

/* Stands in for the IOAPIC. */
static unsigned ends;
static uint8_t last_end;

void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector)
{
    (void)ioapic;
    ends++;
    last_end = vector;
}

static uint32_t load(struct fake_machine *fake, unsigned number)
{
    return (uint32_t)fake_load(fake, PAGE(number), 4);
}

static void store(struct fake_machine *fake, unsigned number, uint32_t value)
{
    fake_store(fake, PAGE(number), 4, value);
}

static uint64_t rdmsr(struct fake_machine *fake, uint32_t msr)
{
    uint64_t value = 0;

    assert_true(fake_rdmsr(fake, msr, &value));
    return value;
}

static bool wrmsr(struct fake_machine *fake, uint32_t msr, uint64_t value)
{
    return fake_wrmsr(fake, msr, value);
}

static bool rdmsr_faults(struct fake_machine *fake, uint32_t msr)
{
    uint64_t value;

    return !fake_rdmsr(fake, msr, &value);
}

static void enter_x2apic(struct fake_machine *fake)
{
    assert_true(wrmsr(fake, APIC_BASE, rdmsr(fake, APIC_BASE) | 0x400));
}

static struct local_apic *apic(struct fake_machine *fake)
{
    return fake->machine.local_apic;
}

/* An APIC in xAPIC mode, enabled by software. */
static int set_up(void **state)
{
    struct fake_machine *fake = fake_machine_create();

    fake->machine.ioapic = (struct ioapic *)fake; /* never looked into here */
    store(fake, SVR, 0x1ff);
    ends = 0;
    *state = fake;
    return 0;
}

static int tear_down(void **state)
{
    fake_machine_destroy(*state);
    return 0;
}

static bool pending(struct fake_machine *fake, uint8_t vector)
{
    return fake->vcpu.pending[vector / 64] >> vector % 64 & 1;
}

static void take(struct fake_machine *fake, uint8_t vector)
{
    assert_int_equal(local_apic_next(apic(fake)), vector);
    local_apic_take(apic(fake), vector);
}

static void test_after_reset_the_registers_are_as_the_manual_says(void **state)
{
    (void)state;
    struct fake_machine *fake = fake_machine_create();

    assert_int_equal(rdmsr(fake, APIC_BASE), 0xfee00900);
    assert_int_equal(load(fake, ID), 0);
    assert_int_equal(load(fake, VERSION), 0x01050014);
    assert_int_equal(load(fake, TPR), 0);
    assert_int_equal(load(fake, LDR), 0);
    assert_int_equal(load(fake, DFR), 0xffffffff);
    assert_int_equal(load(fake, SVR), 0xff);
    for (unsigned entry = LVT_TIMER; entry <= LVT_ERROR; entry++)
        assert_int_equal(load(fake, entry), MASKED);
    assert_int_equal(load(fake, INITIAL), 0);
    assert_int_equal(load(fake, CURRENT), 0);
    assert_int_equal(load(fake, DIVIDE), 0);
    assert_true(local_apic_is_enabled(apic(fake)));
    fake_machine_destroy(fake);
}

static void test_the_highest_vector_above_the_priority_comes_next(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(local_apic_next(apic(fake)), -1);
    assert_true(local_apic_deliver(apic(fake), 0x41, false));
    assert_true(local_apic_deliver(apic(fake), 0x63, false));
    assert_int_equal(local_apic_next(apic(fake)), 0x63);
    store(fake, TPR, 0x60);
    assert_int_equal(local_apic_next(apic(fake)), -1); /* the same class is not higher */
    store(fake, TPR, 0x5f);
    assert_int_equal(local_apic_next(apic(fake)), 0x63);
    take(fake, 0x63);
    assert_int_equal(load(fake, PPR), 0x60);
    assert_int_equal(local_apic_next(apic(fake)), -1);
    local_apic_deliver(apic(fake), 0x71, false); /* interrupts the handler of the other */
    take(fake, 0x71);
    assert_int_equal(load(fake, PPR), 0x70);
    store(fake, EOI, 0);
    assert_int_equal(load(fake, PPR), 0x60);
    store(fake, EOI, 0);
    assert_int_equal(load(fake, PPR), 0x5f);
    store(fake, TPR, 0);
    take(fake, 0x41);
}

static void test_irr_and_isr_show_what_is_requested_and_in_service(void **state)
{
    struct fake_machine *fake = *state;

    local_apic_deliver(apic(fake), 0x31, false);
    local_apic_deliver(apic(fake), 0xef, false);
    assert_int_equal(load(fake, IRR + 1), 1u << 17);
    assert_int_equal(load(fake, IRR + 7), 1u << 15);
    take(fake, 0xef);
    assert_int_equal(load(fake, IRR + 7), 0);
    assert_int_equal(load(fake, ISR + 7), 1u << 15);
    assert_true(pending(fake, 0x31)); /* the IRR is the virtual CPU's own set */
    store(fake, EOI, 0);
    assert_int_equal(load(fake, ISR + 7), 0);
    store(fake, EOI, 0); /* nothing in service: nothing happens */
}

static void test_cr8_is_the_task_priority_class(void **state)
{
    struct fake_machine *fake = *state;

    local_apic_set_cr8(apic(fake), 0x9);
    assert_int_equal(load(fake, TPR), 0x90);
    store(fake, TPR, 0x3c);
    assert_int_equal(local_apic_cr8(apic(fake)), 3);
}

static void test_the_ioapic_hears_of_the_end_of_level_interrupts_only(void **state)
{
    struct fake_machine *fake = *state;

    local_apic_deliver(apic(fake), 0x50, false);
    take(fake, 0x50);
    store(fake, EOI, 0);
    assert_int_equal(ends, 0);
    local_apic_deliver(apic(fake), 0x50, true);
    assert_int_equal(load(fake, TMR + 2), 1u << 16);
    take(fake, 0x50);
    store(fake, EOI, 0);
    assert_int_equal(ends, 1);
    assert_int_equal(last_end, 0x50);
    local_apic_deliver(apic(fake), 0x50, false);
    assert_int_equal(load(fake, TMR + 2), 0);
}

static void test_an_end_can_be_kept_from_the_ioapic(void **state)
{
    struct fake_machine *fake = *state;

    store(fake, SVR, 0x11ff);
    assert_int_equal(load(fake, SVR), 0x11ff);
    local_apic_deliver(apic(fake), 0x50, true);
    take(fake, 0x50);
    store(fake, EOI, 0);
    assert_int_equal(ends, 0);
}

static void test_disabled_by_software_it_accepts_nothing_and_masks_stay(void **state)
{
    struct fake_machine *fake = *state;

    store(fake, LVT_TIMER, 0x40);
    store(fake, SVR, 0x0ff);
    assert_int_equal(load(fake, LVT_TIMER), MASKED | 0x40);
    store(fake, LVT_TIMER, 0x41);
    assert_int_equal(load(fake, LVT_TIMER), MASKED | 0x41);
    assert_false(local_apic_deliver(apic(fake), 0x40, false));
    assert_int_equal(local_apic_next(apic(fake)), -1);
}

static void test_vectors_below_16_are_errors(void **state)
{
    struct fake_machine *fake = *state;

    store(fake, LVT_ERROR, 0xfe);
    assert_false(local_apic_deliver(apic(fake), 15, false));
    assert_int_equal(load(fake, ESR), 0); /* shown after a write */
    store(fake, ESR, 0);
    assert_int_equal(load(fake, ESR), 0x40);
    take(fake, 0xfe);
    store(fake, EOI, 0);
    store(fake, ICR, 0x40003); /* to itself, vector 3 */
    store(fake, ESR, 0);
    assert_int_equal(load(fake, ESR), 0x20);
    store(fake, ESR, 0);
    assert_int_equal(load(fake, ESR), 0);
    /* An error entry with an illegal vector does not go round for ever. */
    store(fake, LVT_ERROR, 0x01);
    local_apic_deliver(apic(fake), 3, false);
    store(fake, ESR, 0);
    assert_int_equal(load(fake, ESR), 0x40);
}

static void test_registers_that_are_not_there_are_errors_in_the_page(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(load(fake, 0x00), 0);
    store(fake, ESR, 0);
    assert_int_equal(load(fake, ESR), 0x80);
    store(fake, 0xff, 1);
    store(fake, ESR, 0);
    assert_int_equal(load(fake, ESR), 0x80);
    store(fake, SELF, 0x40);
    store(fake, ESR, 0);
    assert_int_equal(load(fake, ESR), 0x80); /* x2APIC only */
    assert_false(pending(fake, 0x40));
}

static void test_odd_accesses_to_the_page_do_no_harm(void **state)
{
    struct fake_machine *fake = *state;

    assert_int_equal(fake_load(fake, PAGE(VERSION), 1), 0x14);
    assert_int_equal(fake_load(fake, PAGE(VERSION) + 2, 2), 0x0105);
    assert_int_equal(fake_load(fake, PAGE(VERSION) + 4, 4), 0);
    assert_int_equal(fake_load(fake, PAGE(VERSION), 8), 0);
    fake_store(fake, PAGE(TPR), 1, 0xff);
    fake_store(fake, PAGE(TPR) + 4, 4, 0xff);
    fake_store(fake, PAGE(TPR), 8, 0xff);
    assert_int_equal(load(fake, TPR), 0);
}

static void test_interrupts_to_oneself(void **state)
{
    struct fake_machine *fake = *state;

    store(fake, ICR, 0x40080);
    assert_true(pending(fake, 0x80));
    store(fake, ICR, 0x80081); /* all including self */
    assert_true(pending(fake, 0x81));
    store(fake, ICR, 0xc0082); /* all others: nobody */
    assert_false(pending(fake, 0x82));
    store(fake, ICR_HIGH, 0x00000000);
    store(fake, ICR, 0x00083);
    assert_true(pending(fake, 0x83));
    store(fake, ICR_HIGH, 0x01000000);
    store(fake, ICR, 0x00084);
    assert_false(pending(fake, 0x84));
    store(fake, ICR_HIGH, 0xff000000);
    store(fake, ICR, 0x00185); /* lowest priority */
    assert_true(pending(fake, 0x85));
    assert_int_equal(load(fake, ICR), 0x00185); /* never busy */
    assert_int_equal(load(fake, ICR_HIGH), 0xff000000);
    store(fake, ICR, 0x4c500); /* INIT */
    store(fake, ICR, 0x4c610); /* start-up */
    store(fake, ICR, 0xc0400); /* NMI to all others */
    assert_int_equal(local_apic_next(apic(fake)), 0x85);
    assert_false(fake->vcpu.nmi);
    store(fake, ICR, 0x40400);
    assert_true(fake->vcpu.nmi);
    assert_int_equal(local_apic_next(apic(fake)), 0x85);
}

static void test_logical_destinations_in_xapic_mode(void **state)
{
    struct fake_machine *fake = *state;

    assert_true(local_apic_accepts(apic(fake), 0, false));
    assert_true(local_apic_accepts(apic(fake), 0xff, false));
    assert_false(local_apic_accepts(apic(fake), 1, false));
    assert_false(local_apic_accepts(apic(fake), 0xff, true)); /* no logical id yet */
    store(fake, LDR, 0x02ffffff);
    assert_int_equal(load(fake, LDR), 0x02000000);
    assert_true(local_apic_accepts(apic(fake), 0x03, true));
    assert_false(local_apic_accepts(apic(fake), 0x04, true));
    store(fake, DFR, 0); /* clusters */
    assert_int_equal(load(fake, DFR), 0x0fffffff);
    store(fake, LDR, 0x32000000);
    assert_true(local_apic_accepts(apic(fake), 0x36, true));
    assert_false(local_apic_accepts(apic(fake), 0x26, true));
    assert_false(local_apic_accepts(apic(fake), 0x31, true));
    assert_true(local_apic_accepts(apic(fake), 0xf2, true));
}

static void test_the_modes_form_a_ring(void **state)
{
    struct fake_machine *fake = *state;

    assert_false(wrmsr(fake, APIC_BASE, 0xfee00100 | 0x400)); /* x2APIC without enable */
    assert_true(wrmsr(fake, APIC_BASE, 0xfee00d00));
    assert_int_equal(rdmsr(fake, APIC_BASE), 0xfee00d00);
    assert_false(wrmsr(fake, APIC_BASE, 0xfee00900)); /* not back to xAPIC */
    assert_false(wrmsr(fake, APIC_BASE, 0xfee00500));
    assert_true(wrmsr(fake, APIC_BASE, 0xfee00100));
    assert_false(local_apic_is_enabled(apic(fake)));
    assert_false(wrmsr(fake, APIC_BASE, 0xfee00d00)); /* not from disabled to x2APIC */
    assert_true(wrmsr(fake, APIC_BASE, 0xfee00900));
    assert_true(wrmsr(fake, APIC_BASE, 0xfee00800)); /* the bootstrap processor remains that */
    assert_int_equal(rdmsr(fake, APIC_BASE), 0xfee00900);
}

static void test_reserved_bits_and_another_address_are_refused(void **state)
{
    struct fake_machine *fake = *state;

    for (unsigned bit = 0; bit < 64; bit++) {
        if (bit == 8 || bit == 10 || bit == 11)
            continue;
        assert_false(wrmsr(fake, APIC_BASE, UINT64_C(0xfee00900) ^ UINT64_C(1) << bit));
    }
    assert_int_equal(rdmsr(fake, APIC_BASE), 0xfee00900);
}

static void test_disabling_it_loses_everything(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    local_apic_deliver(apic(fake), 0x40, true);
    local_apic_deliver(apic(fake), 0x60, true);
    take(fake, 0x60);
    store(fake, LVT_TIMER, 0x50);
    store(fake, INITIAL, 1000);
    assert_true(wrmsr(fake, APIC_BASE, 0xfee00100));
    assert_false(timers_next(&fake->machine.timers, &deadline));
    assert_false(local_apic_deliver(apic(fake), 0x40, false));
    assert_false(local_apic_accepts(apic(fake), 0, false));
    assert_int_equal(load(fake, VERSION), 0xffffffff); /* no page there */
    assert_true(wrmsr(fake, APIC_BASE, 0xfee00900));
    assert_int_equal(load(fake, SVR), 0xff);
    assert_int_equal(local_apic_next(apic(fake)), -1);
    assert_int_equal(load(fake, ISR + 3), 0);
}

static void test_x2apic_registers_are_msrs_and_the_page_is_gone(void **state)
{
    struct fake_machine *fake = *state;

    assert_true(rdmsr_faults(fake, X2(ID)));
    enter_x2apic(fake);
    assert_int_equal(load(fake, VERSION), 0xffffffff);
    assert_int_equal(rdmsr(fake, X2(ID)), 0);
    assert_int_equal(rdmsr(fake, X2(VERSION)), 0x01050014);
    assert_int_equal(rdmsr(fake, X2(LDR)), 1);
    assert_int_equal(rdmsr(fake, X2(SVR)), 0x1ff); /* kept */
    assert_true(wrmsr(fake, X2(TPR), 0x30));
    assert_int_equal(rdmsr(fake, X2(TPR)), 0x30);
    local_apic_deliver(apic(fake), 0x41, false);
    assert_int_equal(rdmsr(fake, X2(IRR) + 2), 2);
    take(fake, 0x41);
    assert_int_equal(rdmsr(fake, X2(PPR)), 0x40);
    assert_true(wrmsr(fake, X2(EOI), 0));
    assert_int_equal(rdmsr(fake, X2(PPR)), 0x30);
}

static void test_x2apic_faults_on_what_is_not_there_and_on_reserved_bits(void **state)
{
    struct fake_machine *fake = *state;
    static const uint8_t read_only[] = { ID, VERSION, PPR, LDR, CURRENT, ISR, TMR, IRR };
    static const uint8_t absent[] = { 0x00, 0x01, 0x04, 0x09, 0x0c, DFR, 0x29, 0x2f, ICR_HIGH, 0x3a, 0x40, 0xff };

    enter_x2apic(fake);
    for (unsigned i = 0; i < sizeof read_only; i++) {
        assert_false(rdmsr_faults(fake, X2(read_only[i])));
        assert_false(wrmsr(fake, X2(read_only[i]), 0));
    }
    for (unsigned i = 0; i < sizeof absent; i++) {
        assert_true(rdmsr_faults(fake, X2(absent[i])));
        assert_false(wrmsr(fake, X2(absent[i]), 0));
    }
    assert_true(rdmsr_faults(fake, X2(EOI)));
    assert_true(rdmsr_faults(fake, X2(SELF)));
    assert_false(wrmsr(fake, X2(EOI), 1));
    assert_false(wrmsr(fake, X2(ESR), 1));
    assert_true(wrmsr(fake, X2(ESR), 0));
    assert_false(wrmsr(fake, X2(TPR), 0x100));
    assert_false(wrmsr(fake, X2(SVR), UINT64_C(0x1000001ff)));
    assert_false(wrmsr(fake, X2(LVT_TIMER), 0x80000));
    assert_false(wrmsr(fake, X2(LVT_ERROR), 0x100));
    assert_false(wrmsr(fake, X2(DIVIDE), 0x4));
    assert_false(wrmsr(fake, X2(INITIAL), UINT64_C(1) << 32));
    assert_false(wrmsr(fake, X2(ICR), 0x100000));
    assert_false(wrmsr(fake, X2(SELF), 0x100));
}

static void test_x2apic_commands_are_one_register(void **state)
{
    struct fake_machine *fake = *state;

    enter_x2apic(fake);
    assert_true(wrmsr(fake, X2(ICR), 0x00090));
    assert_true(pending(fake, 0x90));
    assert_true(wrmsr(fake, X2(ICR), UINT64_C(0x0000000100000091)));
    assert_false(pending(fake, 0x91));
    assert_true(wrmsr(fake, X2(ICR), UINT64_C(0xffffffff00000092)));
    assert_true(pending(fake, 0x92));
    assert_true(wrmsr(fake, X2(ICR), UINT64_C(0x0000000300000893))); /* logical, cluster 0, CPUs 0 and 1 */
    assert_true(pending(fake, 0x93));
    assert_true(rdmsr(fake, X2(ICR)) == UINT64_C(0x0000000300000893));
    assert_true(wrmsr(fake, X2(ICR), UINT64_C(0x0001000100000894))); /* cluster 1 */
    assert_false(pending(fake, 0x94));
    assert_true(wrmsr(fake, X2(SELF), 0x95));
    assert_true(pending(fake, 0x95));
    assert_true(local_apic_accepts(apic(fake), 0xff, false)); /* of the IOAPIC: everybody */
    assert_true(local_apic_accepts(apic(fake), 0x01, true));
    assert_false(local_apic_accepts(apic(fake), 0x02, true));
}

/* The timer. */

static void start(struct fake_machine *fake, uint32_t lvt, uint32_t divide, uint32_t count)
{
    store(fake, DIVIDE, divide);
    store(fake, LVT_TIMER, lvt);
    store(fake, INITIAL, count);
}

static void acknowledge(struct fake_machine *fake, uint8_t vector)
{
    take(fake, vector);
    store(fake, EOI, 0);
}

static void test_a_one_shot_fires_once_at_its_count(void **state)
{
    struct fake_machine *fake = *state;

    start(fake, 0x40, DIVIDE_BY_1, 1000);
    assert_int_equal(load(fake, CURRENT), 1000);
    fake_advance(fake, 250 * COUNT_TICKS);
    assert_int_equal(load(fake, CURRENT), 750);
    fake_advance(fake, 750 * COUNT_TICKS - 1);
    assert_int_equal(load(fake, CURRENT), 1);
    assert_int_equal(local_apic_next(apic(fake)), -1);
    fake_advance(fake, 1);
    assert_int_equal(load(fake, CURRENT), 0);
    acknowledge(fake, 0x40);
    assert_int_equal(load(fake, INITIAL), 1000);
    assert_int_equal(fake_advance(fake, SECOND), 0);
    assert_int_equal(local_apic_next(apic(fake)), -1);
}

static void test_the_divide_configuration_divides(void **state)
{
    struct fake_machine *fake = *state;
    static const uint8_t configuration[8] = { 0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa };
    uint64_t deadline;

    for (unsigned i = 0; i < 8; i++) {
        start(fake, 0x40, configuration[i], 1000);
        assert_int_equal(load(fake, DIVIDE), configuration[i]);
        assert_true(timers_next(&fake->machine.timers, &deadline));
        assert_int_equal(deadline - fake_now, 1000 * COUNT_TICKS << i);
        fake_advance(fake, 600 * COUNT_TICKS << i);
        assert_int_equal(load(fake, CURRENT), 400);
    }
}

static void test_a_divider_changed_on_the_way_holds_for_the_rest(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    start(fake, 0x40, DIVIDE_BY_1, 1000);
    fake_advance(fake, 400 * COUNT_TICKS);
    store(fake, DIVIDE, DIVIDE_BY_16);
    assert_int_equal(load(fake, CURRENT), 600);
    assert_true(timers_next(&fake->machine.timers, &deadline));
    assert_int_equal(deadline - fake_now, 600 * 16 * COUNT_TICKS);
}

static void test_a_periodic_timer_fires_every_count_without_drift(void **state)
{
    (void)state;
    struct fake_machine *fake = fake_machine_bare(3333333333, 0); /* 133.33 TSC ticks a count */
    const char *name;
    uint64_t begin, deadline;

    assert_true(devices_create(&fake->machine, &name));
    store(fake, SVR, 0x1ff);
    begin = fake_now;
    start(fake, PERIODIC | 0x40, DIVIDE_BY_1, 100003);
    for (uint64_t period = 1; period <= 20000; period++) {
        assert_true(timers_next(&fake->machine.timers, &deadline));
        uint64_t exact = (uint64_t)(((unsigned __int128)period * 100003 * 3333333333 + LOCAL_APIC_TIMER_HZ - 1)
                                    / LOCAL_APIC_TIMER_HZ);
        assert_true(deadline - begin == exact);
        fake_now = deadline;
        timers_run(&fake->machine.timers, fake_now);
        acknowledge(fake, 0x40);
        assert_int_equal(load(fake, CURRENT), 100003);
    }
    fake_machine_destroy(fake);
}

static void test_a_period_below_the_limit_fires_less_often_and_counts_as_written(void **state)
{
    struct fake_machine *fake = *state;

    for (uint32_t count = 1; count < 2500; count = count * 3 + 1) {
        start(fake, PERIODIC | 0x40, DIVIDE_BY_1, count);
        assert_in_range(fake_advance(fake, SECOND / 10), 500, 1000);
        assert_in_range(load(fake, CURRENT), 1, count);
    }
    start(fake, PERIODIC | 0x40, 0xa, 1); /* divided by 128: still 195 kHz */
    assert_in_range(fake_advance(fake, SECOND / 10), 900, 1000);
}

static void test_periods_slept_through_are_one_interrupt(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t begin = fake_now, deadline;

    start(fake, PERIODIC | 0x40, DIVIDE_BY_1, 25000); /* 1 ms */
    fake_oversleep(fake, 10000 * SECOND + 300);
    acknowledge(fake, 0x40);
    assert_int_equal(local_apic_next(apic(fake)), -1);
    assert_true(timers_next(&fake->machine.timers, &deadline));
    assert_true(deadline == begin + 10000 * SECOND + MILLISECOND);
}

static void test_the_longest_count_is_not_too_long(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    start(fake, 0x40, 0xa, UINT32_MAX); /* divided by 128: six hours */
    assert_true(timers_next(&fake->machine.timers, &deadline));
    assert_true(deadline - fake_now == (uint64_t)UINT32_MAX * 128 * COUNT_TICKS);
    fake_advance(fake, 1000 * SECOND);
    assert_int_equal(load(fake, CURRENT), UINT32_MAX - (uint32_t)(1000 * SECOND / COUNT_TICKS / 128));
}

static void test_writing_zero_stops_the_timer(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    start(fake, PERIODIC | 0x40, DIVIDE_BY_1, 1000);
    store(fake, INITIAL, 0);
    assert_false(timers_next(&fake->machine.timers, &deadline));
    assert_int_equal(load(fake, CURRENT), 0);
}

static void test_a_masked_timer_counts_and_does_not_interrupt(void **state)
{
    struct fake_machine *fake = *state;

    start(fake, MASKED | 0x40, DIVIDE_BY_1, 1000);
    fake_advance(fake, 500 * COUNT_TICKS);
    assert_int_equal(load(fake, CURRENT), 500);
    fake_advance(fake, SECOND);
    assert_int_equal(local_apic_next(apic(fake)), -1);
}

static void test_a_change_between_one_shot_and_periodic_keeps_the_count(void **state)
{
    struct fake_machine *fake = *state;

    start(fake, 0x40, DIVIDE_BY_1, 10000);
    fake_advance(fake, 4000 * COUNT_TICKS);
    store(fake, LVT_TIMER, PERIODIC | 0x40);
    assert_int_equal(load(fake, CURRENT), 6000);
    assert_int_equal(fake_advance(fake, 26000 * COUNT_TICKS), 3);
    store(fake, LVT_TIMER, 0x40);
    assert_int_equal(fake_advance(fake, SECOND), 1);
}

static void test_the_tsc_deadline_fires_when_the_tsc_gets_there(void **state)
{
    struct fake_machine *fake = *state;

    store(fake, LVT_TIMER, DEADLINE | 0x40);
    assert_true(wrmsr(fake, TSC_DEADLINE, fake_now + 12345));
    assert_int_equal(rdmsr(fake, TSC_DEADLINE), fake_now + 12345);
    fake_advance(fake, 12344);
    assert_int_equal(local_apic_next(apic(fake)), -1);
    fake_advance(fake, 1);
    assert_int_equal(rdmsr(fake, TSC_DEADLINE), 0);
    acknowledge(fake, 0x40);
}

static void test_a_tsc_deadline_that_has_passed_fires_at_once(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    store(fake, LVT_TIMER, DEADLINE | 0x40);
    assert_true(wrmsr(fake, TSC_DEADLINE, 1));
    acknowledge(fake, 0x40);
    assert_int_equal(rdmsr(fake, TSC_DEADLINE), 0);
    assert_false(timers_next(&fake->machine.timers, &deadline));
    assert_true(wrmsr(fake, TSC_DEADLINE, fake_now));
    acknowledge(fake, 0x40);
}

static void test_zero_disarms_the_tsc_deadline(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    store(fake, LVT_TIMER, DEADLINE | 0x40);
    wrmsr(fake, TSC_DEADLINE, fake_now + 1000);
    wrmsr(fake, TSC_DEADLINE, 0);
    assert_false(timers_next(&fake->machine.timers, &deadline));
}

static void test_each_mode_ignores_the_registers_of_the_other(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    store(fake, LVT_TIMER, 0x40);
    assert_true(wrmsr(fake, TSC_DEADLINE, fake_now + 1000));
    assert_int_equal(rdmsr(fake, TSC_DEADLINE), 0);
    assert_false(timers_next(&fake->machine.timers, &deadline));
    store(fake, LVT_TIMER, DEADLINE | 0x40);
    store(fake, INITIAL, 1000);
    assert_int_equal(load(fake, CURRENT), 0);
    assert_false(timers_next(&fake->machine.timers, &deadline));
}

static void test_changing_to_or_from_tsc_deadline_mode_disarms(void **state)
{
    struct fake_machine *fake = *state;
    uint64_t deadline;

    start(fake, PERIODIC | 0x40, DIVIDE_BY_1, 100000);
    store(fake, LVT_TIMER, DEADLINE | 0x40);
    assert_false(timers_next(&fake->machine.timers, &deadline));
    wrmsr(fake, TSC_DEADLINE, fake_now + 1000);
    store(fake, LVT_TIMER, 0x40);
    assert_false(timers_next(&fake->machine.timers, &deadline));
}

static void test_any_tsc_rate_will_do(void **state)
{
    static const uint64_t rates[] = { 1, 1000, 25000000, 40000000, UINT64_C(1) << 40 };

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct fake_machine *fake = fake_machine_bare(rates[i], 0);
        const char *name;

        assert_true(devices_create(&fake->machine, &name));
        store(fake, SVR, 0x1ff);
        start(fake, PERIODIC | 0x40, DIVIDE_BY_1, 25000);
        assert_true(fake_advance(fake, rates[i]) <= 1000);
        assert_true(load(fake, CURRENT) <= 25000);
        fake_machine_destroy(fake);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_reset_the_registers_are_as_the_manual_says),
        CASE(test_the_highest_vector_above_the_priority_comes_next),
        CASE(test_irr_and_isr_show_what_is_requested_and_in_service),
        CASE(test_cr8_is_the_task_priority_class),
        CASE(test_the_ioapic_hears_of_the_end_of_level_interrupts_only),
        CASE(test_an_end_can_be_kept_from_the_ioapic),
        CASE(test_disabled_by_software_it_accepts_nothing_and_masks_stay),
        CASE(test_vectors_below_16_are_errors),
        CASE(test_registers_that_are_not_there_are_errors_in_the_page),
        CASE(test_odd_accesses_to_the_page_do_no_harm),
        CASE(test_interrupts_to_oneself),
        CASE(test_logical_destinations_in_xapic_mode),
        CASE(test_the_modes_form_a_ring),
        CASE(test_reserved_bits_and_another_address_are_refused),
        CASE(test_disabling_it_loses_everything),
        CASE(test_x2apic_registers_are_msrs_and_the_page_is_gone),
        CASE(test_x2apic_faults_on_what_is_not_there_and_on_reserved_bits),
        CASE(test_x2apic_commands_are_one_register),
        CASE(test_a_one_shot_fires_once_at_its_count),
        CASE(test_the_divide_configuration_divides),
        CASE(test_a_divider_changed_on_the_way_holds_for_the_rest),
        cmocka_unit_test(test_a_periodic_timer_fires_every_count_without_drift),
        CASE(test_a_period_below_the_limit_fires_less_often_and_counts_as_written),
        CASE(test_periods_slept_through_are_one_interrupt),
        CASE(test_the_longest_count_is_not_too_long),
        CASE(test_writing_zero_stops_the_timer),
        CASE(test_a_masked_timer_counts_and_does_not_interrupt),
        CASE(test_a_change_between_one_shot_and_periodic_keeps_the_count),
        CASE(test_the_tsc_deadline_fires_when_the_tsc_gets_there),
        CASE(test_a_tsc_deadline_that_has_passed_fires_at_once),
        CASE(test_zero_disarms_the_tsc_deadline),
        CASE(test_each_mode_ignores_the_registers_of_the_other),
        CASE(test_changing_to_or_from_tsc_deadline_mode_disarms),
        cmocka_unit_test(test_any_tsc_rate_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
