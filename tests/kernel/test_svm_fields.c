/* Fields of a VMCB: which an owner has, what it may put there, and what stays as the kernel needs it. */
#include "tests/kernel/short_call.h"
#include "tests/kernel/svm_guest.h"

#define VMCB_BYTES 0x1000u
#define TRUNCATED_AFTER 32u /* fields at a time */

/* In steps from FIRST to LAST; MASK is what of a value stays, with SIGN the upper half of an address is made canonical. */
static const struct owners_field {
    seL4_Word first, last, step, mask;
    bool written, is_address;
} owners[] = {
    { VMCB_INTERCEPT_CR, VMCB_INTERCEPT_EXCEPTIONS, 4, 0xffffffff, true, false },
    { VMCB_INTERCEPT_1, VMCB_INTERCEPT_2, 4, 0, true, false },
    { VMCB_PAUSE_THRESHOLD, VMCB_PAUSE_COUNT, 2, 0xffff, true, false },
    { VMCB_TSC_OFFSET, VMCB_TSC_OFFSET, 8, ~0ul, true, false },
    { VMCB_VIRTUAL_INTERRUPT, VMCB_VIRTUAL_INTERRUPT, 8, 0x1f010f, true, false },
    { VMCB_INTERRUPT_SHADOW, VMCB_INTERRUPT_SHADOW, 8, 1, true, false },
    { VMCB_EXIT_CODE, VMCB_EXIT_INTERRUPTED_EVENT, 8, 0, false, false },
    { VMCB_EVENT_INJECTION, VMCB_EVENT_INJECTION, 8, 0xffffffff80000fff, true, false },
    { VMCB_NEXT_RIP, VMCB_FETCHED_BYTES_2, 8, 0, false, false },
    { VMCB_ES + VMCB_SELECTOR, VMCB_TR + VMCB_SELECTOR, 16, 0xffff, true, false },
    { VMCB_ES + VMCB_ATTRIBUTES, VMCB_TR + VMCB_ATTRIBUTES, 16, 0xfff, true, false },
    { VMCB_ES + VMCB_LIMIT, VMCB_TR + VMCB_LIMIT, 16, 0xffffffff, true, false },
    { VMCB_ES + VMCB_BASE, VMCB_TR + VMCB_BASE, 16, ~0ul, true, true },
    { VMCB_CPL, VMCB_CPL, 1, 3, true, false },
    { VMCB_EFER, VMCB_EFER, 8, 0xd01, true, false },
    { VMCB_CR4, VMCB_CR4, 8, 0x370fff, true, false },
    { VMCB_CR3, VMCB_RIP, 8, ~0ul, true, false },
    { VMCB_RSP, VMCB_RSP, 8, ~0ul, true, false },
    { VMCB_STAR, VMCB_STAR, 8, ~0ul, true, false },
    { VMCB_LSTAR, VMCB_CSTAR, 8, ~0ul, true, true },
    { VMCB_FMASK, VMCB_FMASK, 8, ~0ul, true, false },
    { VMCB_KERNEL_GS_BASE, VMCB_KERNEL_GS_BASE, 8, ~0ul, true, true },
    { VMCB_SYSENTER_CS, VMCB_SYSENTER_CS, 8, ~0ul, true, false },
    { VMCB_SYSENTER_ESP, VMCB_SYSENTER_EIP, 8, ~0ul, true, true },
    { VMCB_CR2, VMCB_CR2, 8, ~0ul, true, false },
    { VMCB_PAT, VMCB_PAT, 8, ~0ul, true, false },
};

static const struct owners_field *owners_field(seL4_Word field)
{
    for (unsigned i = 0; i < sizeof owners / sizeof *owners; i++)
        if (field >= owners[i].first && field <= owners[i].last && (field - owners[i].first) % owners[i].step == 0)
            return &owners[i];
    return NULL;
}

static seL4_CPtr new_svm_vcpu(struct env *e)
{
    if (!e->has_svm)
        skip(e, "no AMD-V");
    return new_object(e, seL4_X86_VCPUObject, 0);
}

static seL4_Error read_one(seL4_CPtr vcpu, seL4_Word field)
{
    return sel4_vcpu_read_vmcb(vcpu, 1, &field);
}

static seL4_Error write_one(seL4_CPtr vcpu, seL4_Word field, seL4_Word value)
{
    return sel4_vcpu_write_vmcb(vcpu, 2, SEL4_WORDS(field, value));
}

/* Among others: pointers to permission maps, nested paging and its root, ASID, clean bits, virtual interrupt controller,
 * last branches, RAX, and all that a later processor may read there. */
TEST(svm_fields_that_are_not_the_owners_are_refused)
{
    seL4_CPtr vcpu = new_svm_vcpu(e);

    for (seL4_Word field = 0; field < VMCB_BYTES + 64; field++) {
        const struct owners_field *own = owners_field(field);

        EXPECT_EQ(read_one(vcpu, field), own ? seL4_NoError : seL4_InvalidArgument);
        if (!own || !own->written)
            EXPECT_EQ(write_one(vcpu, field, 0), seL4_InvalidArgument);
    }
}

TEST(svm_numbers_that_are_no_fields_are_refused)
{
    seL4_CPtr vcpu = new_svm_vcpu(e);
    static const seL4_Word numbers[] = { 1ul << 16 | VMCB_RSP, 1ul << 32 | VMCB_RSP, 1ul << 63 | VMCB_RSP, ~0ul, 0x10000 };

    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        EXPECT_EQ(read_one(vcpu, numbers[i]), seL4_InvalidArgument);
        EXPECT_EQ(write_one(vcpu, numbers[i], 0), seL4_InvalidArgument);
    }
}

static seL4_Word some_value(seL4_Word field, seL4_Word seed)
{
    return (field * 0x9e3779b97f4a7c15ul + seed) * 0xbf58476d1ce4e5b9ul;
}

static seL4_Word kept_value(const struct owners_field *own, seL4_Word value)
{
    if (own->is_address)
        value = (seL4_Word)((int64_t)(value << 16) >> 16);
    return value & own->mask;
}

TEST(svm_fields_keep_what_an_owner_may_write)
{
    struct guest g[2] = { { .env = e, .vcpu = new_svm_vcpu(e) }, { .env = e, .vcpu = new_svm_vcpu(e) } };

    for (unsigned pass = 0; pass < 2; pass++) {
        for (seL4_Word field = 0; field < VMCB_BYTES; field++) {
            const struct owners_field *own = owners_field(field);

            if (!own || !own->written || field == VMCB_INTERCEPT_CR || own->mask == 0)
                continue;
            for (seL4_Word i = 0; i < 2; i++) {
                if (pass == 0)
                    guest_write(&g[i], field, some_value(field, i));
                else
                    EXPECT_EQ(guest_read(&g[i], field), kept_value(own, some_value(field, i)));
            }
        }
    }
}

TEST(svm_new_vcpu_has_nothing_in_the_owners_fields)
{
    struct guest g = { .env = e, .vcpu = new_svm_vcpu(e) };

    for (seL4_Word field = 0; field < VMCB_BYTES; field++) {
        const struct owners_field *own = owners_field(field);

        if (own && field != VMCB_INTERCEPT_CR && field != VMCB_INTERCEPT_1 && field != VMCB_INTERCEPT_2)
            EXPECT_EQ(guest_read(&g, field), 0);
    }
}

TEST(svm_intercepts_of_the_kernel_stay_on_and_others_can_be_chosen)
{
    struct guest g = { .env = e, .vcpu = new_svm_vcpu(e) };
    static const struct {
        seL4_Word field, needed, most;
    } kept[] = {
        { VMCB_INTERCEPT_CR, 1u << 20, 0xffffffff },
        { VMCB_INTERCEPT_1, 0xfc40801b, 0xffd4c03b },
        { VMCB_INTERCEPT_2, 0x6c7f, 0x6fff },
    };

    for (unsigned i = 0; i < sizeof kept / sizeof *kept; i++) {
        EXPECT_EQ(guest_read(&g, kept[i].field), kept[i].needed);
        EXPECT_EQ(guest_write(&g, kept[i].field, ~0ul), kept[i].most);
        EXPECT_EQ(guest_write(&g, kept[i].field, 0), kept[i].needed);
    }
}

TEST(svm_messages_of_wrong_length_are_truncated)
{
    seL4_CPtr vcpu = new_svm_vcpu(e);
    seL4_Word words[120];

    for (unsigned i = 0; i < 120; i++)
        words[i] = VMCB_RSP;
    EXPECT_EQ(sel4_vcpu_read_vmcb(vcpu, 0, words), seL4_TruncatedMessage);
    EXPECT_EQ(sel4_vcpu_write_vmcb(vcpu, 0, words), seL4_TruncatedMessage);
    for (seL4_Word count = 1; count <= 119; count += 2)
        EXPECT_EQ(sel4_vcpu_write_vmcb(vcpu, count, words), seL4_TruncatedMessage);
    for (seL4_Word count = TRUNCATED_AFTER + 1; count <= 120; count++)
        EXPECT_EQ(sel4_vcpu_read_vmcb(vcpu, count, words), seL4_TruncatedMessage);
    EXPECT_OK(sel4_vcpu_read_vmcb(vcpu, TRUNCATED_AFTER, words));
    for (unsigned i = 0; i < 120; i++)
        words[i] = VMCB_RSP;
    EXPECT_OK(sel4_vcpu_write_vmcb(vcpu, 120, words));
    /* Longer than any message: cut to 120 words. */
    EXPECT_OK(short_call(vcpu, BEAML4_VCPUWriteVMCB, 127, 0));
}

TEST(svm_write_with_a_wrong_field_changes_nothing)
{
    struct guest g = { .env = e, .vcpu = new_svm_vcpu(e) };
    seL4_Word words[] = { VMCB_RSP, 1, VMCB_CR3, 2, VMCB_ASID, 3, VMCB_RIP, 4 };

    EXPECT_EQ(sel4_vcpu_write_vmcb(g.vcpu, 8, words), seL4_InvalidArgument);
    EXPECT_EQ(seL4_GetMR(0), 4);
    EXPECT_EQ(guest_read(&g, VMCB_RSP), 0);
    EXPECT_EQ(guest_read(&g, VMCB_CR3), 0);
    words[4] = VMCB_EXIT_CODE;
    EXPECT_EQ(sel4_vcpu_write_vmcb(g.vcpu, 8, words), seL4_InvalidArgument);
    EXPECT_EQ(seL4_GetMR(0), 4);
    seL4_Word fields[] = { VMCB_RSP, VMCB_NESTED_CR3 };
    EXPECT_EQ(sel4_vcpu_read_vmcb(g.vcpu, 2, fields), seL4_InvalidArgument);
    EXPECT_EQ(seL4_GetMR(0), 1);
}

TEST(svm_vcpu_knows_nothing_of_a_vmcs)
{
    seL4_CPtr vcpu = new_svm_vcpu(e);

    EXPECT_EQ(seL4_X86_VCPU_ReadVMCS(vcpu, 0x681e).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_WriteVMCS(vcpu, 0x681e, 0).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_ReadMSR(vcpu, 0xc0000082).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_WriteMSR(vcpu, 0xc0000082, 0).error, seL4_IllegalOperation);
    EXPECT_EQ(short_call(vcpu, TCBSuspend, 8, 1), seL4_IllegalOperation);
    EXPECT_EQ(short_call(vcpu, 0x4003, 8, 1), seL4_IllegalOperation);
}

TEST(svm_vcpus_come_side_by_side_out_of_one_untyped)
{
    enum { VCPUS = 4 };
    if (!e->has_svm)
        skip(e, "no AMD-V");
    seL4_CPtr memory = new_untyped(e, seL4_X86_VCPUBits + 2), slot = new_slots(e, VCPUS + 1);
    struct guest g = { .env = e };

    for (unsigned round = 0; round < 3; round++) {
        EXPECT_OK(seL4_Untyped_Retype(memory, seL4_X86_VCPUObject, 0, ROOT, 0, 0, slot, VCPUS));
        EXPECT_EQ(seL4_Untyped_Retype(memory, seL4_X86_VCPUObject, 0, ROOT, 0, 0, slot + VCPUS, 1), seL4_NotEnoughMemory);
        for (unsigned pass = 0; pass < 2; pass++) {
            for (seL4_Word i = 0; i < VCPUS; i++) {
                g.vcpu = slot + i;
                EXPECT_EQ(guest_read(&g, VMCB_CR3), pass ? 0x5000 + i : 0); /* nothing of those before */
                guest_write(&g, VMCB_CR3, 0x5000 + i);
            }
        }
        EXPECT_OK(seL4_CNode_Revoke(ROOT, memory, ROOT_DEPTH));
    }
}
