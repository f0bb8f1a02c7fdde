/* What a guest does, and what its monitor hears of it. The root thread is the monitor. */
#include "tests/kernel/devices.h"
#include "tests/kernel/guest.h"

#define MR(name) word[SEL4_VMENTER_FAULT_##name]

#define CR0_CD 0x40000000ul
#define IA32_LSTAR 0xc0000082ul
#define IA32_STAR  0xc0000081ul

/* Implemented in guest_code.S. */
void vector_set(uint64_t value);
uint64_t vector_get(void);
unsigned read_gdt_limit(void);
uint64_t read_xcr0(void);

static struct guest new_root_guest(struct env *e)
{
    return new_vtx_guest(e, seL4_CapInitThreadTCB, 0);
}

TEST(cpuid_exits_with_all_registers_and_goes_on_with_the_monitors)
{
    struct guest g = new_root_guest(e);
    seL4_VCPUContext registers;
    seL4_Word *word = (seL4_Word *)&registers;

    GUEST_LOAD(&g, GUEST_LONG, guest_cpuid);
    EXPECT_EXIT(&g, VMX_REASON_CPUID);
    for (seL4_Word i = 0; i < 15; i++)
        EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_EAX + i], 0x1111111111111101 + i);
    EXPECT_EQ(g.MR(INSTRUCTION_LEN_MR), 2);
    EXPECT_EQ(g.MR(QUALIFICATION_MR), 0);
    EXPECT_EQ(g.MR(RFLAGS_MR), 2);
    EXPECT_EQ(g.MR(GUEST_INT_MR) & ~8ul, 0); /* Bochs forgets to unblock NMIs for the next guest */
    EXPECT_EQ(g.MR(CR3_MR), GUEST_TABLES);
    EXPECT_EQ(g.rip, GUEST_CODE + 150);
    EXPECT_EQ(g.controls, guest_read(&g, VMCS_PRIMARY_CONTROLS));
    EXPECT_EQ(g.event, 0);

    for (seL4_Word i = 0; i < 15; i++)
        word[i] = ~i << 32;
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g.vcpu, &registers));
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    for (seL4_Word i = 0; i < 15; i++)
        EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_EAX + i], ~i << 32);
}

TEST(registers_come_with_the_entry_where_the_kernel_says_so)
{
    struct guest g = new_root_guest(e);

    if (!e->is_ours)
        skip(e, "upstream does not look at the message's length");
    GUEST_LOAD(&g, GUEST_LONG, guest_cpuid);
    EXPECT_EXIT(&g, VMX_REASON_CPUID);
    guest_skip(&g);
    seL4_SetMR(SEL4_VMENTER_CALL_EIP_MR, g.rip);
    for (int i = 0; i < 15; i++)
        seL4_SetMR(SEL4_VMENTER_FAULT_EAX + i, 0x7000u + (seL4_Word)i);
    seL4_Word info = seL4_MessageInfo_new(0, 0, 0, SEL4_VMENTER_RESULT_FAULT_LEN).words[0];
    struct sel4_registers io = sel4_syscall_buffered(seL4_SysVMEnter, 0, info, 1, 1);
    EXPECT_EQ(io.info, SEL4_VMENTER_RESULT_FAULT);
    EXPECT_EQ(seL4_GetMR(SEL4_VMENTER_FAULT_REASON_MR), VMX_REASON_VMCALL);
    for (int i = 0; i < 15; i++)
        EXPECT_EQ(seL4_GetMR(SEL4_VMENTER_FAULT_EAX + i), 0x7000u + (seL4_Word)i);
}

TEST(real_mode_guest_runs_and_its_ports_exit)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_REAL, guest_real);
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR), 0x80ul << 16 | 1u << 6);
    EXPECT_EQ(g.MR(EAX) & 0xff, 0x5a);
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR), 0x3f8ul << 16 | 1u << 3 | 1);
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_HLT);
    EXPECT_EQ(*guest_word(&g, GUEST_RESULTS), g.MR(EAX) & 0xffff);
    EXPECT_EQ(guest_read(&g, VMCS_GUEST_CR0) & 0x80000001, 0);
}

TEST(protected_mode_guest_without_paging_runs)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_PROTECTED, guest_protected);
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR), 0xcf8ul << 16 | 3);
    EXPECT_EQ(g.MR(EAX), 0x12345678);
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_HLT);
}

TEST(access_beyond_guest_memory_exits_with_its_address)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_touch);
    EXPECT_EXIT(&g, VMX_REASON_EPT_VIOLATION);
    EXPECT_EQ(g.MR(GUEST_PHYSICAL_MR), 0x201238);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) & 7, 1);
    EXPECT_EQ(guest_read(&g, VMCS_GUEST_LINEAR_ADDRESS), 0x201238);
    g.rip += 8;
    EXPECT_EXIT(&g, VMX_REASON_EPT_VIOLATION);
    EXPECT_EQ(g.MR(GUEST_PHYSICAL_MR), 0x202340);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) & 7, 2);
}

TEST(page_taken_out_of_the_second_level_is_gone_for_the_guest)
{
    struct guest g = new_root_guest(e);
    seL4_CPtr page = new_object(e, seL4_X86_LargePageObject, 0);

    EXPECT_OK(seL4_X86_Page_MapEPT(page, g.ept_root, 0x200000, seL4_AllRights, seL4_X86_EPT_Default_VMAttributes));
    GUEST_LOAD(&g, GUEST_LONG, guest_touch);
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_OK(seL4_X86_Page_Unmap(page));
    g.rip = GUEST_CODE;
    EXPECT_EXIT(&g, VMX_REASON_EPT_VIOLATION);
    EXPECT_OK(seL4_X86_Page_MapEPT(page, g.ept_root, 0x200000, seL4_CanRead, seL4_X86_EPT_Default_VMAttributes));
    EXPECT_EXIT(&g, VMX_REASON_EPT_VIOLATION);
    EXPECT_EQ(g.MR(GUEST_PHYSICAL_MR), 0x202340);
    EXPECT_OK(seL4_CNode_Delete(ROOT, page, ROOT_DEPTH));
    g.rip = GUEST_CODE;
    EXPECT_EXIT(&g, VMX_REASON_EPT_VIOLATION);
    EXPECT_EQ(g.MR(GUEST_PHYSICAL_MR), 0x201238);
}

TEST(guest_whose_second_level_root_is_deleted_sees_no_memory)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_REAL, guest_real);
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_OK(seL4_CNode_Revoke(ROOT, g.ept_root, ROOT_DEPTH));
    EXPECT_OK(seL4_CNode_Delete(ROOT, g.ept_root, ROOT_DEPTH));
    EXPECT_EXIT(&g, VMX_REASON_EPT_VIOLATION);
    EXPECT_EQ(g.MR(GUEST_PHYSICAL_MR), g.rip);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) & 7, 4);
}

TEST(invalid_guest_state_is_a_result)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_halt);
    guest_write(&g, VMCS_GUEST_RFLAGS, 0);
    EXPECT_EXIT(&g, VMX_REASON_INVALID_GUEST_STATE);
    EXPECT_EQ(g.MR(QUALIFICATION_MR), 0);
    EXPECT_EQ(g.rip, GUEST_CODE);
    guest_write(&g, VMCS_GUEST_RFLAGS, 2);
    if (!e->is_ours)
        skip(e, "upstream does not enter a VCPU again whose first entry failed so");
    EXPECT_EXIT(&g, VMX_REASON_HLT);
}

TEST(invalid_guest_state_after_good_entries_is_a_result)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_halt);
    EXPECT_EXIT(&g, VMX_REASON_HLT);
    for (unsigned round = 0; round < 10; round++) {
        guest_write(&g, VMCS_GUEST_CS_ACCESS_RIGHTS, 0);
        EXPECT_EXIT(&g, VMX_REASON_INVALID_GUEST_STATE);
        EXPECT_EXIT(&g, VMX_REASON_INVALID_GUEST_STATE);
        guest_write(&g, VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
        EXPECT_EXIT(&g, VMX_REASON_HLT);
    }
}

/* Upstream before 16.0.0 went on at an address of the guest's choice. */
TEST(refused_entry_is_a_result)
{
    struct guest g = new_root_guest(e);
    seL4_VCPUContext registers = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

    if (!e->is_ours)
        skip(e, "upstream's kernel faults");
    GUEST_LOAD(&g, GUEST_LONG, guest_halt);
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g.vcpu, &registers));
    for (unsigned round = 0; round < 3; round++) {
        g.event = VMX_EVENT_VALID | 1u << 8; /* a type that is reserved */
        EXPECT_EXIT(&g, VMX_REASON_ENTRY_FAILED);
        EXPECT_EQ(g.MR(QUALIFICATION_MR), ~0ul);
        EXPECT_EQ(g.rip, GUEST_CODE);
        EXPECT_EQ(g.event, VMX_EVENT_VALID | 1u << 8);
        for (seL4_Word i = 0; i < 15; i++)
            EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_EAX + i], i + 1);
        EXPECT_EQ(guest_read(&g, VMCS_INSTRUCTION_ERROR), 7); /* SDM 3C 31.4 */
        g.event = 0;
        EXPECT_EXIT(&g, VMX_REASON_HLT);
        EXPECT_EQ(g.MR(R15), 15);
    }
}

TEST(triple_fault_is_told_and_the_vcpu_can_be_used_again)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_triple_fault);
    EXPECT_EXIT(&g, VMX_REASON_TRIPLE_FAULT);
    EXPECT_EXIT(&g, VMX_REASON_TRIPLE_FAULT);
    GUEST_LOAD(&g, GUEST_REAL, guest_real);
    EXPECT_EXIT(&g, VMX_REASON_IO);
}

TEST(instructions_of_virtual_machine_monitors_exit)
{
    struct guest g = new_root_guest(e);
    static const seL4_Word reasons[] = {
        VMX_REASON_CPUID, VMX_REASON_XSETBV, VMX_REASON_INVD, VMX_REASON_VMCALL, VMX_REASON_VMCLEAR,
        VMX_REASON_VMLAUNCH, VMX_REASON_VMPTRLD, VMX_REASON_VMPTRST, VMX_REASON_VMREAD, VMX_REASON_VMRESUME,
        VMX_REASON_VMWRITE, VMX_REASON_VMXOFF, VMX_REASON_VMXON, VMX_REASON_INVEPT, VMX_REASON_INVVPID, VMX_REASON_HLT,
    };
    uint64_t xcr0 = read_xcr0();

    GUEST_LOAD(&g, GUEST_LONG, guest_always_exits);
    guest_write(&g, VMCS_GUEST_CR4, guest_read(&g, VMCS_GUEST_CR4) | 1u << 18);
    for (unsigned i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        EXPECT_EXIT(&g, reasons[i]);
        guest_skip(&g);
    }
    EXPECT_EQ(read_xcr0(), xcr0);
}

TEST(guest_has_its_own_gs_bases_and_no_other_msrs)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_msrs);
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.MR(EAX), 0x000012349abcdef0);
    EXPECT_EQ(guest_read(&g, VMCS_GUEST_GS_BASE), 0x000012349abcdef0);
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_RDMSR);
    EXPECT_EQ(g.MR(ECX), 0x10);
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_WRMSR);
    EXPECT_EQ(g.MR(ECX), 0xc0000080);
}

TEST(guest_makes_its_own_system_calls)
{
    struct guest g = new_root_guest(e);
    extern const char guest_syscall[], guest_syscall_target[];
    seL4_Word target = GUEST_ADDRESS(guest_syscall, guest_syscall_target);

    GUEST_LOAD(&g, GUEST_LONG, guest_syscall);
    EXPECT_OK(seL4_X86_VCPU_WriteMSR(g.vcpu, IA32_LSTAR, target).error);
    EXPECT_OK(seL4_X86_VCPU_WriteMSR(g.vcpu, IA32_STAR, (seL4_Word)GUEST_CS << 32).error);
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.rip, target);
    EXPECT_EQ(g.MR(ECX), GUEST_CODE + 2);
    EXPECT_EQ(seL4_X86_VCPU_ReadMSR(g.vcpu, IA32_LSTAR).value, target);
}

TEST(ports_of_a_capability_are_the_guests_until_it_goes)
{
    struct guest g = new_root_guest(e);
    seL4_CPtr ports = issue_ports(e, 0x80, 0x81), copy;

    GUEST_LOAD(&g, GUEST_LONG, guest_ports);
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0x80, 0x80));
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) >> 16, 0x81);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0x80, 0x81));
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_OK(seL4_X86_VCPU_DisableIOPort(g.vcpu, 0x81, 0x81));
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) >> 16, 0x81);

    copy = copy_of(e, ports, seL4_AllRights);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, copy, 0x80, 0x81));
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_OK(seL4_CNode_Delete(ROOT, copy, ROOT_DEPTH));
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) >> 16, 0x80);
}

TEST(port_capability_that_was_enabled_before_the_first_entry_can_still_be_taken_back)
{
    struct guest g = new_root_guest(e);
    seL4_CPtr ports = issue_ports(e, 0x80, 0x81);

    if (!e->is_ours)
        skip(e, "upstream has no way to the VCPU by then");
    GUEST_LOAD(&g, GUEST_LONG, guest_ports);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0x80, 0x80));
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0x81, 0x81));
    EXPECT_OK(seL4_CNode_Delete(ROOT, ports, ROOT_DEPTH));
    EXPECT_EXIT(&g, VMX_REASON_IO);
}

/* There are 1023 VPIDs; each VCPU that gets ports takes one. */
TEST(vcpu_that_loses_its_vpid_to_others_loses_its_ports)
{
    enum { OTHERS = 1023, AT_ONCE = 93 };
    struct guest g = new_root_guest(e);
    seL4_CPtr ports = issue_ports(e, 0x80, 0x81), others_ports = issue_ports(e, 0x82, 0x83);
    seL4_CPtr other = new_slots(e, OTHERS);

    if (!e->is_ours)
        skip(e, "upstream gives VPIDs to guests that run");
    GUEST_LOAD(&g, GUEST_LONG, guest_ports);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0x80, 0x81));
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    guest_skip(&g);
    for (unsigned i = 0; i < OTHERS; i += AT_ONCE) {
        EXPECT_OK(seL4_Untyped_Retype(e->untyped, seL4_X86_VCPUObject, 0, ROOT, 0, 0, other + i, AT_ONCE));
        for (unsigned j = i; j < i + AT_ONCE; j++) {
            EXPECT_OK(seL4_X86_VCPU_EnableIOPort(other + j, others_ports, 0x82, 0x83));
            if (i + j == 0) {
                EXPECT_EXIT(&g, VMX_REASON_VMCALL);
                guest_skip(&g);
            }
        }
    }
    EXPECT_EXIT(&g, VMX_REASON_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) >> 16, 0x80);
    EXPECT_OK(seL4_X86_VCPU_EnableIOPort(g.vcpu, ports, 0x80, 0x81));
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
}

TEST(vector_registers_of_guest_and_monitor_are_apart)
{
    struct guest g = new_root_guest(e);
    seL4_VCPUContext registers = { .ebx = 0x1234 };

    GUEST_LOAD(&g, GUEST_LONG, guest_vector);
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g.vcpu, &registers));
    vector_set(0x9999);
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(vector_get(), 0x9999);
    for (unsigned round = 0; round < 3; round++) {
        guest_skip(&g);
        EXPECT_EXIT(&g, VMX_REASON_VMCALL);
        EXPECT_EQ(g.MR(EBX), 0x1234);
        EXPECT_EQ(vector_get(), 0x9999);
    }
}

TEST(preemption_timer_ends_a_guests_run)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_count);
    seL4_Word pin = guest_write(&g, VMCS_PIN_CONTROLS, VMX_PIN_PREEMPTION_TIMER);
    if (!(pin & VMX_PIN_PREEMPTION_TIMER))
        skip(e, "no preemption timer");
    guest_write(&g, VMCS_GUEST_PREEMPTION_TIMER, 100);
    EXPECT_EXIT(&g, VMX_REASON_PREEMPTION_TIMER);
    EXPECT(*guest_word(&g, GUEST_RESULTS) > 0);
}

TEST(event_is_delivered_to_the_guest_at_its_entry)
{
    struct guest g = new_root_guest(e);
    extern const char guest_wait[], guest_wait_handler[];

    GUEST_LOAD(&g, GUEST_LONG, guest_wait);
    guest_set_gate(&g, 0x30, GUEST_ADDRESS(guest_wait, guest_wait_handler));
    guest_write(&g, VMCS_GUEST_RFLAGS, 0x202);
    g.event = VMX_EVENT_VALID | VMX_EVENT_EXTERNAL | 0x30;
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.MR(EAX), 0x77);
    EXPECT_EQ(g.event, VMX_EVENT_EXTERNAL | 0x30); /* valid no more */
    EXPECT_EQ(guest_read(&g, VMCS_ENTRY_INTERRUPTION_INFO), VMX_EVENT_EXTERNAL | 0x30);
    EXPECT_EQ(g.MR(RFLAGS_MR) & 0x200, 0);
}

TEST(interrupt_window_exits_when_the_guest_enables_interrupts)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_wait);
    g.controls |= VMX_PRIMARY_INTERRUPT_WINDOW;
    EXPECT_EXIT(&g, VMX_REASON_INTERRUPT_WINDOW);
    EXPECT_EQ(g.rip, GUEST_CODE + 1 + (g.rip > GUEST_CODE + 1 ? 2 : 0));
    EXPECT_EQ(g.MR(RFLAGS_MR) & 0x200, 0x200);
}

TEST(exceptions_exit_where_the_owner_wants_them)
{
    struct guest g = new_root_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_syscall);
    guest_write(&g, VMCS_GUEST_EFER, 0x500);
    guest_write(&g, VMCS_EXCEPTION_BITMAP, 1u << 6 | 1u << 1);
    EXPECT_EXIT(&g, VMX_REASON_EXCEPTION_OR_NMI);
    EXPECT_EQ(guest_read(&g, VMCS_EXIT_INTERRUPTION_INFO), VMX_EVENT_VALID | VMX_EVENT_EXCEPTION | 6);

    GUEST_LOAD(&g, GUEST_LONG, guest_step);
    EXPECT_EXIT(&g, VMX_REASON_EXCEPTION_OR_NMI);
    EXPECT_EQ(guest_read(&g, VMCS_EXIT_INTERRUPTION_INFO), VMX_EVENT_VALID | VMX_EVENT_EXCEPTION | 1);
    EXPECT_EQ(g.MR(QUALIFICATION_MR), 1u << 14);
}

TEST(single_step_is_the_guests_own_affair)
{
    struct guest g = new_root_guest(e);
    extern const char guest_step[], guest_step_after[], guest_step_handler[];

    GUEST_LOAD(&g, GUEST_LONG, guest_step);
    guest_set_gate(&g, 1, GUEST_ADDRESS(guest_step, guest_step_handler));
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.MR(EAX) & 0xe00f, 1u << 14);
    EXPECT_EQ(g.MR(EBX), GUEST_ADDRESS(guest_step, guest_step_after));
    EXPECT_EQ(g.MR(ECX) & 0x100, 0x100);
    EXPECT_EQ(g.MR(RFLAGS_MR) & 0x100, 0);
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.rip, GUEST_ADDRESS(guest_step, guest_step_after) + 1);
}

TEST(breakpoints_are_the_guests_own_affair)
{
    struct guest g = new_root_guest(e);
    extern const char guest_breakpoints[], guest_breakpoints_after[], guest_breakpoints_written[];
    extern const char guest_breakpoints_handler[];

    GUEST_LOAD(&g, GUEST_LONG, guest_breakpoints);
    guest_set_gate(&g, 1, GUEST_ADDRESS(guest_breakpoints, guest_breakpoints_handler));
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.MR(EBX), GUEST_ADDRESS(guest_breakpoints, guest_breakpoints_after));
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.MR(EAX) & 0xe00f, 1u << 1);
    EXPECT_EQ(g.MR(EBX), GUEST_ADDRESS(guest_breakpoints, guest_breakpoints_written));
    guest_skip(&g);
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.rip, GUEST_ADDRESS(guest_breakpoints, guest_breakpoints_written) + 1);
}

TEST(alignment_check_is_the_guests_own_affair)
{
    struct guest g = new_root_guest(e);
    extern const char guest_misaligned[], guest_misaligned_access[], guest_misaligned_handler[];

    GUEST_LOAD(&g, GUEST_LONG, guest_misaligned);
    guest_set_gate(&g, 17, GUEST_ADDRESS(guest_misaligned, guest_misaligned_handler));
    EXPECT_EXIT(&g, VMX_REASON_VMCALL);
    EXPECT_EQ(g.rip, GUEST_ADDRESS(guest_misaligned, guest_misaligned_handler) + 9);
    EXPECT_EQ(g.MR(EAX), 0);
    EXPECT_EQ(g.MR(EBX), GUEST_ADDRESS(guest_misaligned, guest_misaligned_access));
}

TEST(guest_cannot_reach_the_machines_interrupt_priority_or_caches)
{
    struct guest g = new_root_guest(e);

    if (!e->is_ours)
        skip(e, "upstream leaves them to its guests");
    GUEST_LOAD(&g, GUEST_LONG, guest_write_cr8);
    g.controls = 0;
    EXPECT_EXIT(&g, VMX_REASON_CONTROL_REGISTER);
    EXPECT_EQ(g.MR(QUALIFICATION_MR), 8);

    GUEST_LOAD(&g, GUEST_LONG, guest_disable_caches);
    guest_write(&g, VMCS_CR0_MASK, 0);
    EXPECT_EXIT(&g, VMX_REASON_CONTROL_REGISTER);
    EXPECT_EQ(g.MR(EAX) & CR0_CD, CR0_CD);
}

TEST(activity_that_takes_no_interrupts_is_refused)
{
    struct guest g = new_root_guest(e);

    EXPECT_EQ(guest_write(&g, VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_HALTED), VMX_ACTIVITY_HALTED);
    EXPECT_EQ(guest_write(&g, VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_ACTIVE), VMX_ACTIVITY_ACTIVE);
    if (!e->is_ours)
        skip(e, "upstream's CPU hangs in them");
    EXPECT_EQ(seL4_X86_VCPU_WriteVMCS(g.vcpu, VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_SHUTDOWN).error, seL4_IllegalOperation);
    EXPECT_EQ(seL4_X86_VCPU_WriteVMCS(g.vcpu, VMCS_GUEST_ACTIVITY, VMX_ACTIVITY_WAIT_FOR_SIPI).error,
              seL4_IllegalOperation);
    EXPECT_EQ(guest_read(&g, VMCS_GUEST_ACTIVITY), VMX_ACTIVITY_ACTIVE);
}

TEST(descriptor_table_is_no_longer_after_an_exit_than_before)
{
    struct guest g = new_root_guest(e);

    if (!e->is_ours)
        skip(e, "upstream leaves the limit at 64 KiB");
    unsigned limit = read_gdt_limit();
    GUEST_LOAD(&g, GUEST_LONG, guest_halt);
    EXPECT_EXIT(&g, VMX_REASON_HLT);
    EXPECT_EQ(read_gdt_limit(), limit);
}
