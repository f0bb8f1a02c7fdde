/* Address spaces as the rest of the kernel sees them. */
#include <object/vspace.h>

#include <arch/x86_64/window.h>
#include <arch/x86_64/x86.h>
#include <object/paging.h>

static void load(struct cpu *cpu, uint64_t root)
{
    if (cpu->loaded_cr3 != root) {
        cpu->loaded_cr3 = root;
        write_cr3(root);
    }
}

void vspace_init(void)
{
    frame_init();
    cpu_self()->loaded_cr3 = window_root();
    write_cr3(window_root());
}

void vspace_activate(struct cpu *cpu, struct tcb *thread)
{
    struct cap root = thread->slots[TCB_VSPACE].cap;
    bool valid = vspace_is_root(root) && asid_find(mapping_asid(root), ASID_VSPACE) == cap_physical(root);

    load(cpu, valid ? cap_physical(root) : window_root());
}

static struct cap new_frame(enum frame_size size, uint64_t physical, bool device)
{
    return cap_make(CAP_FRAME, physical, FRAME_BITS(size, RIGHT_READ | RIGHT_WRITE, device, FRAME_UNMAPPED),
                    MAPPING(ASID_INVALID, 0));
}

struct cap vspace_new_object(uint64_t object_type, uint64_t physical, bool device)
{
    enum cap_type type = CAP_NULL;

    switch (object_type) {
    case seL4_X86_4K:
        return new_frame(FRAME_4K, physical, device);
    case seL4_X86_LargePageObject:
        return new_frame(FRAME_2M, physical, device);
    case seL4_X64_HugePageObject:
        return new_frame(FRAME_1G, physical, device);
    case seL4_X86_PageTableObject:
        type = CAP_PAGE_TABLE;
        break;
    case seL4_X86_PageDirectoryObject:
        type = CAP_PAGE_DIRECTORY;
        break;
    case seL4_X86_PDPTObject:
        type = CAP_PDPT;
        break;
    case seL4_X64_PML4Object:
        type = CAP_PML4;
        ((uint64_t *)physical_to_kernel(physical))[KERNEL_WINDOW_SLOT] = window_pml4_entry();
        break;
    case seL4_X86_IOPageTableObject:
        type = CAP_IO_PAGE_TABLE;
        break;
    case seL4_X86_EPTPTObject:
        type = CAP_EPT_PAGE_TABLE;
        break;
    case seL4_X86_EPTPDObject:
        type = CAP_EPT_PAGE_DIRECTORY;
        break;
    case seL4_X86_EPTPDPTObject:
        type = CAP_EPT_PDPT;
        break;
    case seL4_X86_EPTPML4Object:
        type = CAP_EPT_PML4;
        break;
    }
    assert(type != CAP_NULL);
    return cap_make(type, physical, 0, MAPPING(ASID_INVALID, 0));
}

bool vspace_derive(struct invocation *call, struct cap cap, struct cap *derived)
{
    *derived = cap;
    switch (cap.type) {
    case CAP_FRAME:
        derived->bits = FRAME_BITS(frame_size(cap), frame_rights(cap), frame_is_device(cap), FRAME_UNMAPPED) & 0x3fff;
        derived->data = MAPPING(ASID_INVALID, 0);
        return true;
    case CAP_ASID_CONTROL:
    case CAP_ASID_POOL:
    case CAP_IO_SPACE:
        return true;
    default:
        /* Two capabilities to one table must not map it twice. */
        if (mapping_asid(cap) == ASID_INVALID) {
            fail(call, seL4_IllegalOperation);
            return false;
        }
        return true;
    }
}

void vspace_finalise(struct cpu *cpu, struct cap cap, bool final)
{
    if (cap.type == CAP_FRAME) {
        frame_finalise(cpu, cap);
        return;
    }
    if (!final)
        return;
    switch (cap.type) {
    case CAP_PAGE_TABLE:
    case CAP_PAGE_DIRECTORY:
    case CAP_PDPT:
        paging_finalise(cpu, cap);
        break;
    case CAP_PML4:
        asid_release(cpu, cap);
        break;
    case CAP_ASID_POOL:
        asid_pool_finalise(cpu, cap);
        break;
    default:
        break;
    }
}

bool vspace_is_root(struct cap cap)
{
    return cap.type == CAP_PML4 && mapping_asid(cap) != ASID_INVALID;
}

bool vspace_check_ipc_buffer(struct invocation *call, uint64_t address, struct cap cap)
{
    if (cap.type != CAP_FRAME || frame_is_device(cap)) {
        fail(call, seL4_IllegalOperation);
        return false;
    }
    if (address & ((1ul << seL4_IPCBufferSizeBits) - 1)) {
        fail(call, seL4_AlignmentError);
        return false;
    }
    return true;
}

/* Without an IOMMU there are no capabilities to I/O spaces, so a page table for one is never mapped. */
static void io_page_table_invoke(struct invocation *call)
{
    if (call->label == X86IOPageTableUnmap)
        return;
    if (call->label != X86IOPageTableMap)
        fail(call, seL4_IllegalOperation);
    else if (call->length < 1 || !has_extra(call, 1))
        fail(call, seL4_TruncatedMessage);
    else
        fail_capability(call, 0);
}

void vspace_invoke(struct invocation *call)
{
    switch (call->cap.type) {
    case CAP_FRAME:
        frame_invoke(call);
        break;
    case CAP_PAGE_TABLE:
    case CAP_PAGE_DIRECTORY:
    case CAP_PDPT:
        paging_invoke(call);
        break;
    case CAP_ASID_CONTROL:
        asid_control_invoke(call);
        break;
    case CAP_ASID_POOL:
        asid_pool_invoke(call);
        break;
    case CAP_IO_PAGE_TABLE:
        io_page_table_invoke(call);
        break;
    case CAP_PML4:
        vspace_root_invoke(call);
        break;
    default: /* an I/O space has no invocations */
        fail(call, seL4_IllegalOperation);
        break;
    }
}

struct cap vspace_map_boot(struct cap root, struct cap cap, uint64_t address)
{
    bool is_frame = cap.type == CAP_FRAME;
    unsigned level = is_frame ? frame_size(cap) : cap.type - CAP_PAGE_TABLE + 1u, missing_bits;
    uint64_t *entry = paging_entry(cap_physical(root), address, level, ENTRY_PRESENT, &missing_bits);

    assert(entry && !(*entry & ENTRY_PRESENT));
    if (is_frame) {
        *entry = frame_entry(cap_physical(cap), level, frame_rights(cap), seL4_X86_Default_VMAttributes);
        cap.bits = FRAME_BITS(level, frame_rights(cap), frame_is_device(cap), FRAME_IN_VSPACE) & 0x3fff;
    } else {
        *entry = cap_physical(cap) | ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER;
    }
    cap.data = MAPPING(mapping_asid(root), address);
    return cap;
}
