/* What guests on AMD-V do, and what their monitor hears of it: exits, and what stays apart. */
#include "tests/kernel/devices.h"
#include "tests/kernel/svm_guest.h"

#define MR(name) word[SEL4_VMENTER_FAULT_##name]

#define IO_READ       1u /* of an I/O exit's information (APM 2 15.10.2) */
#define IO_BYTES(n)   ((n) << 4)

/* Implemented in guest_code.S. */
void vector_set(uint64_t value);
uint64_t vector_get(void);
uint64_t read_xcr0(void);

static void set_registers(struct guest *g, seL4_VCPUContext registers)
{
    struct env *e = g->env;

    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g->vcpu, &registers));
}

TEST(svm_guest_exits_by_cpuid_port_and_halt)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_REAL, svm_guest_exits);
    EXPECT_EXIT(&g, SVM_EXIT_CPUID);
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) >> 16, 0x3f8);
    EXPECT_EQ(g.MR(EAX) & 0xff, 0x41);
    EXPECT_EQ(g.MR(GUEST_PHYSICAL_MR), g.rip + 1); /* where the guest goes on */
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_HLT);
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
}

TEST(svm_message_of_an_exit_has_all_registers)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_cpuid);
    EXPECT_EXIT(&g, SVM_EXIT_CPUID);
    EXPECT_EQ(seL4_GetMR(SVM_VMENTER_CR0_MR), guest_read(&g, VMCB_CR0));
    g.rip = GUEST_CODE;
    EXPECT_EXIT(&g, SVM_EXIT_CPUID);
    EXPECT_EQ(seL4_GetMR(SVM_VMENTER_CR4_MR), guest_start(GUEST_LONG).cr4);
    g.rip = GUEST_CODE;
    EXPECT_EXIT(&g, SVM_EXIT_CPUID);
    EXPECT_EQ(seL4_GetMR(SVM_VMENTER_EFER_MR), guest_start(GUEST_LONG).efer); /* without SVME */
    EXPECT_EQ(seL4_GetMR(SVM_VMENTER_CS_BASE_MR), 0);
    EXPECT_EQ(seL4_GetMR(SVM_VMENTER_CS_ATTRIBUTES_MR), 0xa9b);
    EXPECT_EQ(seL4_GetMR(SVM_VMENTER_RSP_MR), GUEST_STACK);
    for (seL4_Word i = 0; i < 15; i++)
        EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_EAX + i], 0x1111111111111101 + i);
    EXPECT_EQ(g.rip, GUEST_CODE + 150);
    EXPECT_EQ(g.MR(RFLAGS_MR), 2);
    EXPECT_EQ(g.MR(CR3_MR), GUEST_TABLES);
    EXPECT_EQ(g.MR(GUEST_INT_MR), 0);
    EXPECT_EQ(g.controls, guest_read(&g, VMCB_VIRTUAL_INTERRUPT));
    EXPECT_EQ(g.event & SVM_EVENT_VALID, 0);
    EXPECT(g.MR(INSTRUCTION_LEN_MR) == 0 || g.MR(INSTRUCTION_LEN_MR) == 2);
    EXPECT_EQ(guest_read(&g, VMCB_EXIT_CODE), SVM_EXIT_CPUID);
    EXPECT_EQ(guest_read(&g, VMCB_RIP), g.rip);
}

TEST(svm_registers_come_with_the_entry_or_stay)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_cpuid);
    EXPECT_EXIT(&g, SVM_EXIT_CPUID);
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    for (seL4_Word i = 0; i < 15; i++)
        EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_EAX + i], 0x1111111111111101 + i);
    seL4_SetMR(SEL4_VMENTER_CALL_EIP_MR, g.rip);
    seL4_SetMR(SEL4_VMENTER_CALL_INTERRUPT_INFO_MR, 0);
    for (int i = 0; i < 15; i++)
        seL4_SetMR(SEL4_VMENTER_FAULT_EAX + i, 0x7000u + (seL4_Word)i);
    seL4_Word info = seL4_MessageInfo_new(0, 0, 0, SEL4_VMENTER_RESULT_FAULT_LEN).words[0];
    struct sel4_registers io = sel4_syscall_buffered(seL4_SysVMEnter, 0, info, 1, 1);
    EXPECT_EQ(io.info, SEL4_VMENTER_RESULT_FAULT);
    EXPECT_EQ(seL4_GetMR(SEL4_VMENTER_FAULT_REASON_MR), SVM_EXIT_VMMCALL);
    for (int i = 0; i < 15; i++)
        EXPECT_EQ(seL4_GetMR(SEL4_VMENTER_FAULT_EAX + i), 0x7000u + (seL4_Word)i);
}

TEST(svm_guests_run_in_each_mode)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_REAL, guest_real);
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) & 0xffff0071, 0x80ul << 16 | IO_BYTES(1));
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) & 0xffff0071, 0x3f8ul << 16 | IO_BYTES(2) | IO_READ);
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_HLT);
    EXPECT_EQ(*guest_word(&g, GUEST_RESULTS), g.MR(EAX) & 0xffff);
    EXPECT_EQ(guest_read(&g, VMCB_CR0) & 0x80000001, 0);

    GUEST_LOAD(&g, GUEST_PROTECTED, guest_protected);
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_EQ(g.MR(QUALIFICATION_MR) & 0xffff0071, 0xcf8ul << 16 | IO_BYTES(4));
    EXPECT_EQ(g.MR(EAX), 0x12345678);
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_HLT);
}

/* The owner has asked for no intercept at all. */
TEST(svm_instructions_of_monitors_exit_whatever_the_owner_wants)
{
    struct guest g = new_svm_guest(e);
    static const seL4_Word reasons[] = {
        SVM_EXIT_VMRUN, SVM_EXIT_VMLOAD, SVM_EXIT_VMSAVE, SVM_EXIT_STGI, SVM_EXIT_CLGI, SVM_EXIT_INVLPGA,
        SVM_EXIT_VMMCALL, SVM_EXIT_MONITOR, SVM_EXIT_MWAIT, SVM_EXIT_CR0_WRITE + 4, SVM_EXIT_MSR,
        SVM_EXIT_IO, SVM_EXIT_IO, SVM_EXIT_VMMCALL,
    };

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_always_exits);
    guest_write(&g, VMCB_INTERCEPT_CR, 0);
    guest_write(&g, VMCB_INTERCEPT_1, 0);
    guest_write(&g, VMCB_INTERCEPT_2, 0);
    for (unsigned i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        EXPECT_EXIT(&g, reasons[i]);
        guest_skip(&g);
    }
    EXPECT_EQ(guest_read(&g, VMCB_CR4), guest_start(GUEST_LONG).cr4); /* the write did not happen */
}

/* QEMU goes by the intercept of WBINVD. */
TEST(svm_caches_are_not_emptied_by_the_guest)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_invd);
    guest_write(&g, VMCB_INTERCEPT_2, SVM_INTERCEPT_WBINVD);
    EXPECT_EQ(guest_enter(&g), SEL4_VMENTER_RESULT_FAULT);
    EXPECT(g.MR(REASON_MR) == SVM_EXIT_INVD || g.MR(REASON_MR) == SVM_EXIT_WBINVD);
    guest_skip(&g);
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
}

TEST(svm_skinit_does_not_happen)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_skinit);
    EXPECT_EQ(guest_enter(&g), SEL4_VMENTER_RESULT_FAULT);
    /* A processor without it may take it for an invalid instruction, for which the guest has no handler. */
    EXPECT(g.MR(REASON_MR) == SVM_EXIT_SKINIT || g.MR(REASON_MR) == SVM_EXIT_SHUTDOWN);
}

TEST(svm_guest_reads_and_writes_no_msr_but_its_own)
{
    struct guest g = new_svm_guest(e);
    /* EFER, VM_CR, VM_HSAVE_PA, SVM_KEY, what governs memory types, speculation, the APIC, debugging, time, performance;
     * and beside those that each guest has; and what no map is for. */
    static const seL4_Word msrs[] = {
        0xc0000080, 0xc0010114, 0xc0010117, 0xc0010118, 0x277, 0x2ff, 0x200, 0x48, 0x49, 0xc001011f, 0x1b, 0x800, 0x83f,
        0x1d9, 0x1db, 0x10, 0x6e0, 0xe7, 0xe8, 0xc0010000, 0xc0010007, 0xc0010200, 0xc0000103, 0xc0000104, 0xda0, 0xc0010015,
        0xc0010010, 0xc0011020, 0xc0010111, 0x17b, 0x400, 0x179, 0x173, 0x177, 0xc0000085, 0xc00000ff, 0x0, 0x1fff, 0x2000,
        0xc0001fff, 0xc0002000, 0xc0011fff, 0xc0012000, 0x40000000, 0x4b564d00, 0x80000000, 0xbfffffff, 0xffffffff,
    };

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_msr);
    for (unsigned i = 0; i < sizeof msrs / sizeof *msrs; i++) {
        for (unsigned writes = 0; writes < 2; writes++) {
            set_registers(&g, (seL4_VCPUContext) { .eax = 0xffffffff, .ecx = (long)msrs[i], .edx = 0xffffffff });
            g.rip = GUEST_CODE + 2 * writes;
            EXPECT_EXIT(&g, SVM_EXIT_MSR);
            EXPECT_EQ(g.MR(QUALIFICATION_MR), writes);
            EXPECT_EQ(g.MR(ECX), msrs[i]);
            EXPECT_EQ(g.rip, GUEST_CODE + 2 * writes);
        }
    }
    EXPECT_EQ(guest_read(&g, VMCB_EFER), guest_start(GUEST_LONG).efer);
}

TEST(svm_guests_have_msrs_of_their_own)
{
    struct guest a = new_svm_guest(e), b = new_guest(e, seL4_CapInitThreadTCB, 1);
    struct guest *g[2] = { &a, &b };
    static const struct {
        seL4_Word field, index;
    } fields[] = {
        { VMCB_SYSENTER_CS, 0 }, { VMCB_SYSENTER_ESP, 1 }, { VMCB_SYSENTER_EIP, 2 }, { VMCB_STAR, 3 }, { VMCB_LSTAR, 4 },
        { VMCB_CSTAR, 5 }, { VMCB_FMASK, 6 }, { VMCB_FS + VMCB_BASE, 7 }, { VMCB_KERNEL_GS_BASE, 8 },
    };

    for (seL4_Word i = 0; i < 2; i++) {
        GUEST_LOAD(g[i], GUEST_LONG, svm_guest_own_msrs);
        set_registers(g[i], (seL4_VCPUContext) { .r8 = 0x1000 * ((long)i + 1) });
    }
    for (seL4_Word round = 0; round < 10; round++) {
        struct guest *now = g[round % 2];

        EXPECT_OK(seL4_X86_VCPU_SetTCB(now->vcpu, seL4_CapInitThreadTCB));
        EXPECT_OK(seL4_TCB_SetEPTRoot(seL4_CapInitThreadTCB, now->ept_root));
        EXPECT_EXIT(now, SVM_EXIT_VMMCALL); /* that system calls and thread-local storage still work is the other half */
        EXPECT_EQ(now->MR(R9), 0);
        for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++)
            EXPECT_EQ(guest_read(now, fields[i].field), 0x1000 * (round % 2 + 1) + fields[i].index);
        guest_skip(now);
    }
}

TEST(svm_guest_makes_its_own_system_calls)
{
    struct guest g = new_svm_guest(e);
    extern const char guest_syscall[], guest_syscall_target[];
    seL4_Word target = GUEST_ADDRESS(guest_syscall, guest_syscall_target);

    GUEST_LOAD(&g, GUEST_LONG, guest_syscall);
    guest_write(&g, VMCB_LSTAR, target);
    guest_write(&g, VMCB_STAR, (seL4_Word)GUEST_CS << 32);
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    EXPECT_EQ(g.rip, target);
    EXPECT_EQ(g.MR(ECX), GUEST_CODE + 2);
}

TEST(svm_state_that_the_processor_refuses_is_a_failed_entry)
{
    struct guest g = new_svm_guest(e);
    seL4_VCPUContext registers = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    static const struct {
        seL4_Word field, value;
    } wrong[] = {
        { VMCB_CR0, 0xa0000021 }, /* NW without CD */
        { VMCB_CR0, 0x180000021 },
        { VMCB_DR7, 0x100000400 },
        { VMCB_DR6, 0x1ffff0ff0 },
    };

    GUEST_LOAD(&g, GUEST_LONG, guest_halt);
    EXPECT_OK(seL4_X86_VCPU_WriteRegisters(g.vcpu, &registers));
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        seL4_Word right = guest_read(&g, wrong[i].field);

        guest_write(&g, wrong[i].field, wrong[i].value);
        g.event = SVM_EVENT_VALID | SVM_EVENT_INTERRUPT | 0x55;
        EXPECT_EXIT(&g, SVM_EXIT_INVALID);
        EXPECT_EQ(g.rip, GUEST_CODE);
        EXPECT_EQ(g.event, SVM_EVENT_VALID | SVM_EVENT_INTERRUPT | 0x55);
        for (seL4_Word j = 0; j < 15; j++)
            EXPECT_EQ(g.word[SEL4_VMENTER_FAULT_EAX + j], j + 1);
        guest_write(&g, wrong[i].field, right);
        g.event = 0;
        EXPECT_EXIT(&g, SVM_EXIT_HLT);
        g.rip = GUEST_CODE;
    }
}

TEST(svm_triple_fault_is_told_and_the_vcpu_can_be_used_again)
{
    struct guest g = new_svm_guest(e);

    for (unsigned round = 0; round < 3; round++) {
        GUEST_LOAD(&g, GUEST_LONG, guest_triple_fault);
        EXPECT_EXIT(&g, SVM_EXIT_SHUTDOWN);
        GUEST_LOAD(&g, GUEST_REAL, guest_real);
        EXPECT_EXIT(&g, SVM_EXIT_IO);
    }
}

TEST(svm_vector_registers_of_guest_and_monitor_are_apart)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_LONG, guest_vector);
    set_registers(&g, (seL4_VCPUContext) { .ebx = 0x1234 });
    vector_set(0x9999);
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
    EXPECT_EQ(vector_get(), 0x9999);
    for (unsigned round = 0; round < 3; round++) {
        guest_skip(&g);
        EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
        EXPECT_EQ(g.MR(EBX), 0x1234);
        EXPECT_EQ(vector_get(), 0x9999);
    }
}

TEST(svm_features_of_the_machine_are_as_before_when_a_guest_has_set_xcr0)
{
    struct guest g = new_svm_guest(e);
    uint64_t xcr0 = read_xcr0();

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_xsetbv);
    guest_write(&g, VMCB_CR4, guest_start(GUEST_LONG).cr4 | 1u << 18);
    EXPECT_EQ(guest_enter(&g), SEL4_VMENTER_RESULT_FAULT);
    EXPECT(g.MR(REASON_MR) == SVM_EXIT_XSETBV || g.MR(REASON_MR) == SVM_EXIT_VMMCALL); /* QEMU does not intercept it */
    EXPECT_EQ(read_xcr0(), xcr0);
}

/* A watchpoint of the guest's on memory of its monitor's. */
TEST(svm_breakpoints_of_a_guest_do_not_reach_its_monitor)
{
    static volatile seL4_Word watched;
    struct guest g = new_svm_guest(e);
    extern const char svm_guest_watch[], svm_guest_watch_over[];

    GUEST_LOAD(&g, GUEST_LONG, svm_guest_watch);
    set_registers(&g, (seL4_VCPUContext) { .r8 = (long)&watched });
    for (seL4_Word round = 0; round < 10; round++) {
        EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
        EXPECT_EQ(guest_read(&g, VMCB_DR7), 0x90402);
        watched = round;
        EXPECT_EQ(watched, round);
        guest_skip(&g);
    }
    g.rip = GUEST_ADDRESS(svm_guest_watch, svm_guest_watch_over);
    EXPECT_EXIT(&g, SVM_EXIT_VMMCALL);
}

/* QEMU then goes on without paging, if it is let. */
TEST(svm_long_mode_enabled_without_pae_does_not_reach_the_kernel)
{
    struct guest g = new_svm_guest(e);

    GUEST_LOAD(&g, GUEST_REAL, guest_real);
    guest_write(&g, VMCB_EFER, 0x100);
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_EQ(seL4_GetMR(SVM_VMENTER_EFER_MR), 0x100);
    EXPECT_EQ(guest_read(&g, VMCB_EFER), 0x100);
    guest_skip(&g);
    guest_write(&g, VMCB_CR4, 0x20);
    EXPECT_EXIT(&g, SVM_EXIT_IO);
    EXPECT_EQ(guest_read(&g, VMCB_EFER), 0x100);
}
