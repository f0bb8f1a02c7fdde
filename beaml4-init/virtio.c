/* The virtioservers of a VM: a process for each of its disks, made before its monitor starts and destroyed with it. */
#include "beaml4-init/init.h"
#include "ipc/hypervisor.h"
#include "ipc/virtio.h"

#include <stdio.h>

#define SERVER_PROGRAM "virtioserver"
#define PAGE_BYTES     (1ul << seL4_PageBits)
#define GIB            (UINT64_C(1) << 30)
#define LARGE_PAGE     (UINT64_C(1) << seL4_LargePageBits)
#define SECTOR_BYTES   512u

/* Program, stack, thread, paging structures, and the rest of the pieces that they are taken from. */
#define SERVER_BYTES (UINT64_C(512) << 10)

/* A server being made. The functions answer NULL or why it cannot be. */
struct server_start {
    struct init *init;
    struct vm *vm;
    unsigned vm_index, number;
    struct process *server;
    struct archive_member disk;
};

uint64_t virtio_bytes(const struct init *init, const struct vm_config *config)
{
    struct archive_member disk;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < VM_DISKS_MAX && config->disk[i][0]; i++)
        if (archive_find(&init->archive, config->disk[i], &disk) == ARCHIVE_OK)
            bytes += disk.length + SERVER_BYTES;
    return bytes;
}

static const char *find_disk(struct server_start *s)
{
    const char *name = s->vm->config->disk[s->number];
    enum archive_status status = archive_find(&s->init->archive, name, &s->disk);
    const char *problem = NULL;

    if (status != ARCHIVE_OK)
        problem = archive_status_text(status);
    else if (s->disk.length == 0 || s->disk.length % SECTOR_BYTES)
        problem = "it is not a whole number of sectors of 512 bytes";
    else if (s->disk.length > SERVICE_WINDOW - SERVICE_FILES)
        problem = "it is larger than 2 GiB";
    if (!problem)
        return NULL;
    snprintf(s->vm->reason, sizeof s->vm->reason, "its disk \"%s\": %s", name, problem);
    return s->vm->reason;
}

/* A radix that holds the fixed slots and one for each frame of the guest's RAM. */
static unsigned cnode_bits(const struct vm_config *config)
{
    uint64_t page = config->pages == VM_PAGES_SMALL ? PAGE_BYTES : LARGE_PAGE;
    uint64_t slots = SLOT_VIRTIO_FRAME + config->memory_bytes / page + 1;

    return 64u - (unsigned)__builtin_clzll(slots - 1);
}

static const char *make_server(struct server_start *s)
{
    struct archive_member program;
    enum archive_status status = archive_find(&s->init->archive, SERVER_PROGRAM, &program);
    char name[CONFIG_NAME_BYTES];
    const char *problem;

    snprintf(name, sizeof name, "virtio%u.%u", s->vm_index, s->number);
    if (status != ARCHIVE_OK)
        problem = archive_status_text(status);
    else if (!(problem = process_create(s->server, &s->init->resources, name, &program, cnode_bits(s->vm->config), 0)))
        return process_give_memory(s->server);
    snprintf(s->vm->reason, sizeof s->vm->reason, "the server of its disk (" SERVER_PROGRAM "): %s", problem);
    return s->vm->reason;
}

static const char *make_table(struct process *server, seL4_Word type, uint64_t address)
{
    seL4_CPtr table;
    seL4_Error error;
    const char *problem = pool_make(&server->pool, type, 0, &table);

    if (problem)
        return problem;
    if (type == seL4_X86_PDPTObject)
        error = seL4_X86_PDPT_Map(table, server->space.root, address, seL4_X86_Default_VMAttributes);
    else if (type == seL4_X86_PageDirectoryObject)
        error = seL4_X86_PageDirectory_Map(table, server->space.root, address, seL4_X86_Default_VMAttributes);
    else
        error = seL4_X86_PageTable_Map(table, server->space.root, address, seL4_X86_Default_VMAttributes);
    return error == seL4_NoError ? NULL : "the kernel mapped no paging structure";
}

static const char *make_tables_of(struct process *server, uint64_t start, uint64_t bytes, uint32_t pages)
{
    const char *problem = NULL;

    for (uint64_t done = 0; done < bytes && !problem; done += GIB)
        problem = make_table(server, seL4_X86_PageDirectoryObject, start + done);
    if (pages == VM_PAGES_SMALL)
        for (uint64_t done = 0; done < bytes && !problem; done += LARGE_PAGE)
            problem = make_table(server, seL4_X86_PageTableObject, start + done);
    return problem;
}

/* What the server needs to map the guest's RAM, and nothing else: it has no memory to make more of. */
static const char *make_tables(const struct server_start *s)
{
    const struct vm_config *config = s->vm->config;
    uint64_t low = config->memory_bytes < GUEST_LOW_RAM_BYTES ? config->memory_bytes : GUEST_LOW_RAM_BYTES;
    const char *problem;

    if ((problem = make_table(s->server, seL4_X86_PDPTObject, GUEST_RAM_BASE)) ||
        (problem = make_tables_of(s->server, GUEST_RAM_BASE, low, config->pages)))
        return problem;
    return make_tables_of(s->server, GUEST_RAM_BASE + GUEST_HIGH_RAM_START, config->memory_bytes - low, config->pages);
}

/* The disk that the guest will write to is a copy: the image stays as it was packed. */
static const char *copy_disk(const struct server_start *s)
{
    const char *problem = NULL;

    for (uint64_t offset = 0; offset < s->disk.length && !problem; offset += PAGE_BYTES) {
        const char *bytes = (const char *)s->disk.bytes + offset;
        uint64_t left = s->disk.length - offset;

        problem = address_space_fill_page(&s->server->space, SERVICE_FILES + offset, seL4_ReadWrite, bytes, 0,
                                          left < PAGE_BYTES ? left : PAGE_BYTES);
    }
    return problem;
}

/* Between server and monitor. The monitor may grant, which is how the guest's RAM comes over. */
static const char *connect(const struct server_start *s)
{
    const seL4_CapRights_t may_grant = seL4_CapRights_new(1, 1, 0, 1);
    struct process *monitor = &s->vm->monitor;
    seL4_CPtr endpoint;
    const char *problem;

    if ((problem = pool_make(&s->server->pool, seL4_EndpointObject, 0, &endpoint)) ||
        (problem = process_give(s->server, SLOT_VIRTIO_RECEIVE, endpoint, seL4_CanRead, 0)) ||
        (problem = process_give(monitor, SLOT_VM_VIRTIO_CALL + s->number, endpoint, may_grant, VIRTIO_CLIENT_BADGE)) ||
        (problem = process_give(monitor, SLOT_VM_VIRTIO_NOTIFY + s->number, s->server->notification, seL4_CanWrite,
                                NOTIFY_VIRTIO_QUEUE)))
        return problem;
    return process_give(s->server, SLOT_VIRTIO_INTERRUPT, monitor->notification, seL4_CanWrite,
                        (seL4_Word)NOTIFY_VIRTIO_INTERRUPT << s->number);
}

static const char *start_server(struct server_start *s)
{
    const unsigned device = s->vm_index * VM_VIRTIO_MAX + s->number;
    struct startup *startup = &s->server->startup;
    const char *problem;

    if ((problem = find_disk(s)) || (problem = make_server(s)) || (problem = make_tables(s)) ||
        (problem = copy_disk(s)) || (problem = connect(s)) || (problem = vm_choose_cpu(s->init, s->vm, s->server->tcb)))
        return problem;
    startup->role = ROLE_VIRTIO;
    startup->tsc_hz = s->init->machine.tsc_hz;
    startup->first_free_slot = SLOT_VIRTIO_FRAME;
    startup->virtio.memory_bytes = s->vm->config->memory_bytes;
    startup->virtio.pages = s->vm->config->pages;
    startup->virtio.number = s->number;
    startup->virtio.disk = (uint8_t *)SERVICE_FILES;
    startup->virtio.disk_bytes = s->disk.length;
    /* With the monitor's priority: what a guest lets its devices do is its own share of the CPU. */
    return process_start(s->server, s->init->endpoint, HV_BADGE(BADGE_FAULT_VIRTIO, device), s->vm->config->priority);
}

const char *virtio_start(struct init *init, unsigned vm_index)
{
    struct vm *vm = &init->vm[vm_index];
    const char *problem = NULL;

    for (unsigned i = 0; i < VM_DISKS_MAX && vm->config->disk[i][0] && !problem; i++) {
        struct server_start s = {
            .init = init, .vm = vm, .vm_index = vm_index, .number = i, .server = &vm->virtio[i],
        };
        problem = start_server(&s);
    }
    return problem;
}

void virtio_end(struct vm *vm)
{
    for (unsigned i = 0; i < VM_DISKS_MAX; i++)
        process_destroy(&vm->virtio[i]);
}
