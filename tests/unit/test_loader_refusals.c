/* The loader with images that it refuses: what each message says, and that no damaged image leads it astray. */
#include "tests/unit/guest_images.h"

#define MEMORY_BYTES (8 * MIB)

static void refused_request(const struct guest_memory *memory, const struct boot_request *request, const char *expected)
{
    struct boot_state boot;
    char message[160];
    const char *refusal;

    memset(message, '#', sizeof message);
    refusal = loader_load(memory, request, &boot, message);
    if (!refusal)
        fail_msg("taken; expected: %s", expected);
    if (!strstr(refusal, expected))
        fail_msg("refused with \"%s\"; expected: %s", refusal, expected);
    /* A message of 159 bytes has been cut off. */
    assert_in_range(strlen(refusal), 20, sizeof message - 2);
}

static void refused(struct image *kernel, const char *expected)
{
    struct guest_memory memory = memory_of(MEMORY_BYTES, 0);
    struct boot_request request = request_of(kernel);

    refused_request(&memory, &request, expected);
    memory_free(&memory);
    free(kernel->bytes);
}

static void test_files_that_are_no_kernel(void **state)
{
    static const struct { const char *bytes; uint64_t length; const char *expected; } files[] = {
        { "", 0, "empty" },
        { "\x7f", 1, "has 1 bytes" },
        { "#!/bin/sh\n", 10, "begins with bytes 23 21 2f 62; expected an ELF file or a bzImage" },
        { "MZ\x90\0", 4, "begins with bytes 4d 5a 90 00" },
        { "\x1f\x8b\x08\0", 4, "compressed with gzip" },
        { "\xfd" "7zXZ\0", 6, "compressed with xz" },
        { "\x28\xb5\x2f\xfd", 4, "compressed with zstd" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct image kernel = image_of(files[i].length);

        memcpy(kernel.bytes, files[i].bytes, files[i].length);
        refused(&kernel, files[i].expected);
    }
}

static void test_elf_files_that_are_cut_off(void **state)
{
    struct image kernel;

    (void)state;
    for (uint64_t length = 5; length < sizeof(Elf64_Ehdr); length++) {
        kernel = elf_kernel(0);
        image_cut(&kernel, length);
        refused(&kernel, "truncated");
    }
    kernel = elf_kernel(0);
    image_cut(&kernel, sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr) - 1);
    refused(&kernel, "program headers lie beyond its 231 bytes");
    kernel = elf_kernel(0);
    image_cut(&kernel, 0x27ff);
    refused(&kernel, "segment 1 lies beyond its 10239 bytes");
    kernel = elf_kernel(0x100850);
    image_cut(&kernel, 0x2f10);
    refused(&kernel, "its notes lie beyond");
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_phoff = UINT64_MAX - 8;
    refused(&kernel, "program headers lie beyond");
    kernel = elf_kernel(0);
    elf_segment(&kernel, 0)->p_offset = UINT64_MAX - 0xfff;
    refused(&kernel, "segment 0 lies beyond");
}

static void test_elf_files_for_something_else(void **state)
{
    struct image kernel;

    (void)state;
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_ident[EI_CLASS] = ELFCLASS32;
    refused(&kernel, "32-bit ELF file; expected a 64-bit one");
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_ident[EI_DATA] = ELFDATA2MSB;
    refused(&kernel, "not a 64-bit little-endian");
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_machine = EM_AARCH64;
    refused(&kernel, "64-bit Arm (number 183); expected one for x86-64");
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_type = ET_REL;
    refused(&kernel, "of type 1; expected an executable");
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_phnum = 0;
    refused(&kernel, "0 program headers");
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_phentsize = 32;
    refused(&kernel, "program headers of 32 bytes; expected some of 56");
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_phnum = 65;
    refused(&kernel, "65 program headers; expected 64 at most");
    kernel = elf_kernel(0);
    elf_segment(&kernel, 0)->p_type = elf_segment(&kernel, 1)->p_type = PT_NULL;
    refused(&kernel, "without a segment to load");
}

static void test_segments_that_cannot_lie_where_they_want(void **state)
{
    struct image kernel;

    (void)state;
    kernel = elf_kernel(0);
    elf_segment(&kernel, 1)->p_paddr = 0x100fff;
    refused(&kernel, "segments 0 and 1 overlap at address 0x100fff");
    kernel = elf_kernel(0);
    elf_segment(&kernel, 1)->p_paddr = 0x100000 - 0x1000;
    refused(&kernel, "wants memory at 0xff000; expected nothing below 0x100000");
    kernel = elf_kernel(0);
    elf_segment(&kernel, 1)->p_paddr = MEMORY_BYTES - 0x1fff;
    refused(&kernel, "needs memory up to 9 MiB, and this VM has 8 MiB");
    kernel = elf_kernel(0);
    elf_segment(&kernel, 1)->p_memsz = 100 * MIB;
    refused(&kernel, "needs memory up to 102 MiB, and this VM has 8 MiB");
    kernel = elf_kernel(0);
    elf_segment(&kernel, 1)->p_paddr = 0xffffffff80102000;
    refused(&kernel, "needs memory up to 17592186042370 MiB, and this VM has 8 MiB");
    kernel = elf_kernel(0);
    elf_segment(&kernel, 1)->p_memsz = UINT64_MAX;
    refused(&kernel, "damaged: a part of it at 0x102000 is so large that its end wraps around");
    kernel = elf_kernel(0);
    elf_segment(&kernel, 1)->p_memsz = 0x7ff;
    refused(&kernel, "segment 1 has more bytes in the file than in memory");
}

static void test_entries_that_are_nowhere(void **state)
{
    struct guest_memory memory = memory_of(MEMORY_BYTES, 0);
    struct image kernel;
    struct boot_request request;

    (void)state;
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_entry = 0x101000;
    refused(&kernel, "entry 0x101000 lies outside of its segments");
    kernel = elf_kernel(0);
    elf_header(&kernel)->e_entry = 0xffffffff80100000;
    refused(&kernel, "entry 0xffffffff80100000 lies outside");
    kernel = elf_kernel(0x101000);
    refused(&kernel, "PVH entry 0x101000 lies outside of its segments");
    kernel = elf_kernel(0x200100850);
    refused(&kernel, "PVH entry 0x200100850 lies outside of its segments, or above 4 GiB");

    kernel = elf_kernel(0);
    request = request_of(&kernel);
    request.choice = BOOT_CHOICE_PVH;
    refused_request(&memory, &request, "has no PVH entry");
    free(kernel.bytes);
    kernel = bzimage_kernel();
    request = request_of(&kernel);
    request.choice = BOOT_CHOICE_PVH;
    refused_request(&memory, &request, "bzImage, which has no PVH entry");
    free(kernel.bytes);
    memory_free(&memory);
}

static void test_bzimages_that_are_damaged_or_too_old(void **state)
{
    struct image kernel;

    (void)state;
    kernel = bzimage_kernel();
    image_cut(&kernel, 0x250);
    refused(&kernel, "truncated: 592 bytes, too few for the header");
    kernel = bzimage_kernel();
    image_cut(&kernel, kernel.length - 1);
    refused(&kernel, "truncated: a bzImage of 3583 bytes; expected 3584");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->syssize = 0xffffffff;
    refused(&kernel, "truncated");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->setup_sects = 255;
    refused(&kernel, "truncated");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->boot_flag = 0;
    refused(&kernel, "boot flag 0; expected 0xaa55");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->version = 0x20b;
    refused(&kernel, "boot protocol 2.11; expected 2.12");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->xloadflags = 0;
    refused(&kernel, "without a 64-bit entry");
    kernel = bzimage_kernel();
    kernel.bytes[0x201] = 0x20;
    refused(&kernel, "header ends at 0x222");
    kernel = bzimage_kernel();
    kernel.bytes[0x201] = 0xff;
    refused(&kernel, "header ends at 0x301");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->syssize = 0x20;
    refused(&kernel, "with 512 bytes of code");
}

static void test_bzimages_that_need_more_memory(void **state)
{
    struct guest_memory two = memory_of(MEMORY_BYTES, 2 * MIB);
    struct image kernel;

    (void)state;
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->init_size = 0x400001;
    refused(&kernel, "needs memory up to 9 MiB, and this VM has 8 MiB");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->pref_address = 0x700000;
    bzimage_header(&kernel)->relocatable_kernel = 0;
    refused(&kernel, "needs memory up to 10 MiB");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->pref_address = 0x600000;
    bzimage_header(&kernel)->kernel_alignment = 3;
    refused(&kernel, "alignment of 0x3; expected a power of two");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->pref_address = 0x10000;
    bzimage_header(&kernel)->relocatable_kernel = 0;
    refused(&kernel, "wants memory at 0x10000");
    kernel = bzimage_kernel();
    bzimage_header(&kernel)->pref_address = UINT64_MAX - 0x1000;
    refused(&kernel, "wraps around");

    kernel = bzimage_kernel();
    bzimage_header(&kernel)->init_size = 0x600000;
    struct boot_request request = request_of(&kernel);
    refused_request(&two, &request, "this VM has 8 MiB in its first region");
    bzimage_header(&kernel)->init_size = 0x200000;
    bzimage_header(&kernel)->pref_address = 0x700000;
    bzimage_header(&kernel)->xloadflags = XLF_KERNEL_64;
    refused_request(&two, &request, "needs memory up to 9 MiB");
    free(kernel.bytes);
    memory_free(&two);
}

static void test_segments_too_far_apart_to_be_mapped(void **state)
{
    struct guest_memory two = memory_of(MEMORY_BYTES, 2 * MIB);
    struct image kernel = elf_kernel(0);
    struct boot_request request = request_of(&kernel);

    (void)state;
    elf_segment(&kernel, 1)->p_paddr = HIGH_BASE;
    refused_request(&two, &request, "lies between 0x100000 and 0x2000002000; expected it below 1 GiB, or in 8 GiB of the "
                    "first 512");
    free(kernel.bytes);
    memory_free(&two);
}

static void test_command_lines_that_are_too_long(void **state)
{
    struct guest_memory memory = memory_of(MEMORY_BYTES, 0);
    struct image kernel = bzimage_kernel();
    struct boot_request request = request_of(&kernel);
    char *cmdline = calloc(1, 5000);

    (void)state;
    request.cmdline = cmdline;
    memset(cmdline, 'x', 2048);
    refused_request(&memory, &request, "command line has more than 2047 bytes; expected 2047 at most");
    cmdline[256] = 0;
    bzimage_header(&kernel)->cmdline_size = 255;
    refused_request(&memory, &request, "command line has 256 bytes; expected 255 at most");
    free(cmdline);
    free(kernel.bytes);
    memory_free(&memory);
}

static void test_initrds_that_find_no_room(void **state)
{
    struct guest_memory memory = memory_of(MEMORY_BYTES, 0), two = memory_of(MEMORY_BYTES, 4 * MIB);
    struct image kernel = bzimage_kernel(), elf = elf_kernel(0x100850), initrd = image_of(7 * MIB);
    struct boot_request request = request_of(&kernel);

    (void)state;
    request.initrd = initrd.bytes;
    request.initrd_bytes = 3 * MIB + 1;
    refused_request(&memory, &request, "the initrd needs 4 MiB, for which the VM's memory (8 MiB, 8 MiB below 4 GiB)");
    request.initrd_bytes = UINT64_MAX;
    refused_request(&memory, &request, "the initrd needs 17592186044416 MiB");
    request.initrd_bytes = 4 * MIB + 1;
    refused_request(&two, &request, "the initrd needs 5 MiB");
    request.initrd_bytes = 4 * MIB;
    bzimage_header(&kernel)->xloadflags = XLF_KERNEL_64;
    refused_request(&two, &request, "the initrd needs 4 MiB, for which the VM's memory (12 MiB, 8 MiB below 4 GiB)");
    request.initrd_bytes = 1;
    bzimage_header(&kernel)->initrd_addr_max = 0xfffff;
    refused_request(&memory, &request, "the initrd needs 1 MiB");

    request = request_of(&elf);
    request.initrd = initrd.bytes;
    request.initrd_bytes = 7 * MIB;
    refused_request(&memory, &request, "the initrd needs 7 MiB");
    free(kernel.bytes);
    free(elf.bytes);
    free(initrd.bytes);
    memory_free(&memory);
    memory_free(&two);
}

static void test_virtual_machines_that_are_too_small(void **state)
{
    struct guest_memory memory = memory_of(2 * MIB - 0x1000, 0), none = { 0 };
    struct image kernel = elf_kernel(0x100850);
    struct boot_request request = request_of(&kernel);

    (void)state;
    refused_request(&memory, &request, "the VM has 2044 KiB of memory; expected 2 MiB at least");
    refused_request(&none, &request, "the VM has 0 KiB of memory");
    free(kernel.bytes);
    memory_free(&memory);
}

/* Random damage: the sanitizers watch, and an image that is taken has its entry inside of the VM's memory. */
static void test_random_damage_is_refused_or_harmless(void **state)
{
    struct guest_memory memory = memory_of(3 * MIB, MIB);
    uint32_t seed = 4711;
    unsigned taken = 0;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        struct image kernel = round % 3 == 0 ? bzimage_kernel() : elf_kernel(round % 3 == 1 ? 0 : 0x100850);
        uint64_t head = round % 3 == 0 ? 0x270 : 0x200, tail = round % 3 == 0 ? 0x1f1 : 0;
        struct boot_state boot;
        char message[160];

        if (round % 3 == 0) {
            bzimage_header(&kernel)->pref_address = MIB;
            bzimage_header(&kernel)->init_size = MIB;
        }
        for (unsigned change = 0; change <= round % 5; change++) {
            seed = seed * 1664525u + 1013904223u;
            uint64_t where = tail + (seed >> 8) % (head - tail);
            static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
            kernel.bytes[where] = seed & 0x80 ? values[seed % 5] : (uint8_t)(seed >> 24);
            if (round % 3 == 2 && (seed & 0x40))
                kernel.bytes[0x2f00 + (seed >> 16) % 52] = (uint8_t)seed;
        }
        if (round % 7 == 0)
            image_cut(&kernel, 1 + seed % kernel.length);
        struct boot_request request = request_of(&kernel);
        if (!loader_load(&memory, &request, &boot, message)) {
            assert_non_null(guest_memory_at(&memory, boot.entry, 1));
            assert_in_range(boot.entry, MIB, HIGH_BASE + MIB);
            taken++;
        }
        free(kernel.bytes);
    }
    assert_in_range(taken, 2000, 18000);
    memory_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_that_are_no_kernel),
        cmocka_unit_test(test_elf_files_that_are_cut_off),
        cmocka_unit_test(test_elf_files_for_something_else),
        cmocka_unit_test(test_segments_that_cannot_lie_where_they_want),
        cmocka_unit_test(test_entries_that_are_nowhere),
        cmocka_unit_test(test_bzimages_that_are_damaged_or_too_old),
        cmocka_unit_test(test_bzimages_that_need_more_memory),
        cmocka_unit_test(test_segments_too_far_apart_to_be_mapped),
        cmocka_unit_test(test_command_lines_that_are_too_long),
        cmocka_unit_test(test_initrds_that_find_no_room),
        cmocka_unit_test(test_virtual_machines_that_are_too_small),
        cmocka_unit_test(test_random_damage_is_refused_or_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
