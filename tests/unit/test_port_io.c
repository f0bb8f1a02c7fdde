/* IN, OUT and their string forms. */
#include "tests/unit/guest_fixture.h"
#include "vmm/port_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PORT 0x1f0u

struct port {
    uint64_t next; /* what is read; goes up */
    struct bus_access access[128];
    unsigned accesses;
};

static enum bus_result access_port(void *device, struct bus_access *access)
{
    struct port *port = device;

    if (!access->write)
        access->value = port->next++;
    if (port->accesses < 128)
        port->access[port->accesses++] = *access;
    return BUS_DONE;
}

static struct port port;

static int set_up(void **state)
{
    struct guest_fixture *guest = guest_create();
    const struct bus_range range = {
        .space = BUS_PORT, .start = PORT, .length = 4, .priority = 128, .handler = access_port, .device = &port,
    };

    memset(&port, 0, sizeof port);
    assert_true(bus_register(&guest->bus, &range));
    guest->cpu.vcpu.value[VCPU_RIP] = KERNEL_BASE + GUEST_CODE;
    *state = guest;
    return 0;
}

static int tear_down(void **state)
{
    guest_destroy(*state);
    return 0;
}

static enum port_io_result perform(struct guest_fixture *guest, const struct vcpu_exit *exit)
{
    return port_io(&guest->cpu.vcpu, &guest->bus, &guest->memory, exit);
}

static struct vcpu_exit io(bool in, uint8_t size)
{
    return (struct vcpu_exit) {
        .kind = VCPU_EXIT_IO, .instruction_length = 1, .io = { .port = PORT, .size = size, .in = in },
    };
}

static struct vcpu_exit string_io(bool in, uint8_t size, bool repeated)
{
    struct vcpu_exit exit = io(in, size);

    exit.io.string = true;
    exit.io.repeated = repeated;
    exit.io.address_size = 8;
    exit.io.segment = in ? VCPU_ES : VCPU_DS;
    return exit;
}

static void test_out_gives_the_port_as_many_bytes_as_it_says(void **state)
{
    struct guest_fixture *guest = *state;

    guest->cpu.vcpu.value[VCPU_RAX] = UINT64_C(0x1122334455667788);
    for (unsigned size = 1; size <= 4; size *= 2) {
        struct vcpu_exit exit = io(false, (uint8_t)size);
        assert_int_equal(perform(guest, &exit), PORT_IO_DONE);
    }
    assert_int_equal(port.accesses, 3);
    assert_int_equal(port.access[0].value, 0x88);
    assert_int_equal(port.access[1].value, 0x7788);
    assert_int_equal(port.access[2].value, 0x55667788);
    assert_int_equal(guest->cpu.vcpu.value[VCPU_RIP], KERNEL_BASE + GUEST_CODE + 3);
    assert_int_equal(guest->cpu.vcpu.dirty[0] & VCPU_MASK_BIT(VCPU_RAX), 0); /* one system call less */
}

static void test_in_changes_the_part_of_rax_that_it_reads(void **state)
{
    static const uint64_t expected[] = { UINT64_C(0x11223344556677a5), UINT64_C(0x11223344556600a5), 0xa5 };
    struct guest_fixture *guest = *state;

    for (unsigned i = 0; i < 3; i++) {
        struct vcpu_exit exit = io(true, (uint8_t)(1u << i));
        guest->cpu.vcpu.value[VCPU_RAX] = UINT64_C(0x1122334455667788);
        port.next = 0xa5;
        assert_int_equal(perform(guest, &exit), PORT_IO_DONE);
        assert_int_equal(guest->cpu.vcpu.value[VCPU_RAX], expected[i]);
    }
}

static void test_a_port_without_a_device_reads_as_ones(void **state)
{
    struct guest_fixture *guest = *state;
    struct vcpu_exit exit = io(true, 4);

    exit.io.port = 0xcf8;
    assert_int_equal(perform(guest, &exit), PORT_IO_DONE);
    assert_int_equal(guest->cpu.vcpu.value[VCPU_RAX], UINT32_MAX);
}

static void test_outs_and_ins_move_memory(void **state)
{
    struct guest_fixture *guest = *state;
    uint64_t *value = guest->cpu.vcpu.value;
    struct vcpu_exit outs = string_io(false, 2, true), ins = string_io(true, 1, true), one = string_io(true, 4, false);

    memcpy(guest->ram + GUEST_DATA, "\x01\x02\x03\x04\x05\x06", 6);
    value[VCPU_RSI] = KERNEL_BASE + GUEST_DATA;
    value[VCPU_RCX] = 3;
    assert_int_equal(perform(guest, &outs), PORT_IO_DONE);
    assert_int_equal(port.accesses, 3);
    assert_int_equal(port.access[0].value, 0x0201);
    assert_int_equal(port.access[2].value, 0x0605);
    assert_int_equal(value[VCPU_RSI], KERNEL_BASE + GUEST_DATA + 6);
    assert_int_equal(value[VCPU_RCX], 0);
    assert_int_equal(value[VCPU_RIP], KERNEL_BASE + GUEST_CODE + 1);

    port.next = 0x41;
    value[VCPU_RDI] = KERNEL_BASE + GUEST_DATA + 0x10;
    value[VCPU_RCX] = 5;
    value[VCPU_RFLAGS] |= RFLAGS_DF;
    assert_int_equal(perform(guest, &ins), PORT_IO_DONE);
    assert_memory_equal(guest->ram + GUEST_DATA + 0xc, "EDCBA", 5);
    assert_int_equal(value[VCPU_RDI], KERNEL_BASE + GUEST_DATA + 0xb);

    value[VCPU_RFLAGS] &= ~RFLAGS_DF;
    value[VCPU_RDI] = KERNEL_BASE + GUEST_DATA;
    value[VCPU_RCX] = 9; /* without a prefix of no meaning */
    port.next = 0x12345678;
    assert_int_equal(perform(guest, &one), PORT_IO_DONE);
    assert_memory_equal(guest->ram + GUEST_DATA, "\x78\x56\x34\x12", 4);
    assert_int_equal(value[VCPU_RCX], 9);
}

static void test_an_address_size_that_is_not_known_is_that_of_the_code(void **state)
{
    struct guest_fixture *guest = *state;
    struct vcpu_exit exit = string_io(false, 1, true);

    exit.io.address_size = 0;
    guest->ram[GUEST_DATA] = 0x77;
    guest->cpu.vcpu.value[VCPU_RSI] = KERNEL_BASE + GUEST_DATA;
    guest->cpu.vcpu.value[VCPU_RCX] = 1;
    assert_int_equal(perform(guest, &exit), PORT_IO_DONE);
    assert_int_equal(port.accesses, 1);
    assert_int_equal(port.access[0].value, 0x77);
    assert_int_equal(guest->cpu.vcpu.value[VCPU_RCX], 0);
}

static void test_a_long_repetition_is_left_and_resumed(void **state)
{
    struct guest_fixture *guest = *state;
    struct vcpu_exit exit = string_io(false, 1, true);
    unsigned rounds = 0;

    guest->cpu.vcpu.value[VCPU_RSI] = KERNEL_BASE + GUEST_DATA;
    guest->cpu.vcpu.value[VCPU_RCX] = 100;
    while (guest->cpu.vcpu.value[VCPU_RIP] == KERNEL_BASE + GUEST_CODE) {
        assert_int_equal(perform(guest, &exit), PORT_IO_DONE);
        assert_in_range(++rounds, 1, 100);
    }
    assert_int_equal(port.accesses, 100);
    assert_true(rounds > 1);
}

static void test_a_page_fault_stops_a_repetition_where_it_is(void **state)
{
    struct guest_fixture *guest = *state;
    struct vcpu_exit exit = string_io(true, 1, true);

    guest->page_table[9] = 0;
    guest->cpu.vcpu.value[VCPU_RDI] = KERNEL_BASE + 0x8ffe;
    guest->cpu.vcpu.value[VCPU_RCX] = 10;
    assert_int_equal(perform(guest, &exit), PORT_IO_DONE);
    assert_true(guest->cpu.vcpu.exception.pending);
    assert_int_equal(guest->cpu.vcpu.exception.vector, VECTOR_PF);
    assert_int_equal(guest->cpu.vcpu.value[VCPU_CR2], KERNEL_BASE + 0x9000);
    assert_int_equal(guest->cpu.vcpu.value[VCPU_RCX], 8);
    assert_int_equal(guest->cpu.vcpu.value[VCPU_RIP], KERNEL_BASE + GUEST_CODE);
    assert_int_equal(port.accesses, 2); /* no input is lost */
}

static void test_a_memory_operand_behind_broken_page_tables_ends_it(void **state)
{
    struct guest_fixture *guest = *state;
    struct vcpu_exit exit = string_io(false, 1, false);

    guest->cpu.vcpu.value[VCPU_CR3] = GUEST_RAM_BYTES;
    assert_int_equal(perform(guest, &exit), PORT_IO_NO_MEMORY);
    assert_int_equal(port.accesses, 0);
}

static void test_16_bit_addresses_wrap_in_their_segment(void **state)
{
    struct guest_fixture *guest = *state;
    struct vcpu_exit exit = string_io(false, 1, true);
    uint64_t *value = guest->cpu.vcpu.value;

    value[VCPU_CR0] = value[VCPU_EFER] = 0;
    value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)] = 0x9b;
    value[VCPU_SEGMENT(VCPU_ES, VCPU_BASE)] = 0;
    value[VCPU_RIP] = 0x6000;
    exit.io.address_size = 2;
    exit.io.segment = VCPU_ES;
    guest->ram[0xffff] = 0x11;
    guest->ram[0] = 0x22;
    value[VCPU_RSI] = 0x7ffff;
    value[VCPU_RCX] = 0x50002;
    assert_int_equal(perform(guest, &exit), PORT_IO_DONE);
    assert_int_equal(port.access[0].value, 0x11);
    assert_int_equal(port.access[1].value, 0x22);
    assert_int_equal(value[VCPU_RSI], 0x70001);
    assert_int_equal(value[VCPU_RCX], 0x50000);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_out_gives_the_port_as_many_bytes_as_it_says),
        CASE(test_in_changes_the_part_of_rax_that_it_reads),
        CASE(test_a_port_without_a_device_reads_as_ones),
        CASE(test_outs_and_ins_move_memory),
        CASE(test_an_address_size_that_is_not_known_is_that_of_the_code),
        CASE(test_a_long_repetition_is_left_and_resumed),
        CASE(test_a_page_fault_stops_a_repetition_where_it_is),
        CASE(test_a_memory_operand_behind_broken_page_tables_ends_it),
        CASE(test_16_bit_addresses_wrap_in_their_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
