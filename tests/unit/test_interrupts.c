/* Which event the guest gets at its next entry. The APIC is played: what it would give next. */
#include "tests/unit/fake_vcpu.h"
#include "vmm/interrupts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct local_apic {
    struct vcpu *vcpu;
    int next_after; /* what it gives once a vector is taken */
    int next;
    int taken;
};

int local_apic_next(const struct local_apic *apic)
{
    return apic->next;
}

void local_apic_take(struct local_apic *apic, uint8_t vector)
{
    assert_int_equal(apic->taken, -1);
    apic->taken = vector;
    apic->next = apic->next_after;
    vcpu_unpend(apic->vcpu, vector);
}

static struct fake_vcpu fake;
static struct local_apic apic;

static int set_up(void **state)
{
    (void)state;
    fake_vcpu_long_mode(&fake, 0);
    fake.vcpu.value[VCPU_RFLAGS] = 0x202;
    apic = (struct local_apic) { .vcpu = &fake.vcpu, .next = -1, .next_after = -1, .taken = -1 };
    return 0;
}

static void interrupt(uint8_t vector)
{
    apic.next = vector;
    vcpu_pend(&fake.vcpu, vector);
}

static void prepare(void)
{
    interrupts_prepare(&fake.vcpu, &apic);
}

static void assert_event(enum vcpu_event_kind kind, uint8_t vector)
{
    assert_int_equal(fake.vcpu.event.kind, kind);
    if (kind != VCPU_EVENT_NONE)
        assert_int_equal(fake.vcpu.event.vector, vector);
}

static void test_without_anything_pending_nothing_is_asked_for(void **state)
{
    (void)state;
    fake.vcpu.want_interrupt_window = fake.vcpu.want_nmi_window = true;
    fake.vcpu.valid[0] = fake.vcpu.valid[1] = 0;
    prepare();
    assert_event(VCPU_EVENT_NONE, 0);
    assert_false(fake.vcpu.want_interrupt_window);
    assert_false(fake.vcpu.want_nmi_window);
    assert_int_equal(fake.reads, 0);
}

static void test_an_interrupt_is_taken_when_the_guest_can_take_it(void **state)
{
    (void)state;
    interrupt(0x30);
    prepare();
    assert_event(VCPU_EVENT_INTERRUPT, 0x30);
    assert_int_equal(apic.taken, 0x30);
    assert_false(fake.vcpu.want_interrupt_window);
}

static void test_otherwise_its_window_is_waited_for(void **state)
{
    static const struct { uint64_t rflags, blocked; } cases[] = {
        { 0x2, 0 }, { 0x202, VCPU_BLOCKED_BY_STI }, { 0x202, VCPU_BLOCKED_BY_MOV_SS },
    };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        set_up(NULL);
        fake.vcpu.value[VCPU_RFLAGS] = cases[i].rflags;
        fake.vcpu.value[VCPU_INTERRUPTIBILITY] = cases[i].blocked;
        interrupt(0x30);
        prepare();
        assert_event(VCPU_EVENT_NONE, 0);
        assert_int_equal(apic.taken, -1);
        assert_true(fake.vcpu.want_interrupt_window);
        fake.vcpu.value[VCPU_RFLAGS] = 0x202;
        fake.vcpu.value[VCPU_INTERRUPTIBILITY] = 0;
        prepare();
        assert_event(VCPU_EVENT_INTERRUPT, 0x30);
    }
}

static void test_an_nmi_in_progress_does_not_hold_up_interrupts(void **state)
{
    (void)state;
    fake.vcpu.value[VCPU_INTERRUPTIBILITY] = VCPU_BLOCKED_BY_NMI;
    interrupt(0x30);
    prepare();
    assert_event(VCPU_EVENT_INTERRUPT, 0x30);
}

static void test_an_exception_goes_before_an_interrupt_which_then_waits(void **state)
{
    (void)state;
    interrupt(0x30);
    vcpu_raise(&fake.vcpu, VECTOR_GP, true, 8);
    prepare();
    assert_event(VCPU_EVENT_EXCEPTION, VECTOR_GP);
    assert_true(fake.vcpu.event.has_error);
    assert_int_equal(fake.vcpu.event.error, 8);
    assert_false(fake.vcpu.exception.pending);
    assert_int_equal(apic.taken, -1);
    assert_true(fake.vcpu.want_interrupt_window);
}

static void test_an_nmi_goes_before_an_interrupt_and_one_at_a_time(void **state)
{
    (void)state;
    interrupt(0x30);
    fake.vcpu.nmi = true;
    prepare();
    assert_event(VCPU_EVENT_NMI, VECTOR_NMI);
    assert_false(fake.vcpu.nmi);
    assert_true(fake.vcpu.want_interrupt_window);

    fake.vcpu.event.kind = VCPU_EVENT_NONE; /* delivered; now blocked until its IRET */
    fake.vcpu.value[VCPU_INTERRUPTIBILITY] = VCPU_BLOCKED_BY_NMI;
    fake.vcpu.nmi = true;
    prepare();
    assert_event(VCPU_EVENT_NONE, 0);
    assert_true(fake.vcpu.want_nmi_window);
}

static void test_an_event_that_was_not_delivered_stays_and_no_other_takes_its_place(void **state)
{
    (void)state;
    interrupt(0x30);
    prepare();
    apic.taken = -1;
    interrupt(0xf0);
    vcpu_raise(&fake.vcpu, VECTOR_UD, false, 0);
    prepare();
    assert_event(VCPU_EVENT_INTERRUPT, 0x30);
    assert_int_equal(apic.taken, -1);
    assert_true(fake.vcpu.want_interrupt_window);
    assert_true(fake.vcpu.exception.pending);
}

static void test_of_two_interrupts_the_second_waits_for_a_window(void **state)
{
    (void)state;
    interrupt(0x30);
    vcpu_pend(&fake.vcpu, 0x50);
    apic.next_after = 0x50;
    prepare();
    assert_event(VCPU_EVENT_INTERRUPT, 0x30);
    assert_true(fake.vcpu.want_interrupt_window);
}

static void test_a_halted_cpu_wakes_for_what_it_would_take(void **state)
{
    (void)state;
    assert_false(interrupts_wake(&fake.vcpu, &apic));
    interrupt(0x30);
    assert_true(interrupts_wake(&fake.vcpu, &apic));
    fake.vcpu.value[VCPU_RFLAGS] = 2;
    assert_false(interrupts_wake(&fake.vcpu, &apic));
    fake.vcpu.nmi = true;
    assert_true(interrupts_wake(&fake.vcpu, &apic));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_without_anything_pending_nothing_is_asked_for),
        CASE(test_an_interrupt_is_taken_when_the_guest_can_take_it),
        CASE(test_otherwise_its_window_is_waited_for),
        CASE(test_an_nmi_in_progress_does_not_hold_up_interrupts),
        CASE(test_an_exception_goes_before_an_interrupt_which_then_waits),
        CASE(test_an_nmi_goes_before_an_interrupt_and_one_at_a_time),
        CASE(test_an_event_that_was_not_delivered_stays_and_no_other_takes_its_place),
        CASE(test_of_two_interrupts_the_second_waits_for_a_window),
        CASE(test_a_halted_cpu_wakes_for_what_it_would_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
