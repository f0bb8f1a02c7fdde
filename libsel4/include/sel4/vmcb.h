/* What a VCPU is described with on a processor with AMD-V: fields of a VMCB as sel4_vcpu_read_vmcb and
 * sel4_vcpu_write_vmcb take them (APM 2 appendix B: the offset is the field's name), intercepts and exit codes (APM 2
 * appendix C). Freestanding.
 *
 * seL4_VMEnter is as for VT-x but for what its message registers mean:
 *   SEL4_VMENTER_CALL_EIP_MR            VMCB_RIP
 *   SEL4_VMENTER_CALL_CONTROL_PPC_MR    VMCB_VIRTUAL_INTERRUPT, as far as it is the owner's
 *   SEL4_VMENTER_CALL_INTERRUPT_INFO_MR VMCB_EVENT_INJECTION
 * After SEL4_VMENTER_RESULT_FAULT the third is what the guest lost: VMCB_EXIT_INTERRUPTED_EVENT. The others are
 *   SEL4_VMENTER_FAULT_REASON_MR          VMCB_EXIT_CODE; all ones where the processor refused to enter
 *   SEL4_VMENTER_FAULT_QUALIFICATION_MR   VMCB_EXIT_INFO_1
 *   SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR bytes up to VMCB_NEXT_RIP, 0 where the processor does not tell
 *   SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR  VMCB_EXIT_INFO_2
 *   SEL4_VMENTER_FAULT_RFLAGS_MR, _CR3_MR VMCB_RFLAGS, VMCB_CR3
 *   SEL4_VMENTER_FAULT_GUEST_INT_MR       VMCB_INTERRUPT_SHADOW
 *   SEL4_VMENTER_FAULT_EAX …              the general registers, rax among them
 * and behind them, for who has to read guest code, the registers of enum svm_vmenter_register.
 */
#pragma once

enum svm_vmenter_register {
    SVM_VMENTER_CR0_MR = 25,
    SVM_VMENTER_CR4_MR,
    SVM_VMENTER_EFER_MR,
    SVM_VMENTER_CS_BASE_MR,
    SVM_VMENTER_CS_ATTRIBUTES_MR, /* and CPL in bits 16 and 17 */
    SVM_VMENTER_RSP_MR,
    SVM_VMENTER_RESULT_FAULT_LEN,
};

enum vmcb_field {
    VMCB_INTERCEPT_CR = 0x000, /* reads in bits 0 to 15, writes in 16 to 31 */
    VMCB_INTERCEPT_DR = 0x004,
    VMCB_INTERCEPT_EXCEPTIONS = 0x008,
    VMCB_INTERCEPT_1 = 0x00c,
    VMCB_INTERCEPT_2 = 0x010,
    VMCB_INTERCEPT_3 = 0x014,
    VMCB_PAUSE_THRESHOLD = 0x03c,
    VMCB_PAUSE_COUNT = 0x03e,
    VMCB_IO_PERMISSIONS = 0x040,
    VMCB_MSR_PERMISSIONS = 0x048,
    VMCB_TSC_OFFSET = 0x050,
    VMCB_ASID = 0x058,
    VMCB_TLB_CONTROL = 0x05c,
    VMCB_VIRTUAL_INTERRUPT = 0x060,
    VMCB_INTERRUPT_SHADOW = 0x068,
    VMCB_EXIT_CODE = 0x070,
    VMCB_EXIT_INFO_1 = 0x078,
    VMCB_EXIT_INFO_2 = 0x080,
    VMCB_EXIT_INTERRUPTED_EVENT = 0x088,
    VMCB_NESTED_PAGING = 0x090,
    VMCB_EVENT_INJECTION = 0x0a8,
    VMCB_NESTED_CR3 = 0x0b0,
    VMCB_CLEAN = 0x0c0,
    VMCB_NEXT_RIP = 0x0c8,
    VMCB_FETCHED_BYTES = 0x0d0, /* their number in the first byte; and the next field */
    VMCB_FETCHED_BYTES_2 = 0x0d8,

    VMCB_ES = 0x400, /* those of CS, SS, DS, FS, GS, GDTR, LDTR, IDTR and TR follow in steps of 16 */
    VMCB_CS = 0x410,
    VMCB_SS = 0x420,
    VMCB_DS = 0x430,
    VMCB_FS = 0x440,
    VMCB_GS = 0x450,
    VMCB_GDTR = 0x460,
    VMCB_LDTR = 0x470,
    VMCB_IDTR = 0x480,
    VMCB_TR = 0x490,
    VMCB_CPL = 0x4cb,
    VMCB_EFER = 0x4d0,
    VMCB_CR4 = 0x548,
    VMCB_CR3 = 0x550,
    VMCB_CR0 = 0x558,
    VMCB_DR7 = 0x560,
    VMCB_DR6 = 0x568,
    VMCB_RFLAGS = 0x570,
    VMCB_RIP = 0x578,
    VMCB_RSP = 0x5d8,
    VMCB_RAX = 0x5f8, /* the guest's rax is among the general registers; not for owners */
    VMCB_STAR = 0x600,
    VMCB_LSTAR = 0x608,
    VMCB_CSTAR = 0x610,
    VMCB_FMASK = 0x618,
    VMCB_KERNEL_GS_BASE = 0x620,
    VMCB_SYSENTER_CS = 0x628,
    VMCB_SYSENTER_ESP = 0x630,
    VMCB_SYSENTER_EIP = 0x638,
    VMCB_CR2 = 0x640,
    VMCB_PAT = 0x668,
};

/* Parts of a segment, added to its field. The attributes are 12 bits: those of a descriptor without the gap. */
enum vmcb_segment_part { VMCB_SELECTOR = 0, VMCB_ATTRIBUTES = 2, VMCB_LIMIT = 4, VMCB_BASE = 8 };

/* VMCB_INTERCEPT_1 */
#define SVM_INTERCEPT_INTR          (1u << 0)
#define SVM_INTERCEPT_NMI           (1u << 1)
#define SVM_INTERCEPT_SMI           (1u << 2)
#define SVM_INTERCEPT_INIT          (1u << 3)
#define SVM_INTERCEPT_VINTR         (1u << 4)
#define SVM_INTERCEPT_CR0_SELECTIVE (1u << 5)
#define SVM_INTERCEPT_RDTSC         (1u << 14)
#define SVM_INTERCEPT_RDPMC         (1u << 15)
#define SVM_INTERCEPT_CPUID         (1u << 18)
#define SVM_INTERCEPT_RSM           (1u << 19)
#define SVM_INTERCEPT_IRET          (1u << 20)
#define SVM_INTERCEPT_INVD          (1u << 22)
#define SVM_INTERCEPT_PAUSE         (1u << 23)
#define SVM_INTERCEPT_HLT           (1u << 24)
#define SVM_INTERCEPT_INVLPG        (1u << 25)
#define SVM_INTERCEPT_INVLPGA       (1u << 26)
#define SVM_INTERCEPT_IO            (1u << 27)
#define SVM_INTERCEPT_MSR           (1u << 28)
#define SVM_INTERCEPT_TASK_SWITCH   (1u << 29)
#define SVM_INTERCEPT_FERR_FREEZE   (1u << 30)
#define SVM_INTERCEPT_SHUTDOWN      (1u << 31)

/* VMCB_INTERCEPT_2 */
#define SVM_INTERCEPT_VMRUN   (1u << 0)
#define SVM_INTERCEPT_VMMCALL (1u << 1)
#define SVM_INTERCEPT_VMLOAD  (1u << 2)
#define SVM_INTERCEPT_VMSAVE  (1u << 3)
#define SVM_INTERCEPT_STGI    (1u << 4)
#define SVM_INTERCEPT_CLGI    (1u << 5)
#define SVM_INTERCEPT_SKINIT  (1u << 6)
#define SVM_INTERCEPT_RDTSCP  (1u << 7)
#define SVM_INTERCEPT_ICEBP   (1u << 8)
#define SVM_INTERCEPT_WBINVD  (1u << 9)
#define SVM_INTERCEPT_MONITOR (1u << 10)
#define SVM_INTERCEPT_MWAIT   (1u << 11)
#define SVM_INTERCEPT_XSETBV  (1u << 13)
#define SVM_INTERCEPT_RDPRU   (1u << 14)

/* VMCB_VIRTUAL_INTERRUPT: what the owner may set. A pending virtual interrupt makes the guest exit with SVM_EXIT_VINTR as
 * soon as it can take one. */
#define SVM_VIRTUAL_TPR             0xful
#define SVM_VIRTUAL_INTERRUPT       (1ul << 8)
#define SVM_VIRTUAL_PRIORITY        (0xful << 16)
#define SVM_VIRTUAL_IGNORE_TPR      (1ul << 20)

/* VMCB_EVENT_INJECTION, VMCB_EXIT_INTERRUPTED_EVENT: vector in bits 0 to 7, error code in 32 to 63 */
#define SVM_EVENT_VECTOR     0xfful
#define SVM_EVENT_TYPE       (7ul << 8)
#define SVM_EVENT_INTERRUPT  (0ul << 8)
#define SVM_EVENT_NMI        (2ul << 8)
#define SVM_EVENT_EXCEPTION  (3ul << 8)
#define SVM_EVENT_SOFTWARE   (4ul << 8)
#define SVM_EVENT_ERROR_CODE (1ul << 11)
#define SVM_EVENT_VALID      (1ul << 31)
#define SVM_EVENT_ERROR_SHIFT 32

enum svm_exit_code {
    SVM_EXIT_CR0_READ = 0x000,  /* 16 registers, then 16 for writes from here */
    SVM_EXIT_CR0_WRITE = 0x010,
    SVM_EXIT_DR0_READ = 0x020,
    SVM_EXIT_DR0_WRITE = 0x030,
    SVM_EXIT_EXCEPTION_0 = 0x040, /* 32 vectors */
    SVM_EXIT_INTR = 0x060,
    SVM_EXIT_NMI = 0x061,
    SVM_EXIT_SMI = 0x062,
    SVM_EXIT_INIT = 0x063,
    SVM_EXIT_VINTR = 0x064,
    SVM_EXIT_CR0_SELECTIVE = 0x065,
    SVM_EXIT_RDTSC = 0x06e,
    SVM_EXIT_RDPMC = 0x06f,
    SVM_EXIT_CPUID = 0x072,
    SVM_EXIT_RSM = 0x073,
    SVM_EXIT_IRET = 0x074,
    SVM_EXIT_INVD = 0x076,
    SVM_EXIT_PAUSE = 0x077,
    SVM_EXIT_HLT = 0x078,
    SVM_EXIT_INVLPG = 0x079,
    SVM_EXIT_INVLPGA = 0x07a,
    SVM_EXIT_IO = 0x07b,
    SVM_EXIT_MSR = 0x07c,
    SVM_EXIT_TASK_SWITCH = 0x07d,
    SVM_EXIT_FERR_FREEZE = 0x07e,
    SVM_EXIT_SHUTDOWN = 0x07f,
    SVM_EXIT_VMRUN = 0x080,
    SVM_EXIT_VMMCALL = 0x081,
    SVM_EXIT_VMLOAD = 0x082,
    SVM_EXIT_VMSAVE = 0x083,
    SVM_EXIT_STGI = 0x084,
    SVM_EXIT_CLGI = 0x085,
    SVM_EXIT_SKINIT = 0x086,
    SVM_EXIT_RDTSCP = 0x087,
    SVM_EXIT_ICEBP = 0x088,
    SVM_EXIT_WBINVD = 0x089,
    SVM_EXIT_MONITOR = 0x08a,
    SVM_EXIT_MWAIT = 0x08b,
    SVM_EXIT_MWAIT_ARMED = 0x08c,
    SVM_EXIT_XSETBV = 0x08d,
    SVM_EXIT_RDPRU = 0x08e,
    SVM_EXIT_NESTED_PAGE_FAULT = 0x400,
};

#define SVM_EXIT_INVALID (~0ul)
