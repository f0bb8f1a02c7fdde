/* The loader with images that it takes: where everything lies afterwards, and what the boot information says. */
#include "tests/unit/guest_images.h"
#include "vmm/acpi_tables.h"

#include <stdio.h>
#include <xen/arch-x86/hvm/start_info.h>

static void load(const struct guest_memory *memory, const struct boot_request *request, struct boot_state *state)
{
    char message[160];
    const char *refusal = loader_load(memory, request, state, message);

    if (refusal)
        fail_msg("refused: %s", refusal);
}

static const void *at(const struct guest_memory *memory, uint64_t address, uint64_t length)
{
    const void *bytes = guest_memory_at(memory, address, length);

    assert_non_null(bytes);
    return bytes;
}

static void check_segments(const struct guest_memory *memory, const struct image *kernel)
{
    static const uint8_t zeroes[0x1800];

    assert_memory_equal(at(memory, 0x100000, 0x1000), kernel->bytes + 0x1000, 0x1000);
    assert_memory_equal(at(memory, 0x102000, 0x800), kernel->bytes + 0x2000, 0x800);
    assert_memory_equal(at(memory, 0x102800, 0x1800), zeroes, 0x1800);
}

static void test_an_elf_kernel_with_a_note_starts_by_pvh(void **state)
{
    struct guest_memory memory = memory_of(4 * MIB, 3 * MIB);
    struct image kernel = elf_kernel(0x100850), initrd = image_of(0x1234);
    struct boot_request request = request_of(&kernel);
    struct boot_state boot;

    (void)state;
    memset(memory.region[0].host + 0x102000, 0xee, 0x3000);
    request.initrd = initrd.bytes;
    request.initrd_bytes = initrd.length;
    load(&memory, &request, &boot);
    assert_int_equal(boot.protocol, BOOT_PVH);
    assert_int_equal(boot.entry, 0x100850);
    check_segments(&memory, &kernel);
    assert_int_equal(*(const uint8_t *)at(&memory, 0x104000, 1), 0xee);

    const struct hvm_start_info *start = at(&memory, boot.information, sizeof *start);
    assert_int_equal(start->magic, XEN_HVM_START_MAGIC_VALUE);
    assert_int_equal(start->version, 1);
    assert_int_equal(start->flags, 0);
    assert_int_equal(start->rsdp_paddr, ACPI_RSDP_ADDRESS);
    assert_string_equal(at(&memory, start->cmdline_paddr, 14), "console=ttyS0");
    assert_int_equal(start->nr_modules, 1);
    const struct hvm_modlist_entry *module = at(&memory, start->modlist_paddr, sizeof *module);
    assert_int_equal(module->size, initrd.length);
    assert_int_equal(module->paddr, (4 * MIB - 0x1234) & ~UINT64_C(0xfff));
    assert_memory_equal(at(&memory, module->paddr, initrd.length), initrd.bytes, initrd.length);

    static const struct hvm_memmap_table_entry expected[] = {
        { 0, 0x9f000, XEN_HVM_MEMMAP_TYPE_RAM, 0 },
        { 0x9f000, 0x61000, XEN_HVM_MEMMAP_TYPE_RESERVED, 0 },
        { MIB, 3 * MIB, XEN_HVM_MEMMAP_TYPE_RAM, 0 },
        { HIGH_BASE, 3 * MIB, XEN_HVM_MEMMAP_TYPE_RAM, 0 },
    };
    assert_int_equal(start->memmap_entries, 4);
    assert_memory_equal(at(&memory, start->memmap_paddr, sizeof expected), expected, sizeof expected);
    free(kernel.bytes);
    free(initrd.bytes);
    memory_free(&memory);
}

static void test_a_note_of_four_bytes_and_one_aligned_to_eight_give_the_entry(void **state)
{
    struct guest_memory memory = memory_of(4 * MIB, 0);
    struct image kernel = elf_kernel(0x100850);
    struct boot_request request = request_of(&kernel);
    struct boot_state boot;

    (void)state;
    /* The second note begins 28 bytes into the segment. */
    *(uint32_t *)(kernel.bytes + 0x2f00 + 28 + 4) = 4;
    elf_segment(&kernel, 2)->p_filesz -= 4;
    load(&memory, &request, &boot);
    assert_int_equal(boot.entry, 0x100850);

    static const struct { Elf64_Nhdr head; char name[4]; uint32_t entry[2]; } aligned = {
        { 4, 8, 18 }, "Xen", { 0x102004, 0 },
    };
    memcpy(kernel.bytes + 0x2f00, &aligned, sizeof aligned);
    elf_segment(&kernel, 2)->p_filesz = sizeof aligned;
    elf_segment(&kernel, 2)->p_align = 8;
    load(&memory, &request, &boot);
    assert_int_equal(boot.entry, 0x102004);
    free(kernel.bytes);
    memory_free(&memory);
}

static void test_notes_that_lie_about_their_size_are_not_believed(void **state)
{
    struct guest_memory memory = memory_of(4 * MIB, 0);
    struct boot_state boot;

    (void)state;
    for (unsigned field = 0; field < 2; field++)
        for (unsigned note = 0; note < 2; note++) {
            static const uint32_t sizes[] = { 0xffffffff, 0xfffffff0, 0x7fffffff, 0x1000, 61 };

            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                struct image kernel = elf_kernel(0x100850);
                struct boot_request request = request_of(&kernel);

                *(uint32_t *)(kernel.bytes + 0x2f00 + note * 28 + field * 4) = sizes[i];
                /* The segment ends with the file. */
                memmove(kernel.bytes + 0x3000 - 52, kernel.bytes + 0x2f00, 52);
                elf_segment(&kernel, 2)->p_offset = 0x3000 - 52;
                load(&memory, &request, &boot);
                assert_int_equal(boot.protocol, BOOT_LINUX64);
                free(kernel.bytes);
            }
        }
    memory_free(&memory);
}

/* What an address maps to by the page tables; all ones where it is not mapped, or not writable. */
static uint64_t translate(const struct guest_memory *memory, uint64_t cr3, uint64_t address)
{
    uint64_t entry = cr3 | 3;

    for (int shift = 39; shift >= 21; shift -= 9) {
        entry = *(const uint64_t *)at(memory, (entry & ~UINT64_C(0xfff)) + (address >> shift & 511) * 8, 8);
        if ((entry & 3) != 3)
            return UINT64_MAX;
    }
    assert_true(entry & 0x80);
    assert_int_equal(entry & 0x1ff000, 0);
    return (entry & ~UINT64_C(0x1fffff)) | (address & 0x1fffff);
}

/* MAPPED: how many GiB are, from 0 on. */
static void check_linux64_state(const struct guest_memory *memory, const struct boot_state *boot, uint64_t mapped)
{
    static const uint64_t addresses[] = { 0, 0x1fffff, 0x200000, GIB - 1, GIB, 3 * GIB + 5, 4 * GIB - 1 };
    /* Where Nanos builds its memory map, downwards, after what it finds there. */
    static const uint8_t zero[0x7dbe - 0x4000];

    assert_int_equal(boot->protocol, BOOT_LINUX64);
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        assert_int_equal(translate(memory, boot->page_tables, addresses[i]),
                         addresses[i] < mapped * GIB ? addresses[i] : UINT64_MAX);
    assert_int_equal(translate(memory, boot->page_tables, mapped * GIB), UINT64_MAX);
    assert_memory_equal(at(memory, 0x4000, sizeof zero), zero, sizeof zero);
    assert_in_range(boot->stack, boot->page_tables + 0x10000, 0x9f000); /* room for one, in RAM that nothing else is in */
    assert_int_equal(boot->stack % 16, 0);
    assert_int_equal(translate(memory, boot->page_tables, HIGH_BASE), UINT64_MAX);
    assert_int_equal(translate(memory, boot->page_tables, UINT64_C(1) << 39), UINT64_MAX);

    assert_int_equal(boot->gdt_limit, 31);
    const uint64_t *gdt = at(memory, boot->gdt, 32);
    assert_int_equal(gdt[2] >> 40 & 0xff, 0x9b); /* present, ring 0, code */
    assert_int_equal(gdt[2] >> 52 & 0x6, 0x2);   /* L, not D */
    assert_int_equal(gdt[3] >> 40 & 0xff, 0x93); /* present, ring 0, writable data */
}

static void test_an_elf_kernel_without_a_note_starts_by_the_linux_protocol(void **state)
{
    struct guest_memory memory = memory_of(8 * MIB, 0);
    struct image kernel = elf_kernel(0);
    struct boot_request request = request_of(&kernel);
    struct boot_state boot;

    (void)state;
    load(&memory, &request, &boot);
    check_linux64_state(&memory, &boot, 1);
    check_segments(&memory, &kernel);
    assert_int_equal(boot.entry, 0x100040);

    const struct boot_params *params = at(&memory, boot.information, sizeof *params);
    assert_int_equal(params->hdr.boot_flag, 0xaa55);
    assert_memory_equal(&params->hdr.header, "HdrS", 4);
    assert_true(params->hdr.version >= 0x20c);
    assert_int_equal(params->hdr.type_of_loader, 0xff);
    assert_int_equal(params->hdr.ramdisk_size, 0);
    assert_int_equal(params->acpi_rsdp_addr, ACPI_RSDP_ADDRESS);
    assert_int_equal(params->sentinel, 0);
    assert_string_equal(at(&memory, params->hdr.cmd_line_ptr, 14), "console=ttyS0");
    static const struct boot_e820_entry expected[] = {
        { 0, 0x9f000, 1 }, { 0x9f000, 0x61000, 2 }, { MIB, 7 * MIB, 1 },
    };
    assert_int_equal(params->e820_entries, 3);
    assert_memory_equal(params->e820_table, expected, sizeof expected);
    free(kernel.bytes);
    memory_free(&memory);
}

static void test_the_choice_decides_for_an_elf_kernel_that_can_both(void **state)
{
    struct guest_memory memory = memory_of(4 * MIB, 0);
    struct image kernel = elf_kernel(0x100850);
    struct boot_request request = request_of(&kernel);
    struct boot_state boot;

    (void)state;
    request.choice = BOOT_CHOICE_LINUX64;
    load(&memory, &request, &boot);
    check_linux64_state(&memory, &boot, 1);
    assert_int_equal(boot.entry, 0x100040);
    assert_false(boot.only_32_bit);
    elf_header(&kernel)->e_entry = 0x100850;
    load(&memory, &request, &boot);
    assert_true(boot.only_32_bit);
    elf_header(&kernel)->e_entry = 0x100040;
    request.choice = BOOT_CHOICE_PVH;
    load(&memory, &request, &boot);
    assert_int_equal(boot.protocol, BOOT_PVH);
    /* The other protocol's entry does not matter then. */
    elf_header(&kernel)->e_entry = 0;
    load(&memory, &request, &boot);
    assert_int_equal(boot.protocol, BOOT_PVH);
    free(kernel.bytes);
    memory_free(&memory);
}

static void test_a_bzimage_lies_where_it_wants_with_its_header_in_the_boot_parameters(void **state)
{
    struct guest_memory memory = memory_of(16 * MIB, 0);
    struct image kernel = bzimage_kernel(), initrd = image_of(0x2001);
    struct boot_request request = request_of(&kernel);
    struct boot_state boot;

    (void)state;
    request.initrd = initrd.bytes;
    request.initrd_bytes = initrd.length;
    load(&memory, &request, &boot);
    check_linux64_state(&memory, &boot, 4);
    assert_int_equal(boot.entry, 0x400200);
    assert_memory_equal(at(&memory, 0x400000, 0x800), kernel.bytes + 3 * 512, 0x800);

    const struct boot_params *params = at(&memory, boot.information, sizeof *params);
    assert_int_equal(params->hdr.init_size, 0x300000);
    assert_int_equal(params->hdr.kernel_alignment, 0x200000);
    assert_int_equal(params->hdr.type_of_loader, 0xff);
    assert_int_equal(params->hdr.code32_start, 0x400000);
    assert_int_equal(params->hdr.ramdisk_image, 16 * MIB - 0x3000);
    assert_int_equal(params->hdr.ramdisk_size, 0x2001);
    assert_int_equal(params->ext_ramdisk_image, 0);
    assert_memory_equal(at(&memory, params->hdr.ramdisk_image, 0x2001), initrd.bytes, 0x2001);
    /* Nothing of the file but the header. */
    assert_int_equal(params->sentinel, 0);
    assert_int_equal(params->edd_mbr_sig_buffer[0], 0);

    /* setup_sects 0 stands for 4. */
    image_cut(&kernel, 5 * 512 + 0x800);
    bzimage_header(&kernel)->setup_sects = 0;
    request.kernel = kernel.bytes;
    request.kernel_bytes = kernel.length;
    memset(kernel.bytes + 5 * 512, 0x5a, 0x800);
    load(&memory, &request, &boot);
    assert_memory_equal(at(&memory, 0x400000, 0x800), kernel.bytes + 5 * 512, 0x800);
    free(kernel.bytes);
    free(initrd.bytes);
    memory_free(&memory);
}

static void test_a_relocatable_bzimage_goes_above_when_its_place_is_no_memory(void **state)
{
    struct guest_memory memory = memory_of(6 * MIB, 64 * MIB);
    struct image kernel = bzimage_kernel();
    struct boot_request request = request_of(&kernel);
    struct boot_state boot;

    (void)state;
    load(&memory, &request, &boot);
    assert_int_equal(boot.entry, HIGH_BASE + 0x200);
    assert_memory_equal(at(&memory, HIGH_BASE, 0x800), kernel.bytes + 3 * 512, 0x800);
    assert_int_equal(translate(&memory, boot.page_tables, HIGH_BASE + 0x300000), HIGH_BASE + 0x300000);
    assert_int_equal(translate(&memory, boot.page_tables, 5 * GIB), UINT64_MAX);
    free(kernel.bytes);
    memory_free(&memory);
}

/* What is just still right: each of these is one step from a refusal. */
static void test_elf_kernels_at_the_edge_of_what_is_taken(void **state)
{
    struct guest_memory memory = memory_of(4 * MIB, 0);
    struct image kernel = elf_kernel(0);
    struct boot_state boot;

    (void)state;
    /* Segments that touch, in descending order, the upper one up to the end of memory and of the file; the entry at the
     * first and the last byte. */
    *elf_segment(&kernel, 2) = *elf_segment(&kernel, 0);
    elf_segment(&kernel, 0)->p_paddr = 0x101000;
    elf_segment(&kernel, 0)->p_offset = 0x2000;
    elf_segment(&kernel, 0)->p_memsz = 4 * MIB - 0x101000;
    elf_segment(&kernel, 1)->p_memsz = 0;
    for (unsigned last = 0; last < 2; last++) {
        elf_header(&kernel)->e_entry = last ? 4 * MIB - 1 : 0x100000;
        struct boot_request request = request_of(&kernel);
        load(&memory, &request, &boot);
        assert_int_equal(boot.entry, elf_header(&kernel)->e_entry);
    }
    assert_memory_equal(at(&memory, 0x100000, 0x2000), kernel.bytes + 0x1000, 0x2000);

    /* As many program headers as there may be, up to the end of the file. */
    struct image many = image_of(0x2000 + 64 * sizeof(Elf64_Phdr));
    memcpy(many.bytes, kernel.bytes, 0x2000);
    memset(many.bytes + 0x2000, 0, 64 * sizeof(Elf64_Phdr));
    memcpy(many.bytes + many.length - sizeof(Elf64_Phdr), elf_segment(&kernel, 2), sizeof(Elf64_Phdr));
    elf_header(&many)->e_phoff = 0x2000;
    elf_header(&many)->e_phnum = 64;
    elf_header(&many)->e_entry = 0x100fff;
    struct boot_request request = request_of(&many);
    load(&memory, &request, &boot);
    assert_int_equal(boot.entry, 0x100fff);
    free(many.bytes);
    free(kernel.bytes);
    memory_free(&memory);
}

/* A PVH note needs its type, its name, a size of 4 or 8, and to lie in its segment with its last byte. */
static void test_notes_that_are_not_quite_a_pvh_entry(void **state)
{
    enum { PVH = 0x2f00 + 28 };
    static const struct { unsigned offset; uint8_t value; } changes[] = {
        { PVH, 3 }, { PVH, 5 }, { PVH + 4, 5 }, { PVH + 4, 0 }, { PVH + 4, 7 }, { PVH + 8, 17 }, { PVH + 9, 1 },
        { PVH + 12, 'x' }, { PVH + 15, '!' },
    };
    struct guest_memory memory = memory_of(4 * MIB, 0);
    struct boot_state boot;

    (void)state;
    for (size_t i = 0; i <= sizeof changes / sizeof changes[0]; i++) {
        struct image kernel = elf_kernel(0x100850);
        struct boot_request request = request_of(&kernel);

        if (i < sizeof changes / sizeof changes[0])
            kernel.bytes[changes[i].offset] = changes[i].value;
        else
            elf_segment(&kernel, 2)->p_filesz--;
        load(&memory, &request, &boot);
        assert_int_equal(boot.protocol, BOOT_LINUX64);
        free(kernel.bytes);
    }
    memory_free(&memory);
}

static void test_bzimages_at_the_edge_of_what_is_taken(void **state)
{
    struct guest_memory memory = memory_of(7 * MIB, 0), high = memory_of(4 * MIB, GIB / 16);
    struct image kernel = bzimage_kernel();
    struct boot_request request = request_of(&kernel);
    struct boot_state boot;

    (void)state;
    bzimage_header(&kernel)->version = 0x20c;
    kernel.bytes[0x201] = 0x264 - 0x202; /* the header ends with init_size */
    load(&memory, &request, &boot);
    assert_int_equal(boot.entry, 0x400200);
    kernel.bytes[0x201] = 0x290 - 0x202; /* it fills all of its room */
    load(&memory, &request, &boot);
    const struct boot_params *params = at(&memory, boot.information, sizeof *params);
    assert_memory_equal((const uint8_t *)params + 0x26c, kernel.bytes + 0x26c, 0x290 - 0x26c);

    /* A kernel in the last part of a GiB above 4 GiB has that GiB mapped and not the next. */
    high.region[1].start = 5 * GIB - GIB / 16;
    bzimage_header(&kernel)->kernel_alignment = 1;
    bzimage_header(&kernel)->pref_address = 5 * GIB - 0x300000;
    load(&high, &request, &boot);
    assert_int_equal(boot.entry, 5 * GIB - 0x300000 + 0x200);
    assert_int_equal(translate(&high, boot.page_tables, 5 * GIB - 1), 5 * GIB - 1);
    assert_int_equal(translate(&high, boot.page_tables, 5 * GIB), UINT64_MAX);
    /* One that lies across the border has both. */
    high.region[1].start = 5 * GIB - GIB / 32;
    bzimage_header(&kernel)->pref_address = 5 * GIB - 0x100000;
    load(&high, &request, &boot);
    assert_int_equal(translate(&high, boot.page_tables, 5 * GIB - 1), 5 * GIB - 1);
    assert_int_equal(translate(&high, boot.page_tables, 5 * GIB), 5 * GIB);
    assert_int_equal(translate(&high, boot.page_tables, 6 * GIB), UINT64_MAX);
    free(kernel.bytes);
    memory_free(&memory);
    memory_free(&high);
}

static uint64_t initrd_place(const struct guest_memory *memory, const struct image *kernel, uint64_t initrd_bytes)
{
    struct image initrd = image_of(initrd_bytes);
    struct boot_request request = request_of(kernel);
    struct boot_state boot;

    request.initrd = initrd.bytes;
    request.initrd_bytes = initrd.length;
    load(memory, &request, &boot);
    const struct boot_params *params = at(memory, boot.information, sizeof *params);
    uint64_t place = (uint64_t)params->ext_ramdisk_image << 32 | params->hdr.ramdisk_image;
    assert_memory_equal(at(memory, place, initrd.length), initrd.bytes, initrd.length);
    free(initrd.bytes);
    return place;
}

static void test_the_initrd_keeps_out_of_what_the_kernel_unpacks_into(void **state)
{
    struct guest_memory memory = memory_of(8 * MIB, 0), two = memory_of(8 * MIB, 4 * MIB);
    struct image kernel = bzimage_kernel();

    (void)state;
    /* The kernel needs 4 to 7 MiB: 1 MiB above, 3 MiB below. */
    assert_int_equal(initrd_place(&memory, &kernel, MIB), 7 * MIB);
    assert_int_equal(initrd_place(&memory, &kernel, MIB + 1), 4 * MIB - MIB - 0x1000);
    assert_int_equal(initrd_place(&memory, &kernel, 3 * MIB), MIB);
    /* Below the highest address that the kernel allows, up to the last byte. */
    bzimage_header(&kernel)->initrd_addr_max = 0x7fffff;
    assert_int_equal(initrd_place(&memory, &kernel, 0x1000), 0x7ff000);
    bzimage_header(&kernel)->initrd_addr_max = 0x7ffffe;
    assert_int_equal(initrd_place(&memory, &kernel, 0x1000), 0x7fe000);
    /* Above 4 GiB where it does not fit below and the kernel says that it may. */
    assert_int_equal(initrd_place(&two, &kernel, 3 * MIB + 1), HIGH_BASE + 4 * MIB - 3 * MIB - 0x1000);
    free(kernel.bytes);
    memory_free(&memory);
    memory_free(&two);
}

static void test_a_command_line_may_be_as_long_as_kernel_and_monitor_allow(void **state)
{
    struct guest_memory memory = memory_of(8 * MIB, 0);
    struct image kernel = bzimage_kernel();
    struct boot_request request = request_of(&kernel);
    struct boot_state boot;
    char *cmdline = calloc(1, 2048);

    (void)state;
    memset(cmdline, 'x', 2047);
    request.cmdline = cmdline;
    load(&memory, &request, &boot);
    const struct boot_params *params = at(&memory, boot.information, sizeof *params);
    assert_string_equal(at(&memory, params->hdr.cmd_line_ptr, 2048), cmdline);
    request.cmdline = NULL;
    load(&memory, &request, &boot);
    assert_string_equal(at(&memory, params->hdr.cmd_line_ptr, 1), "");
    free(cmdline);
    free(kernel.bytes);
    memory_free(&memory);
}

static struct image file_image(const char *name)
{
    struct image image = { 0 };
    FILE *file = fopen(name, "rb");

    if (!file)
        return image;
    fseek(file, 0, SEEK_END);
    image.length = (uint64_t)ftell(file);
    rewind(file);
    image.bytes = malloc(image.length);
    assert_int_equal(fread(image.bytes, 1, image.length, file), image.length);
    fclose(file);
    return image;
}

static void debian_kernel(const char *vmlinux_name, const char *bzimage_name)
{
    struct image vmlinux = file_image(vmlinux_name), bzimage = file_image(bzimage_name);
    struct boot_state boot;

    if (!vmlinux.bytes || !bzimage.bytes)
        skip(); /* tools/fetch-linux.sh downloads them */
    struct guest_memory memory = memory_of(128 * MIB, 0);
    struct boot_request request = request_of(&vmlinux);
    load(&memory, &request, &boot);
    assert_int_equal(boot.protocol, BOOT_PVH);
    /* pvh_start_xen begins with cld. */
    assert_int_equal(*(const uint8_t *)at(&memory, boot.entry, 1), 0xfc);
    request.choice = BOOT_CHOICE_LINUX64;
    load(&memory, &request, &boot);
    assert_int_equal(boot.entry, 0x1000000);

    request = request_of(&bzimage);
    load(&memory, &request, &boot);
    check_linux64_state(&memory, &boot, 4);
    assert_int_equal(boot.entry, 0x1000200);
    /* startup_64 begins with cld, cli. */
    assert_memory_equal(at(&memory, boot.entry, 2), "\xfc\xfa", 2);
    free(vmlinux.bytes);
    free(bzimage.bytes);
    memory_free(&memory);
}

static void test_debian_cloud_kernel(void **state)
{
    (void)state;
    debian_kernel("build/images/linux-cloud.vmlinux", "build/images/linux-cloud.bzImage");
}

static void test_debian_generic_kernel(void **state)
{
    (void)state;
    debian_kernel("build/images/linux-generic.vmlinux", "build/images/linux-generic.bzImage");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_elf_kernel_with_a_note_starts_by_pvh),
        cmocka_unit_test(test_a_note_of_four_bytes_and_one_aligned_to_eight_give_the_entry),
        cmocka_unit_test(test_notes_that_lie_about_their_size_are_not_believed),
        cmocka_unit_test(test_an_elf_kernel_without_a_note_starts_by_the_linux_protocol),
        cmocka_unit_test(test_the_choice_decides_for_an_elf_kernel_that_can_both),
        cmocka_unit_test(test_a_bzimage_lies_where_it_wants_with_its_header_in_the_boot_parameters),
        cmocka_unit_test(test_a_relocatable_bzimage_goes_above_when_its_place_is_no_memory),
        cmocka_unit_test(test_elf_kernels_at_the_edge_of_what_is_taken),
        cmocka_unit_test(test_notes_that_are_not_quite_a_pvh_entry),
        cmocka_unit_test(test_bzimages_at_the_edge_of_what_is_taken),
        cmocka_unit_test(test_the_initrd_keeps_out_of_what_the_kernel_unpacks_into),
        cmocka_unit_test(test_a_command_line_may_be_as_long_as_kernel_and_monitor_allow),
        cmocka_unit_test(test_debian_cloud_kernel),
        cmocka_unit_test(test_debian_generic_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
