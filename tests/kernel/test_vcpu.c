/* VCPU objects and their invocations: what may be said to them, and what they keep. */
#include "tests/kernel/devices.h"
#include "tests/kernel/guest.h"
#include "tests/kernel/raw_call.h"
#include "tests/kernel/short_call.h"

#define IA32_STAR  0xc0000081ul
#define IA32_LSTAR 0xc0000082ul
#define IA32_CSTAR 0xc0000083ul
#define IA32_FMASK 0xc0000084ul
#define IA32_VMX_MISC 0x485ul

static seL4_CPtr new_vcpu(struct env *e)
{
    if (!e->has_vtx)
        skip(e, "no VT-x");
    return new_object(e, seL4_X86_VCPUObject, 0);
}

/* Every even number of a range. */
struct fields {
    seL4_Word first, last;
};

static const struct fields kernels_own[] = {
    { VMCS_VPID, 0x10 },
    { 0x0810, 0x0820 }, /* guest interrupt status, PML index */
    { VMCS_HOST_ES_SELECTOR, VMCS_HOST_TR_SELECTOR },
    { VMCS_IO_BITMAP_A, 0x2040 }, /* every address that the processor uses */
    { VMCS_GUEST_LINK_POINTER, VMCS_GUEST_LINK_POINTER },
    { VMCS_HOST_PAT, VMCS_HOST_PERF_GLOBAL_CTRL },
    { VMCS_PAGE_FAULT_MASK, VMCS_CR3_TARGET_COUNT },
    { VMCS_EXIT_MSR_STORE_COUNT, VMCS_EXIT_MSR_LOAD_COUNT },
    { VMCS_ENTRY_MSR_LOAD_COUNT, VMCS_ENTRY_MSR_LOAD_COUNT },
    { VMCS_ENTRY_INSTRUCTION_LENGTH, VMCS_ENTRY_INSTRUCTION_LENGTH + 2 },
    { 0x4020, 0x4022 },
    { VMCS_EXIT_REASON, VMCS_EXIT_REASON },
    { VMCS_HOST_SYSENTER_CS, VMCS_HOST_SYSENTER_CS },
    { 0x6008, 0x600e },
    { VMCS_EXIT_QUALIFICATION, VMCS_EXIT_QUALIFICATION },
    { VMCS_HOST_CR0, VMCS_HOST_RIP },
};

TEST(vmcs_fields_of_the_kernel_are_refused)
{
    seL4_CPtr vcpu = new_vcpu(e);

    for (unsigned i = 0; i < sizeof kernels_own / sizeof *kernels_own; i++) {
        for (seL4_Word field = kernels_own[i].first; field <= kernels_own[i].last; field += 2) {
            EXPECT_EQ(seL4_X86_VCPU_ReadVMCS(vcpu, field).error, seL4_IllegalOperation);
            EXPECT_EQ(seL4_X86_VCPU_WriteVMCS(vcpu, field, 0).error, seL4_IllegalOperation);
        }
    }
}

TEST(numbers_that_are_no_vmcs_fields_are_refused)
{
    seL4_CPtr vcpu = new_vcpu(e);
    static const seL4_Word numbers[] = {
        VMCS_GUEST_RIP + 1, VMCS_GUEST_EFER + 1, VMCS_GUEST_CS_SELECTOR + 1, 0x482c, 0x6828, 0x8000, 0x10000 | VMCS_GUEST_RIP,
        1ul << 32 | VMCS_GUEST_RIP, ~0ul,
    };

    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        EXPECT_EQ(seL4_X86_VCPU_ReadVMCS(vcpu, numbers[i]).error, seL4_IllegalOperation);
        EXPECT_EQ(seL4_X86_VCPU_WriteVMCS(vcpu, numbers[i], 0).error, seL4_IllegalOperation);
    }
}

TEST(vmcs_information_about_exits_is_only_read)
{
    seL4_CPtr vcpu = new_vcpu(e);
    static const seL4_Word fields[] = {
        VMCS_GUEST_PHYSICAL_ADDRESS, VMCS_INSTRUCTION_ERROR, VMCS_EXIT_INTERRUPTION_INFO, VMCS_EXIT_INTERRUPTION_ERROR,
        VMCS_IDT_VECTORING_INFO, VMCS_IDT_VECTORING_ERROR, VMCS_EXIT_INSTRUCTION_LENGTH, VMCS_EXIT_INSTRUCTION_INFO,
        VMCS_IO_RCX, VMCS_IO_RSI, VMCS_IO_RDI, VMCS_IO_RIP, VMCS_GUEST_LINEAR_ADDRESS,
    };

    for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++) {
        EXPECT_OK(seL4_X86_VCPU_ReadVMCS(vcpu, fields[i]).error);
        EXPECT_EQ(seL4_X86_VCPU_WriteVMCS(vcpu, fields[i], 0).error, seL4_IllegalOperation);
    }
    EXPECT_EQ(seL4_X86_VCPU_ReadVMCS(vcpu, VMCS_ENTRY_EXCEPTION_ERROR_CODE).error, seL4_IllegalOperation);
    EXPECT_OK(seL4_X86_VCPU_WriteVMCS(vcpu, VMCS_ENTRY_EXCEPTION_ERROR_CODE, 0x1234).error);
}

/* Fields that hold whatever is written, as wide as they are. */
static const struct {
    struct fields fields;
    seL4_Word mask;
} plain[] = {
    { { VMCS_GUEST_ES_SELECTOR, VMCS_GUEST_TR_SELECTOR }, 0xffff },
    { { VMCS_GUEST_DEBUGCTL, VMCS_GUEST_EFER }, ~0ul },
    { { VMCS_GUEST_PDPTE0, VMCS_GUEST_PDPTE3 }, ~0ul },
    { { VMCS_GUEST_ES_LIMIT, VMCS_GUEST_IDTR_LIMIT }, 0xffffffff },
    { { VMCS_GUEST_INTERRUPTIBILITY, VMCS_GUEST_INTERRUPTIBILITY }, 0xffffffff },
    { { VMCS_GUEST_SMBASE, VMCS_GUEST_SYSENTER_CS }, 0xffffffff },
    { { VMCS_GUEST_PREEMPTION_TIMER, VMCS_GUEST_PREEMPTION_TIMER }, 0xffffffff },
    { { VMCS_ENTRY_INTERRUPTION_INFO, VMCS_ENTRY_INTERRUPTION_INFO }, 0xffffffff },
    { { VMCS_CR0_READ_SHADOW, VMCS_CR4_READ_SHADOW }, ~0ul },
    { { VMCS_GUEST_CR3, VMCS_GUEST_CR3 }, ~0ul },
    { { VMCS_GUEST_ES_BASE, VMCS_GUEST_SYSENTER_EIP }, ~0ul },
};

static seL4_Word some_value(seL4_Word field, seL4_Word seed)
{
    return (field * 0x9e3779b97f4a7c15ul + seed) | 1ul << 63;
}

TEST(vmcs_guest_state_keeps_what_is_written)
{
    struct guest a = { .env = e, .vcpu = new_vcpu(e) }, b = { .env = e, .vcpu = new_vcpu(e) };

    for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++) {
        for (seL4_Word field = plain[i].fields.first; field <= plain[i].fields.last; field += 2) {
            EXPECT_EQ(guest_read(&a, field), 0);
            EXPECT_EQ(guest_write(&a, field, some_value(field, 1)), some_value(field, 1));
            guest_write(&b, field, some_value(field, 2));
        }
    }
    for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++) {
        for (seL4_Word field = plain[i].fields.first; field <= plain[i].fields.last; field += 2) {
            EXPECT_EQ(guest_read(&a, field), some_value(field, 1) & plain[i].mask);
            EXPECT_EQ(guest_read(&b, field), some_value(field, 2) & plain[i].mask);
        }
    }
}

TEST(vmcs_access_rights_keep_the_bits_that_mean_something)
{
    struct guest g = { .env = e, .vcpu = new_vcpu(e) };

    for (seL4_Word field = VMCS_GUEST_ES_ACCESS_RIGHTS; field <= VMCS_GUEST_TR_ACCESS_RIGHTS; field += 2) {
        EXPECT_EQ(guest_write(&g, field, 0x1f0ff), 0x1f0ff);
        EXPECT_EQ(guest_read(&g, field), 0x1f0ff);
    }
}

/* Bits that are 1 and bits that are 0 whatever an owner writes: without them the kernel's isolation would not hold. */
static const struct {
    seL4_Word field, ones, zeros;
} kept[] = {
    { VMCS_PIN_CONTROLS,
      VMX_PIN_EXTERNAL_INTERRUPT_EXITING | VMX_PIN_NMI_EXITING | VMX_PIN_VIRTUAL_NMIS, 0xffffff00 },
    { VMCS_PRIMARY_CONTROLS,
      VMX_PRIMARY_IO_BITMAPS | VMX_PRIMARY_MSR_BITMAPS | VMX_PRIMARY_SECONDARY_CONTROLS, 0 },
    { VMCS_SECONDARY_CONTROLS, VMX_SECONDARY_EPT, 0xf0000000 },
    { VMCS_EXIT_CONTROLS,
      VMX_EXIT_SAVE_DEBUG_CONTROLS | VMX_EXIT_HOST_64BIT | VMX_EXIT_ACKNOWLEDGE_INTERRUPT | VMX_EXIT_SAVE_PAT |
          VMX_EXIT_LOAD_PAT | VMX_EXIT_SAVE_EFER | VMX_EXIT_LOAD_EFER, 0 },
    { VMCS_GUEST_CR0, 0x20, 0xffffffff00000000 },
    { VMCS_GUEST_CR4, 0x2000, 0xffffffff00000000 },
};

TEST(vmcs_controls_keep_what_the_kernel_needs)
{
    struct guest g = { .env = e, .vcpu = new_vcpu(e) };

    for (unsigned i = 0; i < sizeof kept / sizeof *kept; i++) {
        seL4_Word least = guest_write(&g, kept[i].field, 0);
        EXPECT_EQ(guest_read(&g, kept[i].field), least);
        EXPECT_EQ(least & kept[i].ones, kept[i].ones);
        seL4_Word most = guest_write(&g, kept[i].field, ~0ul);
        EXPECT_EQ(guest_read(&g, kept[i].field), most);
        EXPECT_EQ(most & kept[i].ones, kept[i].ones);
        EXPECT_EQ(most & kept[i].zeros, 0);
        EXPECT_EQ(least & ~most, 0);
    }
}

TEST(vmcs_controls_of_our_kernel_give_away_no_memory_and_no_host_apic)
{
    struct guest g = { .env = e, .vcpu = new_vcpu(e) };

    if (!e->is_ours)
        skip(e, "upstream lets the owner turn these on");
    EXPECT_EQ(guest_write(&g, VMCS_PRIMARY_CONTROLS, 0) & VMX_PRIMARY_CR8_LOAD_EXITING, VMX_PRIMARY_CR8_LOAD_EXITING);
    EXPECT_EQ(guest_write(&g, VMCS_PRIMARY_CONTROLS, ~0ul) & VMX_PRIMARY_TPR_SHADOW, 0);
    /* Virtual APIC, VM functions, shadow VMCS, page-modification log, #VE and the like. */
    EXPECT_EQ(guest_write(&g, VMCS_SECONDARY_CONTROLS, ~0ul) & 0xffeee311, 0);
    EXPECT_EQ(guest_write(&g, VMCS_CR0_MASK, 0), 0x60000000);
    EXPECT_EQ(guest_write(&g, VMCS_CR0_MASK, ~0ul), ~0ul);
}

TEST(vmcs_starts_with_the_least_controls_and_in_long_mode)
{
    struct guest g = { .env = e, .vcpu = new_vcpu(e) };

    for (unsigned i = 0; i < sizeof kept / sizeof *kept; i++) {
        seL4_Word start = guest_read(&g, kept[i].field);
        EXPECT_EQ(guest_write(&g, kept[i].field, 0), start);
    }
    seL4_Word entry = guest_read(&g, VMCS_ENTRY_CONTROLS);
    EXPECT_EQ(guest_write(&g, VMCS_ENTRY_CONTROLS, 0) | VMX_ENTRY_LONG_MODE, entry);
    EXPECT_EQ(guest_read(&g, VMCS_EXCEPTION_BITMAP), 0);
}

TEST(vmcs_exception_bitmap_reads_as_written)
{
    struct guest g = { .env = e, .vcpu = new_vcpu(e) };

    EXPECT_EQ(guest_write(&g, VMCS_EXCEPTION_BITMAP, 1 << 14), 1 << 14);
    EXPECT_EQ(guest_read(&g, VMCS_EXCEPTION_BITMAP), 1 << 14);
}

TEST(vmcs_messages_that_are_too_short_are_refused)
{
    seL4_CPtr vcpu = new_vcpu(e);

    seL4_SetMR(0, VMCS_GUEST_RIP);
    EXPECT_EQ(short_call(vcpu, X86VCPUReadVMCS, 0, 0), seL4_IllegalOperation);
    EXPECT_EQ(short_call(vcpu, X86VCPUWriteVMCS, 0, 0), seL4_IllegalOperation);
    seL4_SetMR(0, VMCS_GUEST_RIP);
    EXPECT_EQ(short_call(vcpu, X86VCPUWriteVMCS, 1, 0), seL4_IllegalOperation);
    seL4_SetMR(0, IA32_LSTAR);
    EXPECT_EQ(short_call(vcpu, X86VCPUReadMSR, 0, 0), seL4_IllegalOperation);
    seL4_SetMR(0, IA32_LSTAR);
    EXPECT_EQ(short_call(vcpu, X86VCPUWriteMSR, 1, 0), seL4_IllegalOperation);
}

TEST(vcpu_messages_that_are_too_short_are_truncated)
{
    seL4_CPtr vcpu = new_vcpu(e);

    EXPECT_TRUNCATED(vcpu, seL4_CapInitThreadTCB,
                     { X86VCPUSetTCB, 0, 0 },
                     { X86VCPUEnableIOPort, 2, 0 }, { X86VCPUEnableIOPort, 1, 1 },
                     { X86VCPUDisableIOPort, 1, 0 },
                     { X86VCPUWriteRegisters, 14, 0 }, { X86VCPUWriteRegisters, 0, 0 });
    EXPECT_TRUNCATED(seL4_CapInitThreadTCB, vcpu, { TCBSetEPTRoot, 0, 0 });
    EXPECT_EQ(short_call(vcpu, TCBSuspend, 8, 1), seL4_IllegalOperation);
    EXPECT_EQ(short_call(vcpu, 12345, 8, 1), seL4_IllegalOperation);
}

TEST(vcpu_is_bound_to_threads_only)
{
    seL4_CPtr vcpu = new_vcpu(e), endpoint = new_object(e, seL4_EndpointObject, 0);

    EXPECT_EQ(seL4_X86_VCPU_SetTCB(vcpu, endpoint), seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_SetTCB(vcpu, new_slot(e)), seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_SetTCB(vcpu, vcpu), seL4_IllegalOperation);
    EXPECT_OK(seL4_X86_VCPU_SetTCB(vcpu, seL4_CapInitThreadTCB));
    EXPECT_OK(seL4_X86_VCPU_SetTCB(vcpu, seL4_CapInitThreadTCB));
    EXPECT_OK(seL4_X86_VCPU_SetTCB(vcpu, new_thread(e, 0)->tcb));
    EXPECT_OK(seL4_X86_VCPU_SetTCB(new_vcpu(e), seL4_CapInitThreadTCB));
}

TEST(ept_root_of_a_thread_is_an_assigned_root)
{
    seL4_CPtr vcpu = new_vcpu(e), root = new_object(e, seL4_X86_EPTPML4Object, 0);
    seL4_CPtr other = new_object(e, seL4_X86_EPTPML4Object, 0), table = new_object(e, seL4_X86_EPTPDPTObject, 0);

    EXPECT_EQ(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, vcpu), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, table), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, seL4_CapInitThreadVSpace), seL4_IllegalOperation);
    EXPECT_EQ(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, root), seL4_IllegalOperation);
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, other));
    EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, root));
    EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, other));
    EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, root));
}

TEST(vcpu_msrs_are_those_of_system_calls)
{
    seL4_CPtr vcpu = new_vcpu(e);
    static const seL4_Word msrs[] = { IA32_STAR, IA32_LSTAR, IA32_CSTAR, IA32_FMASK };
    static const seL4_Word others[] = { 0x10, 0x1b, 0x3a, 0x174, 0x277, 0x480, 0x484, 0x486, 0xc0000080, 0xc0000100,
                                        0xc0000102, IA32_LSTAR | 1ul << 32, ~0ul };

    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ(seL4_X86_VCPU_ReadMSR(vcpu, msrs[i]).value, 0);
        seL4_X86_VCPU_WriteMSR_t write = seL4_X86_VCPU_WriteMSR(vcpu, msrs[i], 0x123456789abcul + i);
        EXPECT_OK(write.error);
        EXPECT_EQ(write.written, 0x123456789abcul + i);
    }
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_OK(seL4_X86_VCPU_ReadMSR(vcpu, msrs[i]).error);
        EXPECT_EQ(seL4_X86_VCPU_ReadMSR(vcpu, msrs[i]).value, 0x123456789abcul + i);
    }
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        EXPECT_EQ(seL4_X86_VCPU_ReadMSR(vcpu, others[i]).error, seL4_IllegalOperation);
        EXPECT_EQ(seL4_X86_VCPU_WriteMSR(vcpu, others[i], 0).error, seL4_IllegalOperation);
    }
    EXPECT(seL4_X86_VCPU_ReadMSR(vcpu, IA32_VMX_MISC).value != 0);
    EXPECT_EQ(seL4_X86_VCPU_WriteMSR(vcpu, IA32_VMX_MISC, 0).error, seL4_IllegalOperation);
}

TEST(vcpu_msr_answers_have_no_length)
{
    seL4_CPtr vcpu = new_vcpu(e);
    struct raw_call call = raw_call(seL4_SysCall, vcpu, tag(X86VCPUReadMSR, 0, 1));

    EXPECT_OK(seL4_X86_VCPU_WriteMSR(vcpu, IA32_LSTAR, 0x7654321).error);
    call.io.mr[0] = IA32_LSTAR;
    sel4_syscall(call.number, &call.io);
    EXPECT_EQ(call.io.info, tag(0, 0, 0));
    EXPECT_WORDS(call.io, 0x7654321, 0xa1, 0xa2, 0xa3);

    call = raw_call(seL4_SysCall, vcpu, tag(X86VCPUReadVMCS, 0, 1));
    call.io.mr[0] = VMCS_GUEST_CR4;
    sel4_syscall(call.number, &call.io);
    EXPECT_EQ(call.io.info, tag(0, 0, 1));
    EXPECT_EQ(call.io.dest, 0);
}

TEST(vcpu_msr_that_no_processor_would_take_is_refused)
{
    seL4_CPtr vcpu = new_vcpu(e);

    if (!e->is_ours)
        skip(e, "upstream faults when such a guest is entered");
    EXPECT_EQ(seL4_X86_VCPU_WriteMSR(vcpu, IA32_LSTAR, 0x800000000000).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_WriteMSR(vcpu, IA32_CSTAR, 0x7fff800000000000).error, seL4_IllegalOperation);
    EXPECT_OK(seL4_X86_VCPU_WriteMSR(vcpu, IA32_LSTAR, 0xffff800000000000).error);
}

TEST(vcpu_gets_ports_within_a_capability)
{
    seL4_CPtr vcpu = new_vcpu(e), ports = issue_ports(e, 0x80, 0x8f), endpoint = new_object(e, seL4_EndpointObject, 0);

    EXPECT_EQ(seL4_X86_VCPU_EnableIOPort(vcpu, endpoint, 0x80, 0x8f), seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_EnableIOPort(vcpu, seL4_CapIOPortControl, 0x80, 0x8f), seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_EnableIOPort(vcpu, ports, 0x7f, 0x8f), seL4_InvalidArgument);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_X86_VCPU_EnableIOPort(vcpu, ports, 0x80, 0x90), seL4_InvalidArgument);
    EXPECT_EQ(seL4_GetMR(0), 0);
    EXPECT_EQ(seL4_X86_VCPU_EnableIOPort(vcpu, ports, 0, 0xffff), seL4_InvalidArgument);
    if (e->is_ours)
        EXPECT_EQ(seL4_X86_VCPU_EnableIOPort(vcpu, ports, 0x88, 0x84), seL4_InvalidArgument);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(vcpu, ports, 0x80, 0x8f));
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(vcpu, ports, 0x84, 0x84));
    EXPECT_OK(seL4_X86_VCPU_DisableIOPort(vcpu, 0, 0xffff));
}

TEST(vmenter_without_a_vcpu_is_an_unknown_system_call)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);
    struct thread *t = new_thread(e, endpoint);
    struct raw_call call = raw_call(seL4_SysVMEnter, 0, 0);
    seL4_Word badge;

    start(t, run_raw, (seL4_Word)&call, ABOVE_ROOT);
    seL4_MessageInfo_t info = seL4_NBRecv(endpoint, &badge);
    EXPECT_EQ(seL4_MessageInfo_get_label(info), seL4_Fault_UnknownSyscall);
    EXPECT_EQ(seL4_GetMR(seL4_UnknownSyscall_Syscall), (seL4_Word)seL4_SysVMEnter);
}

/* Upstream before 14.0.0 overwrote one while it made the next. */
TEST(vcpus_out_of_one_untyped_are_independent)
{
    enum { COUNT = 16 };
    seL4_CPtr untyped = new_untyped(e, seL4_X86_VCPUBits + 4), first = new_slots(e, COUNT);
    struct guest g[COUNT];

    new_vcpu(e);
    EXPECT_OK(seL4_Untyped_Retype(untyped, seL4_X86_VCPUObject, 0, ROOT, 0, 0, first, COUNT));
    for (unsigned i = 0; i < COUNT; i++) {
        g[i] = (struct guest) { .env = e, .vcpu = first + i };
        guest_write(&g[i], VMCS_GUEST_RIP, 0x1000 + i);
        guest_write(&g[i], VMCS_GUEST_CR3, i << 12);
    }
    for (unsigned i = COUNT; i-- > 0;) {
        EXPECT_EQ(guest_read(&g[i], VMCS_GUEST_RIP), 0x1000 + i);
        EXPECT_EQ(guest_read(&g[i], VMCS_GUEST_CR3), i << 12);
        EXPECT_EQ(guest_read(&g[i], VMCS_GUEST_RSP), 0);
    }
    /* The last and the first of them go; the others stay, and the memory can be had again. */
    EXPECT_OK(seL4_CNode_Delete(ROOT, first + COUNT - 1, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, first, ROOT_DEPTH));
    EXPECT_EQ(guest_read(&g[1], VMCS_GUEST_RIP), 0x1001);
    EXPECT_OK(seL4_CNode_Revoke(ROOT, untyped, ROOT_DEPTH));
    EXPECT_OK(seL4_Untyped_Retype(untyped, seL4_X86_VCPUObject, 0, ROOT, 0, 0, first, COUNT));
    EXPECT_EQ(guest_read(&g[1], VMCS_GUEST_RIP), 0);
}
