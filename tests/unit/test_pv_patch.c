/* Sensitive instructions in the code of a PV guest's kernel. */
#include "vmm/pv/patch.h"
#include "vmm/pv/privileged_decode.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ADDRESS UINT64_C(0xffffffff80000000)

static const struct patch_policy policy, hiding = { .hide_tsc = true };

static struct patch_report scan(uint8_t *bytes, size_t length, const uint64_t *starts, size_t count)
{
    struct patch_report report = { 0 };
    /* What lies behind must not be touched. */
    uint8_t *copy = malloc(length);
    struct patch_code code = {
        .bytes = copy, .length = length, .address = ADDRESS, .starts = starts, .start_count = count,
    };

    memcpy(copy, bytes, length);
    patch_scan(&code, &policy, &report);
    memcpy(bytes, copy, length);
    free(copy);
    return report;
}

static void test_each_kind_gets_its_opcode_and_decodes_to_what_it_was(void **state)
{
    static const struct {
        uint8_t length, bytes[8];
        enum patch_kind kind;
        uint8_t offset, opcode;
        enum privileged_operation operation;
    } rows[] = {
        { 1, { 0x9c }, PATCH_PUSHF, 0, 0x06, PRIVILEGED_PUSHF },
        { 2, { 0x66, 0x9c }, PATCH_PUSHF, 1, 0x06, PRIVILEGED_PUSHF },
        { 1, { 0x9d }, PATCH_POPF, 0, 0x07, PRIVILEGED_POPF },
        { 2, { 0x48, 0xcf }, PATCH_IRET, 1, 0x0e, PRIVILEGED_IRET },
        { 1, { 0xcf }, PATCH_IRET, 0, 0x0e, PRIVILEGED_IRET },
        { 3, { 0x0f, 0x00, 0xc0 }, PATCH_SELECTORS, 0, 0x16, PRIVILEGED_SLDT },
        { 3, { 0x0f, 0x00, 0x08 }, PATCH_SELECTORS, 0, 0x16, PRIVILEGED_STR },
        { 3, { 0x0f, 0x00, 0xe0 }, PATCH_SELECTORS, 0, 0x16, PRIVILEGED_VERR },
        { 7, { 0x0f, 0x00, 0x2d, 1, 2, 3, 4 }, PATCH_SELECTORS, 0, 0x16, PRIVILEGED_VERW },
        { 3, { 0x0f, 0x01, 0x00 }, PATCH_TABLES, 0, 0x17, PRIVILEGED_SGDT },
        { 3, { 0x0f, 0x01, 0x0b }, PATCH_TABLES, 0, 0x17, PRIVILEGED_SIDT },
        { 3, { 0x0f, 0x01, 0xe1 }, PATCH_TABLES, 0, 0x17, PRIVILEGED_SMSW },
        { 3, { 0x0f, 0x02, 0xc1 }, PATCH_RIGHTS, 0, 0x1e, PRIVILEGED_LAR },
        { 4, { 0x48, 0x0f, 0x03, 0xc1 }, PATCH_RIGHTS, 1, 0x1e, PRIVILEGED_LSL },
        { 2, { 0x0f, 0xa2 }, PATCH_CPUID, 0, 0x1f, PRIVILEGED_CPUID },
        { 2, { 0x48, 0xcb }, PATCH_RET_FAR, 1, 0x2f, PRIVILEGED_RET_FAR },
        { 3, { 0xca, 0x10, 0x00 }, PATCH_RET_FAR_POP, 0, 0x37, PRIVILEGED_RET_FAR },
        { 3, { 0x48, 0xff, 0x2b }, PATCH_FAR, 1, 0x3f, PRIVILEGED_JMP_FAR },
        { 4, { 0x41, 0xff, 0x5c, 0x24 }, PATCH_FAR, 1, 0x3f, PRIVILEGED_CALL_FAR },
        { 2, { 0x8c, 0xc8 }, PATCH_FROM_SEGMENT, 0, 0x60, PRIVILEGED_MOV_FROM_SEGMENT },
        { 2, { 0x8e, 0xd8 }, PATCH_TO_SEGMENT, 0, 0x61, PRIVILEGED_MOV_TO_SEGMENT },
        { 2, { 0x0f, 0xa0 }, PATCH_STACK_SEGMENT, 0, 0x82, PRIVILEGED_PUSH_SEGMENT },
        { 2, { 0x0f, 0xa9 }, PATCH_STACK_SEGMENT, 0, 0x82, PRIVILEGED_POP_SEGMENT },
        { 3, { 0x0f, 0xb2, 0x23 }, PATCH_FAR_POINTER, 0, 0x9a, PRIVILEGED_LOAD_FAR_POINTER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[9], original[9];
        struct privileged_instruction instruction;

        memcpy(bytes, rows[i].bytes, 8);
        if (rows[i].bytes[1] == 0xff && rows[i].length == 4)
            memcpy(bytes + 4, "\x08", 1);
        memcpy(original, bytes, 8);
        struct patch_report report = scan(bytes, 8, NULL, 0);
        assert_true(report.count[rows[i].kind] >= 1);
        assert_int_equal(report.failures, 0);
        assert_int_equal(bytes[rows[i].offset], rows[i].opcode);
        original[rows[i].offset] = rows[i].opcode;
        assert_memory_equal(bytes, original, rows[i].length);
        assert_true(privileged_decode(&instruction, bytes, 8));
        assert_int_equal(instruction.operation, rows[i].operation);
        assert_int_equal(instruction.opcode_offset, rows[i].offset);
        assert_true(instruction.patched);
    }
}

static void test_what_traps_by_itself_or_is_harmless_stays(void **state)
{
    static const uint8_t code[] = {
        0xfa, 0xfb, 0xf4, 0xee, 0x0f, 0x01, 0xf8, 0x0f, 0x01, 0x13, 0x0f, 0x00, 0xd8, 0x0f, 0x30, 0x0f, 0x31, 0x0f, 0x05,
        0x48, 0x0f, 0x07, 0xff, 0x23, 0xff, 0xd0, 0x0f, 0x01, 0xd0, 0xf3, 0x0f, 0xae, 0xc0, 0xcd, 0x80, 0xcc, 0x0f, 0x20, 0xc0,
        0xb8, 0x9c, 0x9d, 0xcf, 0x0f, /* mov eax, imm32 */
    };
    uint8_t bytes[sizeof code];

    (void)state;
    memcpy(bytes, code, sizeof code);
    struct patch_report report = scan(bytes, sizeof bytes, NULL, 0);
    assert_memory_equal(bytes, code, sizeof code);
    assert_int_equal(report.failures + report.already, 0);
}

static void test_vector_instructions_are_stepped_over_whatever_their_operands(void **state)
{
    static const uint8_t code[] = {
        0x62, 0xf1, 0x7c, 0x48, 0x10, 0x84, 0x24, 0x9c, 0x9d, 0xcf, 0x0f,       /* vmovups zmm0, [rsp + disp32] */
        0x62, 0xf1, 0x7c, 0x48, 0x11, 0x47, 0x9c,                               /* vmovups [rdi + disp8 * 64], zmm0 */
        0x62, 0xf3, 0xfd, 0x48, 0x25, 0xc1, 0x9d,                               /* vpternlogq zmm0, zmm0, zmm1, imm8 */
        0xc5, 0xf8, 0x92, 0xc8,                                                 /* kmovw k1, eax */
        0xc4, 0xe3, 0x79, 0x32, 0xc9, 0x9c,                                     /* kshiftlb k1, k1, imm8 */
        0x62, 0xf1, 0x7d, 0x48, 0x6f, 0x05, 0x9c, 0x9c, 0x9c, 0x9c,             /* vmovdqa32 zmm0, [rip + disp32] */
        0x62, 0xf1, 0x7d, 0x48, 0x6f, 0x04, 0x25, 0x9c, 0x9c, 0x9c, 0x9c, 0xc3, /* [disp32] */
    };
    uint8_t bytes[sizeof code];

    (void)state;
    memcpy(bytes, code, sizeof code);
    struct patch_report report = scan(bytes, sizeof bytes, NULL, 0);
    assert_int_equal(report.undecodable, 0);
    assert_memory_equal(bytes, code, sizeof code);
}

static void test_hypercalls_become_system_calls(void **state)
{
    uint8_t bytes[] = { 0x0f, 0x01, 0xc1, 0x0f, 0x01, 0xd9 };

    (void)state;
    struct patch_report report = scan(bytes, sizeof bytes, NULL, 0);
    assert_int_equal(report.count[PATCH_HYPERCALL], 2);
    assert_memory_equal(bytes, "\x0f\x05\x90\x0f\x05\x90", 6);
}

static void test_the_clock_is_hidden_only_where_the_policy_says_so(void **state)
{
    uint8_t bytes[] = { 0x0f, 0x31, 0x0f, 0x01, 0xf9 };
    struct patch_code code = { .bytes = bytes, .length = sizeof bytes, .address = ADDRESS };
    struct patch_report report = { 0 };

    (void)state;
    patch_scan(&code, &policy, &report);
    assert_int_equal(bytes[0], 0x0f);
    patch_scan(&code, &hiding, &report);
    assert_memory_equal(bytes, "\x27\x31\x17\x01\xf9", 5);
}

static void test_patched_code_is_recognized_and_left(void **state)
{
    uint8_t bytes[] = { 0x9c, 0x48, 0xcf, 0x0f, 0xa2, 0xc3 };

    (void)state;
    scan(bytes, sizeof bytes, NULL, 0);
    struct patch_report report = scan(bytes, sizeof bytes, NULL, 0);
    assert_int_equal(report.already, 3);
    assert_int_equal(report.undecodable, 0);
    assert_memory_equal(bytes, "\x06\x48\x0e\x1f\xa2\xc3", 6);
}

static void test_reading_begins_anew_behind_what_is_no_instruction_and_at_each_start(void **state)
{
    uint8_t bytes[] = { 0xd6, 0x9c, 0xb8, 0x9c, 0x9d, 0xc3 }; /* a constant that looks like the begin of MOV eax */
    const uint64_t starts[] = { 0, ADDRESS + 3, ADDRESS + 3, ADDRESS + 100, UINT64_MAX };

    (void)state;
    struct patch_report report = scan(bytes, sizeof bytes, starts, 5);
    assert_int_equal(report.undecodable, 1);
    assert_int_equal(report.count[PATCH_PUSHF], 2);
    assert_memory_equal(bytes, "\xd6\x06\xb8\x06\x07\xc3", 6);
}

static void test_code_that_overlaps_itself_is_reported_where_one_of_both_cannot_be_kept(void **state)
{
    uint8_t prefixed[] = { 0x66, 0x48, 0xcf, 0x90 }, operand[] = { 0xb8, 0x90, 0xcf, 0x90, 0x90, 0xc3 };
    uint8_t hypercall[] = { 0x0f, 0x01, 0xc1, 0x90 };
    const uint64_t first[] = { ADDRESS + 1 }, second[] = { ADDRESS + 2 };

    (void)state;
    /* From either byte on it is the same opcode. */
    struct patch_report report = scan(prefixed, sizeof prefixed, first, 1);
    assert_int_equal(report.count[PATCH_IRET], 1);
    assert_int_equal(report.failures, 0);
    assert_int_equal(prefixed[2], 0x0e);

    /* An IRET that is a part of a constant. */
    report = scan(operand, sizeof operand, second, 1);
    assert_int_equal(report.count[PATCH_IRET], 1);
    assert_int_equal(report.failures, 1);
    assert_int_equal(report.failure[0].address, ADDRESS + 2);
    assert_int_equal(report.failure[0].kind, PATCH_IRET);
    assert_int_equal(report.isolation, 0);

    report = scan(hypercall, sizeof hypercall, first, 1);
    assert_int_equal(report.count[PATCH_HYPERCALL], 0);
    assert_int_equal(report.failures, 1);
    assert_int_equal(report.failure[0].kind, PATCH_HYPERCALL);
}

static void test_the_last_bytes_are_patched_as_far_as_they_are_there(void **state)
{
    uint8_t one[] = { 0x9c }, cut[] = { 0x90, 0x8e }, prefixes[] = { 0x66, 0x66 }, half[] = { 0x0f };

    (void)state;
    assert_int_equal(scan(one, 1, NULL, 0).count[PATCH_PUSHF], 1);
    assert_int_equal(one[0], 0x06);
    assert_int_equal(scan(cut, 2, NULL, 0).count[PATCH_TO_SEGMENT], 1);
    scan(prefixes, 2, NULL, 0);
    assert_memory_equal(prefixes, "\x66\x66", 2);
    scan(half, 1, NULL, 0);
}

static void test_a_hundred_mebibytes_of_pushf_are_patched(void **state)
{
    size_t length = (size_t)100 << 20;
    uint8_t *bytes = malloc(length);
    struct patch_code code = { .bytes = bytes, .length = length, .address = ADDRESS };
    struct patch_report report = { 0 };

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 0x9c, length);
    patch_scan(&code, &policy, &report);
    assert_int_equal(report.count[PATCH_PUSHF], length);
    assert_int_equal(bytes[length - 1], 0x06);
    free(bytes);
}

static bool patch_one_page(uint8_t *page, const uint8_t *previous, const uint8_t *next, int offset,
                           struct patch_report *report)
{
    const struct patch_page request = {
        .page = page, .previous = previous, .next = next, .address = ADDRESS, .offset = offset,
    };

    memset(report, 0, sizeof *report);
    return patch_page(&request, &policy, report);
}

static void test_a_page_is_read_along_its_branches(void **state)
{
    uint8_t page[4096];
    struct patch_report report;

    (void)state;
    memset(page, 0x90, sizeof page);
    /* At 100: jmp +5; a table whose bytes would swallow what is jumped to; pushf; ret. */
    memcpy(page + 100, "\xeb\x05\x00\x00\x00\x00\xb8\x9c\xc3", 9);
    page[50] = 0x9d;
    assert_false(patch_one_page(page, NULL, NULL, 100, &report));
    assert_int_equal(page[107], 0x06);
    assert_int_equal(page[50], 0x07);
    assert_int_equal(report.count[PATCH_PUSHF], 1);
    assert_int_equal(report.failures, 0);
    assert_false(patch_one_page(page, NULL, NULL, 100, &report));
    assert_int_equal(report.already, 2);
}

static void test_instructions_that_span_pages(void **state)
{
    uint8_t first[4096], second[4096];
    struct patch_report report;

    (void)state;
    memset(first, 0x90, sizeof first);
    memset(second, 0x90, sizeof second);
    first[4095] = 0x48; /* 48 cf */
    second[0] = 0xcf;
    assert_true(patch_one_page(first, NULL, second, 0, &report));
    assert_int_equal(report.count[PATCH_IRET], 0);
    assert_int_equal(second[0], 0xcf);
    assert_false(patch_one_page(second, first, NULL, -1, &report));
    assert_int_equal(second[0], 0x0e);
    assert_int_equal(report.count[PATCH_IRET], 1);

    /* The opcode before the border, its operands behind it. */
    first[4094] = 0x0f;
    first[4095] = 0x00;
    second[0] = 0xc8;
    assert_false(patch_one_page(first, NULL, second, 0, &report));
    assert_int_equal(first[4094], 0x16);
    assert_false(patch_one_page(second, first, NULL, 1, &report));
    assert_int_equal(report.count[PATCH_SELECTORS] + report.already + report.undecodable, 0);
    assert_int_equal(second[0], 0xc8);
}

struct elf_file {
    Elf64_Ehdr header;
    Elf64_Phdr segment[2];
    uint8_t code[64];
    Elf64_Sym symbol[2];
    Elf64_Shdr section[3];
};

static struct elf_file make_elf(void)
{
    struct elf_file file = {
        .header = {
            .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB }, .e_machine = EM_X86_64, .e_entry = ADDRESS + 0x1000,
            .e_phoff = offsetof(struct elf_file, segment), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
            .e_shoff = offsetof(struct elf_file, section), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3,
        },
        .segment = { {
            .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = offsetof(struct elf_file, code),
            .p_vaddr = ADDRESS + 0x1000, .p_paddr = 0x1000, .p_filesz = 64, .p_memsz = 64,
        } },
        .symbol = { { 0 }, { .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1, .st_value = ADDRESS + 0x1003 } },
        .section = {
            [1] = { .sh_type = SHT_PROGBITS, .sh_flags = SHF_EXECINSTR, .sh_addr = ADDRESS + 0x1000, .sh_size = 32 },
            [2] = {
                .sh_type = SHT_SYMTAB, .sh_offset = offsetof(struct elf_file, symbol), .sh_size = 2 * sizeof(Elf64_Sym),
                .sh_entsize = sizeof(Elf64_Sym),
            },
        },
    };

    memset(file.code, 0x9c, sizeof file.code);
    file.code[2] = 0xb8; /* MOV eax, but for the symbol behind it */
    return file;
}

static uint8_t ram[0x4000];
static const struct guest_memory memory = { .count = 1, .region = { { 0, sizeof ram, ram } } };

static const char *patch_file(const struct elf_file *file, struct patch_report *report)
{
    memset(report, 0, sizeof *report);
    memset(ram, 0, sizeof ram);
    memcpy(ram + 0x1000, file->code, sizeof file->code);
    return patch_elf((const uint8_t *)file, sizeof *file, &memory, &policy, report);
}

static void test_an_elf_kernel_is_patched_in_its_sections_from_its_symbols(void **state)
{
    struct elf_file file = make_elf();
    struct patch_report report;

    (void)state;
    assert_null(patch_file(&file, &report));
    assert_int_equal(report.count[PATCH_PUSHF], 31);
    assert_int_equal(ram[0x1003], 0x06);
    assert_int_equal(ram[0x1000 + 31], 0x06);
    assert_int_equal(ram[0x1000 + 32], 0x9c); /* not in the section */

    file.header.e_shnum = 0;
    assert_null(patch_file(&file, &report));
    assert_int_equal(report.count[PATCH_PUSHF], 59);
}

static void test_damaged_elf_kernels_are_refused_or_read_within_bounds(void **state)
{
    struct elf_file file = make_elf();
    struct patch_report report;

    (void)state;
    file.segment[0].p_flags = PF_R;
    assert_string_equal(patch_file(&file, &report), "its kernel has no executable segment");
    file = make_elf();
    file.segment[0].p_paddr = UINT64_MAX - 3;
    assert_non_null(patch_file(&file, &report));
    file = make_elf();
    file.header.e_phoff = UINT64_MAX;
    assert_non_null(patch_file(&file, &report));
    file = make_elf();
    file.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_string_equal(patch_file(&file, &report), "its kernel is no 64-bit ELF file for x86-64");
    file = make_elf();
    file.section[1].sh_size = UINT64_MAX;
    file.section[2].sh_size = UINT64_MAX;
    assert_null(patch_file(&file, &report)); /* no usable section: the whole segment */
    assert_int_equal(report.count[PATCH_PUSHF], 59);
    assert_non_null(patch_elf((const uint8_t *)&file, 10, &memory, &policy, &report));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_gets_its_opcode_and_decodes_to_what_it_was),
        cmocka_unit_test(test_what_traps_by_itself_or_is_harmless_stays),
        cmocka_unit_test(test_vector_instructions_are_stepped_over_whatever_their_operands),
        cmocka_unit_test(test_hypercalls_become_system_calls),
        cmocka_unit_test(test_the_clock_is_hidden_only_where_the_policy_says_so),
        cmocka_unit_test(test_patched_code_is_recognized_and_left),
        cmocka_unit_test(test_reading_begins_anew_behind_what_is_no_instruction_and_at_each_start),
        cmocka_unit_test(test_code_that_overlaps_itself_is_reported_where_one_of_both_cannot_be_kept),
        cmocka_unit_test(test_the_last_bytes_are_patched_as_far_as_they_are_there),
        cmocka_unit_test(test_a_hundred_mebibytes_of_pushf_are_patched),
        cmocka_unit_test(test_a_page_is_read_along_its_branches),
        cmocka_unit_test(test_instructions_that_span_pages),
        cmocka_unit_test(test_an_elf_kernel_is_patched_in_its_sections_from_its_symbols),
        cmocka_unit_test(test_damaged_elf_kernels_are_refused_or_read_within_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
