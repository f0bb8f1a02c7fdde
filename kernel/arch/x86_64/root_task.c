/* seL4 reference manual, 9.1 (initial thread's environment). Slots come in upstream's order: paging structures,
 * bootinfo records, image, untypeds. */
#include <arch/x86_64/boot_root.h>

#include <arch/x86_64/console.h>
#include <arch/x86_64/memory.h>
#include <lib/string.h>
#include <object/derive.h>
#include <object/vspace.h>

#define PAGE 4096ul

#define ROOT_ASID_POOL 0u
#define ROOT_ASID      1u

#define CNODE_SLOTS (1ul << CONFIG_ROOT_CNODE_SIZE_BITS)

/* Bits of an address below the one that selects an entry of a structure of that level; 1 is a page table. */
static unsigned level_shift(unsigned level)
{
    return seL4_PageBits + (level - 1) * seL4_PageTableIndexBits;
}

uint64_t root_task_memory(struct root_task *root, uint64_t size)
{
    uint64_t physical = boot_memory_take(&root->boot->memory, size, size);

    if (!physical)
        kernel_panic("the system cannot start: not enough memory for the root task");
    return physical;
}

static void put(struct root_task *root, seL4_SlotPos slot, struct cap cap)
{
    slot_insert_root(&root->cnode[slot], cap);
}

void root_task_provide(struct root_task *root, struct cap cap)
{
    if (root->next_slot == CNODE_SLOTS)
        kernel_panic("the system cannot start: the root task's capabilities do not fit its CNode");
    put(root, root->next_slot++, cap);
}

static void create_cspace(struct root_task *root)
{
    uint64_t physical = root_task_memory(root, CNODE_SLOTS * sizeof(struct slot));

    root->cnode = physical_to_kernel(physical);
    root->next_slot = seL4_NumInitialCaps;
    put(root, seL4_CapInitThreadCNode,
        cap_cnode(physical, CONFIG_ROOT_CNODE_SIZE_BITS, seL4_WordBits - CONFIG_ROOT_CNODE_SIZE_BITS, 0));
    put(root, seL4_CapIRQControl, cap_make(CAP_IRQ_CONTROL, 0, 0, 0));
    put(root, seL4_CapASIDControl, cap_make(CAP_ASID_CONTROL, 0, 0, 0));
    put(root, seL4_CapIOPortControl, cap_make(CAP_IO_PORT_CONTROL, 0, 0, 0));
    put(root, seL4_CapDomain, cap_make(CAP_DOMAIN, 0, 0, 0));
}

/* All structures of LEVEL that addresses from START to END need. */
static void create_tables(struct root_task *root, uint64_t start, uint64_t end, unsigned level, seL4_Word object_type)
{
    uint64_t reach = 1ul << level_shift(level + 1);

    for (uint64_t address = start & ~(reach - 1); address < end; address += reach) {
        uint64_t physical = root_task_memory(root, PAGE);
        struct cap cap = vspace_new_object(object_type, physical, false);

        root_task_provide(root, vspace_map_boot(root->vspace, cap, address));
    }
}

static void create_vspace(struct root_task *root)
{
    uint64_t physical = root_task_memory(root, PAGE), pool = root_task_memory(root, PAGE);
    uint64_t start = root->boot->image.start, end = root->records_address + root->records_pages * PAGE;

    asid_install_pool(ROOT_ASID_POOL, physical_to_kernel(pool));
    put(root, seL4_CapInitThreadASIDPool, cap_make(CAP_ASID_POOL, pool, 0, ROOT_ASID_POOL << ASID_POOL_BITS));
    root->vspace = asid_assign_boot(vspace_new_object(seL4_X64_PML4Object, physical, false), ROOT_ASID_POOL, ROOT_ASID);
    put(root, seL4_CapInitThreadVSpace, root->vspace);

    root->info->userImagePaging.start = root->next_slot;
    create_tables(root, start, end, 3, seL4_X86_PDPTObject);
    create_tables(root, start, end, 2, seL4_X86_PageDirectoryObject);
    create_tables(root, start, end, 1, seL4_X86_PageTableObject);
    root->info->userImagePaging.end = root->next_slot;
}

static struct cap map_page(struct root_task *root, uint64_t physical, uint64_t address)
{
    return vspace_map_boot(root->vspace, vspace_new_object(seL4_X86_4K, physical, false), address);
}

static seL4_SlotRegion map_pages(struct root_task *root, uint64_t physical, uint64_t address, uint64_t count)
{
    seL4_SlotRegion slots = { .start = root->next_slot };

    for (uint64_t i = 0; i < count; i++)
        root_task_provide(root, map_page(root, physical + i * PAGE, address + i * PAGE));
    slots.end = root->next_slot;
    return slots;
}

static void create_thread(struct root_task *root, uint64_t buffer)
{
    struct tcb *thread = physical_to_kernel(root_task_memory(root, 1ul << seL4_TCBBits));
    struct slot *cspace = &root->cnode[seL4_CapInitThreadCNode], *vspace = &root->cnode[seL4_CapInitThreadVSpace];
    struct slot *buffer_slot = &root->cnode[seL4_CapInitThreadIPCBuffer];
    struct cap unmapped = cap_make(CAP_FRAME, buffer,
                                   FRAME_BITS(FRAME_4K, RIGHT_READ | RIGHT_WRITE, false, FRAME_UNMAPPED), 0);

    tcb_init(root->cpu, thread);
    put(root, seL4_CapInitThreadTCB, cap_make(CAP_THREAD, kernel_to_physical(thread), 0, 0));
    slot_insert(cspace->cap, cspace, &thread->slots[TCB_CSPACE]);
    slot_insert(vspace->cap, vspace, &thread->slots[TCB_VSPACE]);
    slot_insert(unmapped, buffer_slot, &thread->slots[TCB_BUFFER]);
    thread->ipc_buffer = root->buffer_address;
    thread->priority = thread->max_priority = seL4_MaxPrio;
    memcpy(thread->name, "rootserver", sizeof "rootserver");
    thread->context.rdi = root->info_address;
    thread->context.fault_ip = root->boot->image.entry;
    tcb_restart(root->cpu, thread);
}

void root_task_create(struct root_task *root, struct cpu *cpu, struct boot *boot)
{
    uint64_t records_length = bootinfo_write_records(boot, NULL);

    *root = (struct root_task) {
        .cpu = cpu,
        .boot = boot,
        .buffer_address = boot->image.end,
        .info_address = boot->image.end + PAGE,
        .records_address = boot->image.end + 2 * PAGE,
        .records_pages = 1,
    };
    while (root->records_pages * PAGE < records_length)
        root->records_pages *= 2;
    create_cspace(root);

    uint64_t buffer = root_task_memory(root, PAGE), info = root_task_memory(root, PAGE);
    uint64_t records = root_task_memory(root, root->records_pages * PAGE);
    bootinfo_write_records(boot, physical_to_kernel(records));
    root->info = physical_to_kernel(info);
    root->info->extraLen = records_length;
    root->info->numNodes = kernel.cpu_count;
    root->info->ipcBuffer = (seL4_IPCBuffer *)root->buffer_address;
    root->info->initThreadCNodeSizeBits = CONFIG_ROOT_CNODE_SIZE_BITS;

    create_vspace(root);
    put(root, seL4_CapBootInfoFrame, map_page(root, info, root->info_address));
    root->info->extraBIPages = map_pages(root, records, root->records_address, root->records_pages);
    put(root, seL4_CapInitThreadIPCBuffer, map_page(root, buffer, root->buffer_address));
    root->info->userImageFrames =
        map_pages(root, boot->image_address, boot->image.start, (boot->image.end - boot->image.start) / PAGE);
    create_thread(root, buffer);
}
