/* The PVM guest ABI: which kernels speak it, how they start, model specific registers, the shared interrupt flag, and
 * which addresses there are. Numbers are the specification's. */
#include "tests/unit/pvm_fixture.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WIDEST UINT64_C(0xfffffffffffdff00) /* indices 0x100 to 0x1fc of the PML4, nothing of the PML5 */

static const uint8_t synthetic[] = { 0x0f, 0x01, 0x3c, 0x25, 0x50, 0x56, 0x4d, 0xff, 0x0f, 0xa2 };

struct kernel {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    uint8_t code[64];
};

static struct kernel kernel_with(unsigned place)
{
    struct kernel kernel = {
        .header = {
            .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64 }, .e_phoff = offsetof(struct kernel, segment),
            .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
        },
        .segment = {
            .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = offsetof(struct kernel, code), .p_filesz = 64,
        },
    };

    memcpy(kernel.code + place, synthetic, sizeof synthetic);
    return kernel;
}

static bool is_spoken(const struct kernel *kernel, size_t length)
{
    uint8_t *exact = malloc(length + !length); /* such that reading beyond is found */

    assert_non_null(exact);
    memcpy(exact, kernel, length);
    bool spoken = pvm_is_spoken(exact, length);
    free(exact);
    return spoken;
}

static void test_a_kernel_with_the_instruction_in_its_code_speaks_pvm(void **state)
{
    struct kernel first = kernel_with(0), last = kernel_with(54), data = kernel_with(3), none = kernel_with(3);

    (void)state;
    assert_true(is_spoken(&first, sizeof first));
    assert_true(is_spoken(&last, sizeof last));
    data.segment.p_flags = PF_R | PF_W;
    assert_false(is_spoken(&data, sizeof data));
    none.code[12] = 0xa3;
    assert_false(is_spoken(&none, sizeof none));
    last.segment.p_filesz = 63;
    assert_false(is_spoken(&last, sizeof last));
}

static void test_files_that_are_damaged_speak_nothing(void **state)
{
    struct kernel kernel = kernel_with(0);

    (void)state;
    for (size_t length = 0; length < sizeof kernel; length++)
        assert_false(is_spoken(&kernel, length));
    kernel.segment.p_offset = UINT64_MAX;
    assert_false(is_spoken(&kernel, sizeof kernel));
    kernel = kernel_with(0);
    kernel.segment.p_filesz = UINT64_MAX;
    assert_false(is_spoken(&kernel, sizeof kernel));
    kernel = kernel_with(0);
    kernel.header.e_phoff = UINT64_MAX - 8;
    assert_false(is_spoken(&kernel, sizeof kernel));
    kernel = kernel_with(0);
    kernel.header.e_phentsize = 1;
    assert_false(is_spoken(&kernel, sizeof kernel));
    kernel = kernel_with(0);
    kernel.header.e_phnum = 0xffff;
    assert_false(is_spoken(&kernel, sizeof kernel));
    kernel = kernel_with(0);
    kernel.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_false(is_spoken(&kernel, sizeof kernel));
}

static void test_it_starts_with_the_registers_of_the_specification(void **state)
{
    struct pvm_fixture *fixture = pvm_fixture_bare();

    (void)state;
    assert_int_equal(pvm_fixture_register(fixture, VCPU_CR0), 0x80050033);
    assert_int_equal(pvm_fixture_register(fixture, VCPU_CR4) & 0x10020, 0x10020); /* PAE, FSGSBASE */
    assert_int_equal(pvm_fixture_register(fixture, VCPU_CR4) & 0x300003, 0);      /* SMEP, SMAP, PVI, VME */
    assert_int_equal(pvm_fixture_register(fixture, VCPU_EFER), 0xd01);
    assert_int_equal(pvm_fixture_register(fixture, VCPU_STAR), UINT64_C(0x0023001000000000));
    assert_int_equal(pv_cpl(fixture->vcpu), 0);
    assert_int_equal(pvm_fixture_register(fixture, VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR)), 0x10);
    assert_int_equal(pvm_fixture_register(fixture, VCPU_SEGMENT(VCPU_SS, VCPU_SELECTOR)), 0x18);
    assert_int_equal(pvm_fixture_get(fixture, 0), WIDEST);
    for (unsigned i = 1; i < 8; i++)
        assert_int_equal(pvm_fixture_get(fixture, i), 0);
    pvm_fixture_destroy(fixture);
}

static void test_model_specific_registers_keep_what_they_can_have(void **state)
{
    struct pvm_fixture *fixture = pvm_fixture_bare();
    struct bus_access beyond = { .size = 8, .address = 0x4b564df8 };

    (void)state;
    for (unsigned i = 2; i < 8; i++) {
        assert_true(pvm_fixture_set(fixture, i, UINT64_C(0xffffa00000000100) + i));
        assert_int_equal(pvm_fixture_get(fixture, i), UINT64_C(0xffffa00000000100) + i);
    }
    assert_int_equal(bus_perform(&fixture->guest->bus, BUS_MSR, &beyond), BUS_PASS);
    /* Where events begin, at 0, 256 and 512, must be canonical. */
    assert_false(pvm_fixture_set(fixture, 4, UINT64_C(0x0000800000000000)));
    assert_false(pvm_fixture_set(fixture, 4, UINT64_C(0x00007ffffffffe00)));
    assert_false(pvm_fixture_set(fixture, 4, UINT64_C(0x00007fffffffff00)));
    assert_true(pvm_fixture_set(fixture, 4, UINT64_C(0x00007ffffffffdff)));
    assert_int_equal(pvm_fixture_get(fixture, 4), UINT64_C(0x00007ffffffffdff));
    pvm_fixture_destroy(fixture);
}

static void test_the_shared_page_is_a_page_of_ram(void **state)
{
    struct pvm_fixture *fixture = pvm_fixture_bare();

    (void)state;
    assert_false(pvm_fixture_set(fixture, 1, 0x9008));
    assert_false(pvm_fixture_set(fixture, 1, GUEST_RAM_BYTES));
    assert_false(pvm_fixture_set(fixture, 1, DEVICE_PHYSICAL));
    assert_false(pvm_fixture_set(fixture, 1, ~UINT64_C(0xfff)));
    assert_null(fixture->pvm.shared);
    assert_true(pvm_fixture_set(fixture, 1, GUEST_RAM_BYTES - 4096));
    assert_ptr_equal(fixture->pvm.shared, fixture->guest->ram + GUEST_RAM_BYTES - 4096);
    assert_false(pvm_fixture_set(fixture, 1, GUEST_RAM_BYTES));
    assert_int_equal(pvm_fixture_get(fixture, 1), GUEST_RAM_BYTES - 4096);
    assert_ptr_equal(fixture->pvm.shared, fixture->guest->ram + GUEST_RAM_BYTES - 4096);
    assert_true(pvm_fixture_set(fixture, 1, 0));
    assert_null(fixture->pvm.shared);
    pvm_fixture_destroy(fixture);
}

static uint64_t range(uint64_t first4, uint64_t end4, uint64_t first5, uint64_t end5)
{
    return UINT64_C(0xfe00fe00fe00fe00) | first4 | end4 << 16 | first5 << 32 | end5 << 48;
}

static void test_the_linear_range_can_only_become_smaller(void **state)
{
    struct pvm_fixture *fixture = pvm_fixture_bare();

    (void)state;
    assert_true(pvm_fixture_set(fixture, 0, range(0x110, 0x120, 0x1ff, 0x1ff)));
    assert_int_equal(pvm_fixture_get(fixture, 0), range(0x110, 0x120, 0x1ff, 0x1ff));
    assert_true(fixture->cpu.invalidation.everything);
    static const uint16_t refused[][4] = {
        { 0x120, 0x110, 0x1ff, 0x1ff }, { 0x110, 0x110, 0x1ff, 0x1ff }, { 0x100, 0x1fe, 0x1ff, 0x1ff },
        { 0x0ff, 0x120, 0x1ff, 0x1ff }, { 0x110, 0x120, 0x100, 0x110 }, { 0x110, 0x120, 0x1ff, 0x1fe },
        { 0x110, 0x1ff, 0x1ff, 0x1ff },
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_false(pvm_fixture_set(fixture, 0, range(refused[i][0], refused[i][1], refused[i][2], refused[i][3])));
    for (unsigned bit = 0; bit < 64; bit++) /* none of the fixed ones may be clear */
        if (UINT64_C(0xff00ff00ff00ff00) >> bit & 1)
            assert_false(pvm_fixture_set(fixture, 0, range(0x110, 0x120, 0x1ff, 0x1ff) & ~(UINT64_C(1) << bit)));
    assert_int_equal(pvm_fixture_get(fixture, 0), range(0x110, 0x120, 0x1ff, 0x1ff));
    assert_true(pvm_fixture_set(fixture, 0, WIDEST));
    assert_true(pvm_fixture_set(fixture, 0, range(0x1ff, 0x1ff, 0x1ff, 0x1ff))); /* none at all */
    assert_false(pvm_permits(&fixture->pvm, UINT64_C(0xffff800000000000)));
    assert_true(pvm_fixture_set(fixture, 0, 0));
    assert_int_equal(pvm_fixture_get(fixture, 0), WIDEST);
    pvm_fixture_destroy(fixture);
}

static void test_addresses_are_permitted_by_the_range(void **state)
{
    struct pvm_fixture *fixture = pvm_fixture_bare();
    const struct pvm *pvm = &fixture->pvm;

    (void)state;
    assert_true(pvm_permits(pvm, 0));
    assert_true(pvm_permits(pvm, UINT64_C(0x00007fffffffffff)));
    assert_false(pvm_permits(pvm, UINT64_C(0x0000800000000000)));
    assert_false(pvm_permits(pvm, UINT64_C(0xffff7fffffffffff)));
    assert_true(pvm_permits(pvm, UINT64_C(0xffff800000000000)));
    assert_true(pvm_permits(pvm, UINT64_C(0xfffffe7fffffffff)));
    assert_false(pvm_permits(pvm, UINT64_C(0xfffffe8000000000)));
    assert_false(pvm_permits(pvm, UINT64_MAX));
    assert_true(pvm_fixture_set(fixture, 0, range(0x110, 0x111, 0x1ff, 0x1ff)));
    assert_false(pvm_permits(pvm, UINT64_C(0xffff87ffffffffff)));
    assert_true(pvm_permits(pvm, UINT64_C(0xffff880000000000)));
    assert_true(pvm_permits(pvm, UINT64_C(0xffff887fffffffff)));
    assert_false(pvm_permits(pvm, UINT64_C(0xffff888000000000)));
    assert_true(pvm_permits(pvm, 0x1000));
    pvm_fixture_destroy(fixture);
}

static bool stops_with_interrupts(struct pvm_fixture *fixture)
{
    fixture->vcpu->value[VCPU_RFLAGS] = 0x3246; /* the thread's: IF, and IOPL that it cannot have */
    pvm_stopped(&fixture->pvm);
    assert_int_equal(fixture->vcpu->value[VCPU_RFLAGS] & ~UINT64_C(0x200), 0x46);
    return fixture->vcpu->value[VCPU_RFLAGS] & 0x200;
}

static void test_the_interrupt_flag_is_that_of_the_shared_page_in_supervisor_mode_alone(void **state)
{
    struct pvm_fixture *bare = pvm_fixture_bare(), *fixture = pvm_fixture_create();

    (void)state;
    assert_false(stops_with_interrupts(bare));
    fixture->shared->event_flags = 0x200;
    assert_true(stops_with_interrupts(fixture));
    fixture->shared->event_flags = UINT64_MAX & ~UINT64_C(0x200);
    assert_false(stops_with_interrupts(fixture));
    pvm_fixture_run_program(fixture);
    fixture->shared->event_flags = 0;
    assert_true(stops_with_interrupts(fixture));
    pvm_fixture_destroy(bare);
    pvm_fixture_destroy(fixture);
}

static uint64_t resumes(struct pvm_fixture *fixture, uint64_t before, bool enabled, bool waiting)
{
    fixture->shared->event_flags = before;
    fixture->vcpu->value[VCPU_RFLAGS] = enabled ? 0x202 : 0x2;
    fixture->vcpu->want_interrupt_window = waiting;
    pvm_resumes(&fixture->pvm);
    return fixture->shared->event_flags;
}

static void test_what_the_monitor_did_to_the_flag_is_in_the_page_when_the_guest_goes_on(void **state)
{
    struct pvm_fixture *fixture = pvm_fixture_create();

    (void)state;
    assert_int_equal(resumes(fixture, 0, true, false), 0x200); /* STI */
    assert_int_equal(resumes(fixture, 0x200, false, false), 0); /* CLI */
    assert_int_equal(resumes(fixture, 0, false, true), 0x100);  /* an interrupt has to wait */
    assert_int_equal(resumes(fixture, 0x100, false, false), 0x100);
    assert_int_equal(resumes(fixture, 0x100, true, true), 0x200);
    fixture->writes = 0;
    assert_int_equal(resumes(fixture, 0x200, true, true), 0x200);
    assert_int_equal(fixture->writes, 0); /* nothing has changed */
    resumes(fixture, 0, true, false);
    assert_int_equal(fixture->writes, 1);
    assert_int_equal(fixture->write[0].physical, SHARED_PAGE);
    pvm_fixture_run_program(fixture);
    assert_int_equal(resumes(fixture, 0x200, true, true), 0x200); /* a program's is always on */
    assert_int_equal(resumes(fixture, 0, true, true), 0);
    pvm_fixture_destroy(fixture);
}

static void test_sti_and_mov_ss_block_nothing(void **state)
{
    struct pvm_fixture *fixture = pvm_fixture_bare();

    (void)state;
    vcpu_set(fixture->vcpu, VCPU_INTERRUPTIBILITY,
             VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS | VCPU_BLOCKED_BY_NMI);
    pvm_resumes(&fixture->pvm);
    assert_int_equal(pvm_fixture_register(fixture, VCPU_INTERRUPTIBILITY), VCPU_BLOCKED_BY_NMI);
    pvm_fixture_destroy(fixture);
}

static void test_star_has_the_selectors_of_the_real_ring_3(void **state)
{
    (void)state;
    assert_true(pvm_is_star(UINT64_C(0x0023001000000000)));
    assert_true(pvm_is_star(UINT64_C(0x00200010ffffffff))); /* the RPL does not count */
    assert_false(pvm_is_star(UINT64_C(0x001b001000000000)));
    assert_false(pvm_is_star(UINT64_C(0x0023000300000000)));
    assert_false(pvm_is_star(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kernel_with_the_instruction_in_its_code_speaks_pvm),
        cmocka_unit_test(test_files_that_are_damaged_speak_nothing),
        cmocka_unit_test(test_it_starts_with_the_registers_of_the_specification),
        cmocka_unit_test(test_model_specific_registers_keep_what_they_can_have),
        cmocka_unit_test(test_the_shared_page_is_a_page_of_ram),
        cmocka_unit_test(test_the_linear_range_can_only_become_smaller),
        cmocka_unit_test(test_addresses_are_permitted_by_the_range),
        cmocka_unit_test(test_the_interrupt_flag_is_that_of_the_shared_page_in_supervisor_mode_alone),
        cmocka_unit_test(test_what_the_monitor_did_to_the_flag_is_in_the_page_when_the_guest_goes_on),
        cmocka_unit_test(test_sti_and_mov_ss_block_nothing),
        cmocka_unit_test(test_star_has_the_selectors_of_the_real_ring_3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
