/* The reader of services' ELF files: what it takes, what it refuses and how it says so. */
#include "beaml4-init/elf.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOWEST  UINT64_C(0x40000000)
#define HIGHEST UINT64_C(0x60000000)
#define BYTES   0x3000u

/* A sound program of two segments, for a case to spoil. */
struct program {
    Elf64_Ehdr header;
    Elf64_Phdr segment[3];
    uint8_t rest[BYTES - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
};

static struct program sound(void)
{
    return (struct program) {
        .header = {
            .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
            .e_type = ET_EXEC,
            .e_machine = EM_X86_64,
            .e_version = EV_CURRENT,
            .e_entry = LOWEST + 0x10,
            .e_phoff = sizeof(Elf64_Ehdr),
            .e_phentsize = sizeof(Elf64_Phdr),
            .e_phnum = 3,
        },
        .segment = {
            { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0x1000, .p_vaddr = LOWEST, .p_filesz = 0x800,
              .p_memsz = 0x800 },
            { .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x2000, .p_vaddr = LOWEST + 0x1000,
              .p_filesz = 0x100, .p_memsz = 0x5000 },
            { .p_type = PT_NOTE, .p_offset = UINT64_MAX, .p_filesz = UINT64_MAX },
        },
    };
}

static const char *read_it(const struct program *program, size_t length, struct elf_image *image)
{
    /* Of its very length on the heap, so that the sanitizer sees every access behind it. */
    void *copy = malloc(length ? length : 1);

    memcpy(copy, program, length);
    const char *problem = elf_read(image, copy, length, LOWEST, HIGHEST);
    free(copy);
    return problem;
}

static void assert_refused(const struct program *program, const char *why)
{
    struct elf_image image;
    const char *problem = read_it(program, sizeof *program, &image);

    assert_non_null(problem);
    if (!strstr(problem, why))
        fail_msg("expected \"%s\", was told \"%s\"", why, problem);
}

static void test_a_sound_program_gives_its_segments(void **state)
{
    struct program program = sound();
    struct elf_image image;

    (void)state;
    assert_null(read_it(&program, sizeof program, &image));
    assert_int_equal(image.entry, LOWEST + 0x10);
    assert_int_equal(image.count, 2);
    assert_int_equal(image.segment[0].offset, 0x1000);
    assert_false(image.segment[0].writable);
    assert_int_equal(image.segment[1].address, LOWEST + 0x1000);
    assert_int_equal(image.segment[1].file_bytes, 0x100);
    assert_int_equal(image.segment[1].memory_bytes, 0x5000);
    assert_true(image.segment[1].writable);
}

static void test_every_truncation_is_refused(void **state)
{
    struct program program = sound();
    struct elf_image image;

    (void)state;
    for (size_t length = 0; length < 0x2100; length++)
        assert_non_null(read_it(&program, length, &image));
    assert_null(read_it(&program, 0x2100, &image));
}

static void test_what_is_no_elf_file_is_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.header.e_ident[1] = 'e';
    assert_refused(&program, "not an ELF file");
}

static void test_programs_for_other_processors_are_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.header.e_machine = EM_AARCH64;
    assert_refused(&program, "another processor");
    program = sound();
    program.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_refused(&program, "another processor");
    program = sound();
    program.header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_refused(&program, "another processor");
}

static void test_position_independent_programs_are_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.header.e_type = ET_DYN;
    assert_refused(&program, "fixed addresses");
}

static void test_program_headers_outside_of_the_file_are_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.header.e_phoff = UINT64_MAX - 8;
    assert_refused(&program, "cut off");
    program = sound();
    program.header.e_phnum = UINT16_MAX;
    assert_refused(&program, "cut off");
    program = sound();
    program.header.e_phentsize = 1;
    assert_refused(&program, "unknown size");
}

static void test_segments_outside_of_the_file_are_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.segment[0].p_offset = UINT64_MAX - 0x100;
    assert_refused(&program, "cut off");
    program = sound();
    program.segment[1].p_filesz = program.segment[1].p_memsz = UINT64_MAX;
    assert_refused(&program, "cut off");
    program = sound();
    program.segment[0].p_filesz = 0x801;
    assert_refused(&program, "larger in the file");
}

static void test_segments_outside_of_the_addresses_are_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.segment[0].p_vaddr = LOWEST - 0x1000;
    assert_refused(&program, "outside");
    program = sound();
    program.segment[1].p_memsz = HIGHEST - LOWEST;
    assert_refused(&program, "outside");
    program = sound();
    program.segment[1].p_memsz = UINT64_MAX;
    assert_refused(&program, "outside");
    program = sound();
    program.segment[1].p_vaddr = UINT64_MAX - 0x10;
    assert_refused(&program, "outside");
}

static void test_overlapping_segments_are_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.segment[1].p_vaddr = LOWEST + 0x400;
    assert_refused(&program, "overlap");
    program = sound();
    program.segment[1].p_vaddr = LOWEST + 0x900; /* the same page, with other rights */
    assert_refused(&program, "share a page");
}

static void test_an_entry_outside_of_the_code_is_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.header.e_entry = LOWEST + 0x800;
    assert_refused(&program, "entry point");
    program = sound();
    program.header.e_entry = LOWEST + 0x1000; /* data */
    assert_refused(&program, "entry point");
}

static void test_a_program_without_segments_is_refused(void **state)
{
    struct program program = sound();

    (void)state;
    program.header.e_phnum = 0;
    assert_refused(&program, "nothing to load");
    program = sound();
    program.segment[0].p_memsz = program.segment[0].p_filesz = 0;
    program.segment[1].p_type = PT_NULL;
    assert_refused(&program, "nothing to load");
}

static void test_too_many_segments_are_refused(void **state)
{
    struct program program = sound();
    Elf64_Phdr *table = (Elf64_Phdr *)&program.segment[0];

    (void)state;
    for (unsigned i = 0; i < ELF_SEGMENTS_MAX + 1; i++)
        table[i] = (Elf64_Phdr) { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0x1000,
                                  .p_vaddr = LOWEST + i * 0x1000, .p_filesz = 16, .p_memsz = 16 };
    program.header.e_phnum = ELF_SEGMENTS_MAX + 1;
    program.header.e_entry = LOWEST;
    assert_refused(&program, "too many");
}

/* Whatever single bit is wrong: no access leaves the file, and what is taken keeps its promises. */
static void test_a_flipped_bit_does_no_harm(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < (sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr)) * 8; bit++) {
        struct program program = sound();
        struct elf_image image;

        ((uint8_t *)&program)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (read_it(&program, sizeof program, &image))
            continue;
        for (unsigned i = 0; i < image.count; i++) {
            const struct elf_segment *s = &image.segment[i];
            assert_true(s->offset <= sizeof program && s->file_bytes <= sizeof program - s->offset);
            assert_true(s->file_bytes <= s->memory_bytes && s->memory_bytes > 0);
            assert_true(s->address >= LOWEST && s->memory_bytes <= HIGHEST - s->address);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sound_program_gives_its_segments),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_what_is_no_elf_file_is_refused),
        cmocka_unit_test(test_programs_for_other_processors_are_refused),
        cmocka_unit_test(test_position_independent_programs_are_refused),
        cmocka_unit_test(test_program_headers_outside_of_the_file_are_refused),
        cmocka_unit_test(test_segments_outside_of_the_file_are_refused),
        cmocka_unit_test(test_segments_outside_of_the_addresses_are_refused),
        cmocka_unit_test(test_overlapping_segments_are_refused),
        cmocka_unit_test(test_an_entry_outside_of_the_code_is_refused),
        cmocka_unit_test(test_a_program_without_segments_is_refused),
        cmocka_unit_test(test_too_many_segments_are_refused),
        cmocka_unit_test(test_a_flipped_bit_does_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
