#include "tests/kernel/guest.h"
#include "tests/kernel/svm_guest.h"

#include <string.h>

/* Access rights of segments (SDM 3C 25.4.1). */
#define REAL_CODE 0x9bu
#define REAL_DATA 0x93u
#define CODE32    0xc09bu
#define DATA32    0xc093u
#define CODE64    0xa09bu
#define TASK      0x8bu

#define CR0_NE 0x20u
#define CR0_PE 0x1u
#define CR0_PG 0x80000000u
#define CR4_PAE    0x20u
#define CR4_OSFXSR 0x200u

#define TSS_RSP0 4 /* SDM 3A 8.7 */

#define EFER_LONG 0x501u /* LMA, LME, SCE */

#define PTE_TABLE 0x7u  /* present, writable, for ring 3 as well */
#define PTE_LARGE 0x87u

void guest_map_memory(struct guest *g, unsigned number)
{
    struct env *e = g->env;
    seL4_Word address = WINDOW + number * 0x8000000000ul;
    seL4_CPtr pdpt = new_object(e, seL4_X86_EPTPDPTObject, 0);
    seL4_CPtr directory = new_object(e, seL4_X86_EPTPDObject, 0);

    g->frame = new_object(e, seL4_X86_LargePageObject, 0);
    map_structures(e, seL4_CapInitThreadVSpace, address, seL4_LargePageBits);
    EXPECT_OK(seL4_X86_Page_Map(g->frame, seL4_CapInitThreadVSpace, address, seL4_AllRights,
                                seL4_X86_Default_VMAttributes));
    EXPECT_OK(seL4_X86_EPTPDPT_Map(pdpt, g->ept_root, 0, seL4_X86_EPT_Default_VMAttributes));
    EXPECT_OK(seL4_X86_EPTPD_Map(directory, g->ept_root, 0, seL4_X86_EPT_Default_VMAttributes));
    EXPECT_OK(seL4_X86_Page_MapEPT(copy_of(e, g->frame, seL4_AllRights), g->ept_root, 0, seL4_AllRights,
                                   seL4_X86_EPT_Default_VMAttributes));
    g->memory = (uint8_t *)address;
}

static void do_nothing(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e, (void)t, (void)argument;
}

struct guest new_guest(struct env *e, seL4_CPtr tcb, unsigned number)
{
    struct guest g = { .env = e };

    if (!e->has_vcpu)
        skip(e, "no hardware virtualization");
    /* On upstream a thread whose VCPU was deleted may not use vector registers until it has been switched to, and a VCPU
     * made by then brings that back at each of its exits, for the kernel as well. */
    if (!e->is_ours)
        start(new_thread(e, 0), do_nothing, 0, ABOVE_ROOT);
    g.vcpu = new_object(e, seL4_X86_VCPUObject, 0);
    g.ept_root = new_object(e, seL4_X86_EPTPML4Object, 0);
    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, g.ept_root));
    EXPECT_OK(seL4_X86_VCPU_SetTCB(g.vcpu, tcb));
    EXPECT_OK(seL4_TCB_SetEPTRoot(tcb, g.ept_root));
    guest_map_memory(&g, number);
    return g;
}

struct guest new_vtx_guest(struct env *e, seL4_CPtr tcb, unsigned number)
{
    if (!e->has_vtx)
        skip(e, "no VT-x");
    return new_guest(e, tcb, number);
}

void guest_run_once(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    t->result[0] = guest_enter((struct guest *)argument);
}

void guest_run_on(struct env *e, struct thread *t, seL4_Word argument)
{
    (void)e;
    while ((t->result[0] = guest_enter((struct guest *)argument)) == SEL4_VMENTER_RESULT_NOTIF)
        t->result[1]++;
}

seL4_Word guest_read(struct guest *g, seL4_Word field)
{
    struct env *e = g->env;
    seL4_Word value = field;
    seL4_Error error;

    if (e->has_svm) {
        error = sel4_vcpu_read_vmcb(g->vcpu, 1, &value);
    } else {
        seL4_X86_VCPU_ReadVMCS_t read = seL4_X86_VCPU_ReadVMCS(g->vcpu, field);
        error = (seL4_Error)read.error;
        value = read.value;
    }
    if (error != seL4_NoError)
        fail(e, __FILE__, __LINE__, "field %#lx cannot be read: error %d", field, (int)error);
    return value;
}

seL4_Word guest_write(struct guest *g, seL4_Word field, seL4_Word value)
{
    struct env *e = g->env;
    seL4_Word written = value;
    seL4_Error error;

    if (e->has_svm) {
        error = sel4_vcpu_write_vmcb(g->vcpu, 2, SEL4_WORDS(field, value));
        if (error == seL4_NoError)
            written = guest_read(g, field);
    } else {
        seL4_X86_VCPU_WriteVMCS_t write = seL4_X86_VCPU_WriteVMCS(g->vcpu, field, value);
        error = (seL4_Error)write.error;
        written = write.written;
    }
    if (error != seL4_NoError)
        fail(e, __FILE__, __LINE__, "field %#lx cannot be %#lx: error %d", field, value, (int)error);
    return written;
}

static void set_segment(struct guest *g, unsigned index, seL4_Word selector, seL4_Word limit, seL4_Word rights)
{
    guest_write(g, VMCS_GUEST_ES_SELECTOR + 2 * index, selector);
    guest_write(g, VMCS_GUEST_ES_BASE + 2 * index, 0);
    guest_write(g, VMCS_GUEST_ES_LIMIT + 2 * index, limit);
    guest_write(g, VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * index, rights);
}

enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

struct guest_start guest_start(enum guest_mode mode)
{
    static const seL4_Word code[] = { REAL_CODE, CODE32, CODE64 };
    static const seL4_Word cr0[] = { CR0_NE, CR0_NE | CR0_PE, CR0_NE | CR0_PE | CR0_PG };
    bool real = mode == GUEST_REAL, is_long = mode == GUEST_LONG;

    return (struct guest_start) {
        .cr0 = cr0[mode],
        .cr3 = is_long ? GUEST_TABLES : 0,
        .cr4 = is_long ? CR4_PAE | CR4_OSFXSR : 0,
        .efer = is_long ? EFER_LONG : 0,
        .limit = real ? 0xffff : 0xffffffff,
        .code_selector = real ? 0 : GUEST_CS,
        .code_rights = code[mode],
        .data_selector = real ? 0 : GUEST_DS,
        .data_rights = real ? REAL_DATA : DATA32,
        .idt_base = real ? 0 : GUEST_IDT,
        .idt_limit = real ? 0x3ff : 0xfff,
    };
}

static void set_segments(struct guest *g, const struct guest_start *start)
{
    for (unsigned index = ES; index <= GS; index++)
        set_segment(g, index, start->data_selector, start->limit, start->data_rights);
    set_segment(g, CS, start->code_selector, start->limit, start->code_rights);
    set_segment(g, LDTR, 0, 0, VMX_SEGMENT_UNUSABLE);
    set_segment(g, TR, GUEST_TASK, GUEST_TASK_LIMIT, GUEST_TASK_RIGHTS);
    guest_write(g, VMCS_GUEST_TR_BASE, GUEST_TSS);
}

static void set_controls(struct guest *g, enum guest_mode mode)
{
    seL4_Word entry = guest_read(g, VMCS_ENTRY_CONTROLS) & ~(seL4_Word)VMX_ENTRY_LONG_MODE;

    guest_write(g, VMCS_ENTRY_CONTROLS, entry | VMX_ENTRY_LOAD_EFER | VMX_ENTRY_LOAD_DEBUG_CONTROLS |
                                            (mode == GUEST_LONG ? VMX_ENTRY_LONG_MODE : 0));
    guest_write(g, VMCS_SECONDARY_CONTROLS,
                guest_read(g, VMCS_SECONDARY_CONTROLS) | VMX_SECONDARY_UNRESTRICTED_GUEST);
}

/* A page table of the first GiB. */
static void fill_tables(struct guest *g)
{
    volatile seL4_Word *pml4 = guest_word(g, GUEST_TABLES), *pdpt = pml4 + 512, *directory = pdpt + 512;

    pml4[0] = (GUEST_TABLES + 0x1000) | PTE_TABLE;
    pdpt[0] = (GUEST_TABLES + 0x2000) | PTE_TABLE;
    for (seL4_Word i = 0; i < 512; i++)
        directory[i] = i << 21 | PTE_LARGE;
}

static void fill_gdt(struct guest *g)
{
    volatile seL4_Word *gdt = guest_word(g, GUEST_GDT);

    gdt[GUEST_CS / 8] = 0x00af9b000000fffful;
    gdt[GUEST_DS / 8] = 0x00cf93000000fffful;
    gdt[GUEST_USER_DS / 8] = 0x00cff3000000fffful;
    gdt[GUEST_USER_CS / 8] = 0x00affb000000fffful;
}

/* All that is the same for both kinds of guest: what lies in memory. */
static void fill_memory(struct guest *g, const char *start, const char *end)
{
    memset(g->memory, 0, GUEST_TABLES);
    memcpy(g->memory + GUEST_CODE, start, (size_t)(end - start));
    fill_tables(g);
    fill_gdt(g);
    *(seL4_Uint64 *)(g->memory + GUEST_TSS + TSS_RSP0) = GUEST_STACK - 0x800;
}

static void vtx_load(struct guest *g, enum guest_mode mode)
{
    struct guest_start start = guest_start(mode);

    set_segments(g, &start);
    set_controls(g, mode);
    guest_write(g, VMCS_GUEST_CR0, start.cr0);
    guest_write(g, VMCS_GUEST_CR3, start.cr3);
    guest_write(g, VMCS_GUEST_CR4, start.cr4);
    guest_write(g, VMCS_GUEST_EFER, start.efer);
    guest_write(g, VMCS_GUEST_GDTR_BASE, GUEST_GDT);
    guest_write(g, VMCS_GUEST_GDTR_LIMIT, GUEST_GDT_LIMIT);
    guest_write(g, VMCS_GUEST_IDTR_BASE, start.idt_base);
    guest_write(g, VMCS_GUEST_IDTR_LIMIT, start.idt_limit);
    guest_write(g, VMCS_GUEST_RSP, GUEST_STACK);
    guest_write(g, VMCS_GUEST_RFLAGS, 2);
    guest_write(g, VMCS_GUEST_DR7, 0x400);
    g->controls = guest_read(g, VMCS_PRIMARY_CONTROLS) | VMX_PRIMARY_HLT_EXITING;
}

void guest_load(struct guest *g, enum guest_mode mode, const char *start, const char *end)
{
    fill_memory(g, start, end);
    if (g->env->has_svm)
        svm_load(g, mode, (size_t)(end - start));
    else
        vtx_load(g, mode);
    g->rip = GUEST_CODE;
    g->event = 0;
}

seL4_Word guest_reason(const struct guest *g, enum guest_stop stop)
{
    static const struct {
        seL4_Word vtx, svm;
    } reasons[] = {
        [GUEST_CALLS] = { VMX_REASON_VMCALL, SVM_EXIT_VMMCALL },
        [GUEST_HALTS] = { VMX_REASON_HLT, SVM_EXIT_HLT },
        [GUEST_IS_REFUSED] = { VMX_REASON_ENTRY_FAILED, SVM_EXIT_INVALID },
        [GUEST_LACKS_MEMORY] = { VMX_REASON_EPT_VIOLATION, SVM_EXIT_NESTED_PAGE_FAULT },
    };

    return g->env->has_svm ? reasons[stop].svm : reasons[stop].vtx;
}

void guest_skip(struct guest *g)
{
    seL4_Word length = g->word[SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR];

    g->rip += length || !g->env->has_svm ? length : svm_instruction_length(g);
}

void guest_set_gate(struct guest *g, unsigned vector, seL4_Word handler)
{
    volatile seL4_Word *gate = guest_word(g, GUEST_IDT + vector * 16);

    gate[0] = (handler & 0xffff) | GUEST_CS << 16 | 0x8e00ul << 32;
    gate[1] = 0;
}

seL4_Word guest_enter(struct guest *g)
{
    seL4_SetMR(SEL4_VMENTER_CALL_EIP_MR, g->rip);
    seL4_SetMR(SEL4_VMENTER_CALL_CONTROL_PPC_MR, g->controls);
    seL4_SetMR(SEL4_VMENTER_CALL_INTERRUPT_INFO_MR, g->event);

    seL4_Word result = seL4_VMEnter(&g->badge);
    int count = result == SEL4_VMENTER_RESULT_FAULT ? SEL4_VMENTER_RESULT_FAULT_LEN : SEL4_VMENTER_RESULT_NOTIF_LEN;
    for (int i = 0; i < count; i++)
        g->word[i] = seL4_GetMR(i);
    g->rip = g->word[SEL4_VMENTER_CALL_EIP_MR];
    g->controls = g->word[SEL4_VMENTER_CALL_CONTROL_PPC_MR];
    g->event = g->word[SEL4_VMENTER_CALL_INTERRUPT_INFO_MR];
    return result;
}
