/* The services that there is one of each: what they are given, and how they start. */
#include "beaml4-init/init.h"

#include "ipc/hypervisor.h"
#include "ipc/time.h"
#include "runtime/runtime.h"

#include <stdio.h>

#define COM1_FIRST_PORT 0x3f8u
#define COM1_LAST_PORT  0x3ffu
#define COM1_IRQ        4u
#define PIT_FIRST_PORT  0x40u
#define PIT_LAST_PORT   0x43u
#define PIT_IRQ         0u

#define SERVICE_CNODE_BITS 8u

struct service_kind {
    const char *name; /* of the program in the archive as well */
    enum service_role role;
    unsigned client, priority;
    const char *(*prepare)(struct init *init, struct process *process);
    void (*started)(struct init *init);
};

/* I/O ports and an interrupt, in these two slots. */
static const char *give_device(struct init *init, struct process *process, unsigned first_port, unsigned last_port,
                               unsigned port_slot, unsigned irq, unsigned irq_slot)
{
    struct pool *pool = &process->pool;
    seL4_CPtr ports, badged, handler;
    const char *problem;

    if ((problem = machine_ports(pool, first_port, last_port, &ports)) ||
        (problem = process_give(process, port_slot, ports, seL4_AllRights, 0)) ||
        (problem = pool_take_slot(pool, &badged)))
        return problem;
    if (seL4_CNode_Mint(INIT_CNODE, badged, INIT_DEPTH, INIT_CNODE, process->notification, INIT_DEPTH, seL4_CanWrite,
                        NOTIFY_IRQ) != seL4_NoError)
        return "the kernel refused to copy a capability";
    if ((problem = machine_irq(&init->machine, pool, irq, badged, &handler)))
        return problem;
    return process_give(process, irq_slot, handler, seL4_AllRights, 0);
}

static const char *prepare_logserver(struct init *init, struct process *process)
{
    char name[CONFIG_NAME_BYTES];
    const char *problem;

    if ((problem = give_device(init, process, COM1_FIRST_PORT, COM1_LAST_PORT, SLOT_LOG_SERIAL_PORTS, COM1_IRQ,
                               SLOT_LOG_SERIAL_IRQ)) ||
        (problem = log_clients_open(&init->log, process)) ||
        (problem = log_clients_add(&init->log, CLIENT_INIT, "init", false)) ||
        (problem = log_clients_add(&init->log, CLIENT_TIMESERVER, services_name(CLIENT_TIMESERVER), false)) ||
        (problem = log_clients_add(&init->log, CLIENT_DEBUG, "dbgserver", true)))
        return problem;
    for (unsigned i = 0; i < init->vm_count && !problem; i++) {
        snprintf(name, sizeof name, "vmm%u", i);
        problem = log_clients_add(&init->log, CLIENT_FIRST_VM + i, name, true);
    }
    return problem;
}

static void logserver_started(struct init *init)
{
    const char *problem = log_clients_use(&init->log);

    if (problem)
        log_printf("logserver cannot print init's lines: %s", problem);
}

static const char *prepare_timeserver(struct init *init, struct process *process)
{
    const char *problem;

    if (init->machine.tsc_hz == 0)
        return "the kernel does not know how fast the time-stamp counter runs";
    if ((problem = give_device(init, process, PIT_FIRST_PORT, PIT_LAST_PORT, SLOT_TIME_PIT_PORTS, PIT_IRQ,
                               SLOT_TIME_PIT_IRQ)) ||
        (problem = pool_make(&process->pool, seL4_EndpointObject, 0, &init->time_endpoint)) ||
        (problem = process_give(process, SLOT_TIME_RECEIVE, init->time_endpoint, seL4_CanRead, 0)))
        return problem;
    return init->service[SERVICE_LOG].runs ? log_clients_attach(&init->log, CLIENT_TIMESERVER, process) : NULL;
}

static const struct service_kind kinds[SERVICE_COUNT] = {
    [SERVICE_LOG] = { "logserver", ROLE_LOG, CLIENT_LOGSERVER, PRIORITY_LOGSERVER, prepare_logserver,
                      logserver_started },
    [SERVICE_TIME] = { "timeserver", ROLE_TIME, CLIENT_TIMESERVER, PRIORITY_TIMESERVER, prepare_timeserver, NULL },
};

static const char *start(struct init *init, enum service_id id)
{
    const struct service_kind *kind = &kinds[id];
    struct process *process = &init->service[id].process;
    struct archive_member program;
    enum archive_status status = archive_find(&init->archive, kind->name, &program);
    const char *problem;

    if (status != ARCHIVE_OK)
        return archive_status_text(status);
    if ((problem = process_create(process, &init->resources, kind->name, &program, SERVICE_CNODE_BITS, 0)))
        return problem;
    process->startup.role = kind->role;
    process->startup.index = kind->client;
    process->startup.tsc_hz = init->machine.tsc_hz;
    if ((problem = kind->prepare(init, process)))
        return problem;
    return process_start(process, init->endpoint, HV_BADGE(BADGE_FAULT_SERVICE, kind->client), kind->priority);
}

void services_start(struct init *init)
{
    for (enum service_id id = 0; id < SERVICE_COUNT; id++) {
        const char *problem = start(init, id);
        if (problem) {
            log_printf("%s not started: %s", kinds[id].name, problem);
            process_destroy(&init->service[id].process);
            continue;
        }
        init->service[id].runs = true;
        if (kinds[id].started)
            kinds[id].started(init);
        log_printf("%s started, %lu KiB", kinds[id].name, init->service[id].process.pool.bytes / 1024);
    }
}

const char *services_name(unsigned client)
{
    for (enum service_id id = 0; id < SERVICE_COUNT; id++)
        if (kinds[id].client == client)
            return kinds[id].name;
    return NULL;
}

void services_faulted(struct init *init, unsigned client, const char *text)
{
    for (enum service_id id = 0; id < SERVICE_COUNT; id++) {
        if (kinds[id].client != client || !init->service[id].runs)
            continue;
        init->service[id].runs = false;
        /* Its memory stays: rings and endpoints of others lie in it. */
        if (id == SERVICE_LOG)
            log_clients_stop_using(&init->log);
        log_printf("%s faulted and is stopped: %s", kinds[id].name, text);
    }
}
