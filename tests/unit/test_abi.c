/* Every number of the ABI table against our headers. */
#include <sel4/bootinfo.h>
#include <sel4/types.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
    const char *text;
    long ours;
    long expected;
} rows[] = {
#define ROW(expression, value) { #expression, (long)(expression), value },
#define ROWS(count)
#include "build/generated/sel4_abi_rows.inc"
#undef ROW
#undef ROWS
};

enum {
#define ROW(expression, value)
#define ROWS(count) TABLE_ROWS = count
#include "build/generated/sel4_abi_rows.inc"
#undef ROW
#undef ROWS
};

static void every_number_is_the_tables(void **state)
{
    (void)state;
    int wrong = 0;

    assert_int_equal(sizeof rows / sizeof rows[0], TABLE_ROWS);
    assert_in_range(TABLE_ROWS, 450, 10000);
    for (int i = 0; i < TABLE_ROWS; i++) {
        if (rows[i].ours == rows[i].expected)
            continue;
        print_error("%s is %ld, the ABI says %ld\n", rows[i].text, rows[i].ours, rows[i].expected);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void message_tag_has_its_fields_where_the_kernel_reads_them(void **state)
{
    (void)state;
    seL4_MessageInfo_t info = seL4_MessageInfo_new(0x123456789abcd, 5, 2, 119);

    assert_int_equal(info.words[0], 0x123456789abcd000 | 5 << 9 | 2 << 7 | 119);
    assert_int_equal(seL4_MessageInfo_get_label(info), 0x123456789abcd);
    assert_int_equal(seL4_MessageInfo_get_capsUnwrapped(info), 5);
    assert_int_equal(seL4_MessageInfo_get_extraCaps(info), 2);
    assert_int_equal(seL4_MessageInfo_get_length(info), 119);
}

static void rights_and_guards_have_their_bits_where_the_kernel_reads_them(void **state)
{
    (void)state;
    assert_int_equal(seL4_CanWrite.words[0], 1);
    assert_int_equal(seL4_CanRead.words[0], 2);
    assert_int_equal(seL4_CanGrant.words[0], 4);
    assert_int_equal(seL4_CanGrantReply.words[0], 8);
    assert_int_equal(seL4_AllRights.words[0], 15);
    assert_int_equal(seL4_CNode_CapData_new(0x3ff, 40).words[0], 0x3ff << 6 | 40);
}

static struct {
    seL4_BootInfo info;
    _Alignas(4096) unsigned char extra[4096];
} boot;

static seL4_BootInfoHeader *put_record(size_t offset, seL4_Word id, seL4_Word length)
{
    seL4_BootInfoHeader *record = (seL4_BootInfoHeader *)(boot.extra + offset);
    record->id = id;
    record->len = length;
    return record;
}

static void bootinfo_walk_finds_records_and_stops_at_the_end(void **state)
{
    (void)state;
    memset(&boot, 0, sizeof boot);
    boot.info.extraLen = 16 + 24 + 40;
    seL4_BootInfoHeader *first = put_record(0, SEL4_BOOTINFO_HEADER_PADDING, 16);
    seL4_BootInfoHeader *second = put_record(16, SEL4_BOOTINFO_HEADER_X86_TSC_FREQ, 24);
    seL4_BootInfoHeader *third = put_record(40, SEL4_BOOTINFO_HEADER_X86_ACPI_RSDP, 40);

    assert_ptr_equal(sel4_bootinfo_next(&boot.info, NULL), first);
    assert_ptr_equal(sel4_bootinfo_next(&boot.info, second), third);
    assert_null(sel4_bootinfo_next(&boot.info, third));
    assert_ptr_equal(sel4_bootinfo_find(&boot.info, SEL4_BOOTINFO_HEADER_X86_TSC_FREQ), second);
    assert_null(sel4_bootinfo_find(&boot.info, SEL4_BOOTINFO_HEADER_X86_VBE));
}

static void bootinfo_walk_refuses_records_that_do_not_fit(void **state)
{
    (void)state;
    memset(&boot, 0, sizeof boot);
    assert_null(sel4_bootinfo_next(&boot.info, NULL));

    boot.info.extraLen = 40;
    put_record(0, 1, 41);
    assert_null(sel4_bootinfo_next(&boot.info, NULL));
    put_record(0, 1, 0);
    assert_null(sel4_bootinfo_next(&boot.info, NULL));
    seL4_BootInfoHeader *first = put_record(0, 1, 32);
    assert_ptr_equal(sel4_bootinfo_next(&boot.info, NULL), first);
    assert_null(sel4_bootinfo_next(&boot.info, first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_the_tables),
        cmocka_unit_test(message_tag_has_its_fields_where_the_kernel_reads_them),
        cmocka_unit_test(rights_and_guards_have_their_bits_where_the_kernel_reads_them),
        cmocka_unit_test(bootinfo_walk_finds_records_and_stops_at_the_end),
        cmocka_unit_test(bootinfo_walk_refuses_records_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
