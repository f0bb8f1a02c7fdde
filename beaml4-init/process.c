#include "beaml4-init/process.h"

#include "beaml4-init/elf.h"

#include <string.h>

#define PAGE_BYTES (1ul << seL4_PageBits)
#define PAGE_MASK  (PAGE_BYTES - 1)
#define HALF_BITS  32u /* of a capability pointer, for each of the two levels */

_Static_assert(sizeof(struct startup) <= PAGE_BYTES, "the startup page holds it");

/* Whether the page of memory at PAGE may be the very page of the file: nothing in it is written to or zero-filled. */
static bool shares_page(const struct elf_segment *segment, const uint8_t *file, uint64_t page)
{
    uint64_t end = segment->address + segment->memory_bytes;

    return !segment->writable && segment->file_bytes == segment->memory_bytes && page < end &&
           ((uintptr_t)file + segment->offset - segment->address) % PAGE_BYTES == 0;
}

/* One page of memory with what the file has for it. */
static const char *load_page(struct process *process, const struct elf_segment *segment, const uint8_t *file,
                             uint64_t page)
{
    uint64_t start = page > segment->address ? page : segment->address;
    uint64_t end = segment->address + segment->file_bytes;
    seL4_CapRights_t rights = segment->writable ? seL4_ReadWrite : seL4_CanRead;
    const uint8_t *content = file + segment->offset + (start - segment->address);

    if (shares_page(segment, file, page)) {
        seL4_CPtr frame = resources_image_frame(process->pool.resources, content);
        if (frame != seL4_CapNull)
            return address_space_share_page(&process->space, page, frame, rights);
    }
    if (end > page + PAGE_BYTES)
        end = page + PAGE_BYTES;
    return address_space_fill_page(&process->space, page, rights, content, start - page, end > start ? end - start : 0);
}

static const char *load_program(struct process *process, const struct archive_member *program)
{
    struct elf_image image;
    const char *problem = elf_read(&image, program->bytes, program->length, SERVICE_BASE, SERVICE_HEAP);

    for (unsigned i = 0; i < image.count && !problem; i++) {
        const struct elf_segment *segment = &image.segment[i];
        for (uint64_t page = segment->address & ~PAGE_MASK;
             page < segment->address + segment->memory_bytes && !problem; page += PAGE_BYTES)
            problem = load_page(process, segment, program->bytes, page);
    }
    process->entry = image.entry;
    return problem;
}

static seL4_Word guard(unsigned cnode_bits)
{
    return seL4_CNode_CapData_new(0, HALF_BITS - cnode_bits).words[0];
}

/* Two levels: the root, and in its slot 0 the static CNode. */
static const char *make_cspace(struct process *process, unsigned cnode_bits)
{
    const char *problem;

    if ((problem = pool_make(&process->pool, seL4_CapTableObject, SERVICE_ROOT_CNODE_BITS, &process->root_cnode)) ||
        (problem = pool_make(&process->pool, seL4_CapTableObject, cnode_bits, &process->static_cnode)))
        return problem;
    if (seL4_CNode_Mint(process->root_cnode, 0, SERVICE_ROOT_CNODE_BITS, INIT_CNODE, process->static_cnode, INIT_DEPTH,
                        seL4_AllRights, guard(cnode_bits)) != seL4_NoError)
        return "the kernel refused to put the CNodes together";
    return NULL;
}

static const char *make_thread(struct process *process)
{
    const char *problem;

    if ((problem = pool_make(&process->pool, seL4_TCBObject, 0, &process->tcb)) ||
        (process->notification == seL4_CapNull &&
         (problem = pool_make(&process->pool, seL4_NotificationObject, 0, &process->notification))) ||
        (problem = pool_make(&process->pool, seL4_X86_4K, 0, &process->ipc_buffer)) ||
        (problem = address_space_share_page(&process->space, SERVICE_IPC_BUFFER, process->ipc_buffer, seL4_ReadWrite)))
        return problem;
    if (seL4_TCB_Configure(process->tcb, SLOT_FAULT, process->root_cnode, guard(SERVICE_ROOT_CNODE_BITS),
                           process->space.root, 0, SERVICE_IPC_BUFFER, process->ipc_buffer) != seL4_NoError ||
        seL4_TCB_BindNotification(process->tcb, process->notification) != seL4_NoError ||
        seL4_TCB_SetFlags(process->tcb, 0, seL4_TCBFlag_fpuDisabled).error)
        return "the kernel refused to set the thread up";
    seL4_DebugNameThread(process->tcb, process->startup.name);
    return process_give(process, SLOT_NOTIFICATION, process->notification, seL4_CanRead, 0);
}

seL4_Word process_guard(const struct process *process)
{
    return guard(process->startup.static_cnode_bits);
}

const char *process_create(struct process *process, struct resources *resources, const char *name,
                           const struct archive_member *program, unsigned cnode_bits, uint64_t heap_bytes)
{
    return process_create_with(process, resources, name, program, cnode_bits, heap_bytes, seL4_CapNull);
}

const char *process_create_with(struct process *process, struct resources *resources, const char *name,
                                const struct archive_member *program, unsigned cnode_bits, uint64_t heap_bytes,
                                seL4_CPtr notification)
{
    const char *problem;

    *process = (struct process) { .exists = true, .notification = notification };
    pool_open(&process->pool, resources);
    process->startup.magic = STARTUP_MAGIC;
    process->startup.static_cnode_bits = cnode_bits;
    process->startup.heap_bytes = heap_bytes;
    strncpy(process->startup.name, name, sizeof process->startup.name - 1);
    if ((problem = address_space_open(&process->space, &process->pool)) ||
        (problem = make_cspace(process, cnode_bits)) || (problem = load_program(process, program)) ||
        (problem = address_space_zero_pages(&process->space, SERVICE_STACK_TOP - SERVICE_STACK_SIZE,
                                            SERVICE_STACK_SIZE)) ||
        (problem = address_space_zero_pages(&process->space, SERVICE_HEAP, heap_bytes)))
        return problem;
    return make_thread(process);
}

const char *process_give(struct process *process, unsigned slot, seL4_CPtr capability, seL4_CapRights_t rights,
                         seL4_Word badge)
{
    seL4_Uint8 depth = (seL4_Uint8)process->startup.static_cnode_bits;
    seL4_Error error;

    seL4_CNode_Delete(process->static_cnode, slot, depth);
    if (badge == 0)
        error = seL4_CNode_Copy(process->static_cnode, slot, depth, INIT_CNODE, capability, INIT_DEPTH, rights);
    else
        error = seL4_CNode_Mint(process->static_cnode, slot, depth, INIT_CNODE, capability, INIT_DEPTH, rights, badge);
    return error == seL4_NoError ? NULL : "the kernel refused to hand a capability over";
}

const char *process_give_itself(struct process *process)
{
    const char *problem;

    if ((problem = process_give(process, SLOT_TCB, process->tcb, seL4_AllRights, 0)) ||
        (problem = process_give(process, SLOT_ROOT_CNODE, process->root_cnode, seL4_AllRights,
                                guard(SERVICE_ROOT_CNODE_BITS))))
        return problem;
    return process_give_memory(process);
}

const char *process_give_memory(struct process *process)
{
    const char *problem = process_give(process, SLOT_STATIC_CNODE, process->static_cnode, seL4_AllRights,
                                       process_guard(process));

    return problem ? problem : process_give(process, SLOT_VSPACE, process->space.root, seL4_AllRights, 0);
}

const char *process_share_bytes(struct process *process, uint64_t address, const void *bytes, size_t length)
{
    const char *problem = NULL;

    if ((uintptr_t)bytes & PAGE_MASK)
        return "it does not begin on a page of its own; pack the image with tools/pack.py";
    for (size_t offset = 0; offset < length && !problem; offset += PAGE_BYTES) {
        seL4_CPtr frame = resources_image_frame(process->pool.resources, (const char *)bytes + offset);
        if (frame == seL4_CapNull)
            return "it is not part of the boot image";
        problem = address_space_share_page(&process->space, address + offset, frame, seL4_CanRead);
    }
    return problem;
}

const char *process_start(struct process *process, seL4_CPtr endpoint, seL4_Word badge, unsigned priority)
{
    seL4_UserContext registers = {
        .rip = process->entry,
        .rsp = SERVICE_STACK_TOP,
        .rflags = 0x202,
        .rdi = SERVICE_STARTUP,
    };
    const char *problem;

    if ((problem = process_give(process, SLOT_FAULT, endpoint, seL4_CapRights_new(1, 0, 0, 1), badge)) ||
        (problem = address_space_fill_page(&process->space, SERVICE_STARTUP, seL4_CanRead, &process->startup, 0,
                                           sizeof process->startup)))
        return problem;
    address_space_seal(&process->space);
    if (seL4_TCB_SetSchedParams(process->tcb, seL4_CapInitThreadTCB, priority, priority) != seL4_NoError ||
        seL4_TCB_WriteRegisters(process->tcb, 1, 0, sizeof registers / sizeof(seL4_Word), &registers) != seL4_NoError)
        return "the kernel refused to start the thread";
    return NULL;
}

void process_suspend(struct process *process)
{
    if (process->exists && process->tcb != seL4_CapNull)
        seL4_TCB_Suspend(process->tcb);
}

void process_destroy(struct process *process)
{
    if (!process->exists)
        return;
    process_suspend(process);
    address_space_seal(&process->space);
    pool_release(&process->pool);
    process->exists = false;
}
