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
#define HPET_PIN        2u
#define PAGE_BYTES      (1ul << seL4_PageBits)

#define KEYBOARD_DATA_PORT    0x60u
#define KEYBOARD_COMMAND_PORT 0x64u
#define KEYBOARD_IRQ          1u
#define VGA_FIRST_PORT        0x3c0u
#define VGA_LAST_PORT         0x3dfu
#define VGA_TEXT              0xb8000u

#define SERVICE_CNODE_BITS 8u

/* A service that ends so often in a row, each time within a second, will not do better the next time. */
#define EARLY_ENDS_MAX 5u

struct service_kind {
    const char *name; /* of the program in the archive as well */
    enum service_role role;
    unsigned client, priority;
    const char *(*prepare)(struct init *init, struct process *process);
    void (*started)(struct init *init);
    void (*ended)(struct init *init); /* before it is destroyed */
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
    const char *problem = give_device(init, process, COM1_FIRST_PORT, COM1_LAST_PORT, SLOT_LOG_SERIAL_PORTS, COM1_IRQ,
                                      SLOT_LOG_SERIAL_IRQ);

    return problem ? problem : log_clients_serve(&init->log, process);
}

static void logserver_started(struct init *init)
{
    const char *problem = log_clients_use(&init->log);

    if (problem)
        log_printf("logserver cannot print init's lines: %s", problem);
}

static void logserver_ended(struct init *init)
{
    init->log.logserver = NULL;
    log_clients_stop_using(&init->log);
}

/* The HPET takes the PIT's interrupt, as the second pin of a PC's first I/O APIC has it. */
static const char *give_hpet(struct init *init, struct process *process)
{
    const uint64_t place = SERVICE_STARTUP + 3 * PAGE_BYTES;
    seL4_CPtr frame;
    const char *problem;

    if (init->machine.hpet == 0 || init->machine.route[PIT_IRQ].pin != HPET_PIN)
        return NULL;
    if ((problem = pool_take_device(&process->pool, init->machine.hpet, &frame)) ||
        (problem = address_space_share_page(&process->space, place, frame, seL4_ReadWrite)))
        return problem;
    process->startup.timeserver.hpet = (void *)place;
    return NULL;
}

static const char *prepare_timeserver(struct init *init, struct process *process)
{
    const char *problem;

    if (init->machine.tsc_hz == 0)
        return "the kernel does not know how fast the time-stamp counter runs";
    if ((problem = give_device(init, process, PIT_FIRST_PORT, PIT_LAST_PORT, SLOT_TIME_PIT_PORTS, PIT_IRQ,
                               SLOT_TIME_IRQ)) ||
        (problem = give_hpet(init, process)) || (problem = time_clients_serve(&init->time, process)))
        return problem;
    return init->service[SERVICE_LOG].runs ? log_clients_attach(&init->log, CLIENT_TIMESERVER, process) : NULL;
}

/* What others asked the old one for, the new one does not know. A monitor that was waiting for an answer gets none: it is
 * stopped for a moment, after which it asks again. One that only starts has asked for nothing. */
static void timeserver_started(struct init *init)
{
    if (init->service[SERVICE_TIME].starts == 1)
        return;
    for (unsigned i = 0; i < init->vm_count; i++)
        if (init->vm[i].state == VM_RUNNING && !init->vm[i].paused && vm_pause(init, i))
            vm_resume(init, i);
    time_clients_tell(&init->time);
}

static void timeserver_ended(struct init *init)
{
    init->time.timeserver = NULL;
}

/* Ports of its own in a slot of the process's. */
static const char *give_ports(struct process *process, unsigned first, unsigned last, unsigned slot)
{
    seL4_CPtr ports;
    const char *problem = machine_ports(&process->pool, first, last, &ports);

    return problem ? problem : process_give(process, slot, ports, seL4_AllRights, 0);
}

static const char *prepare_screenserver(struct init *init, struct process *process)
{
    const uint64_t place = SERVICE_STARTUP + 2 * PAGE_BYTES;
    seL4_CPtr frame;
    const char *problem;

    if (!init->service[SERVICE_LOG].runs)
        return "it has nothing to show without logserver";
    if ((problem = give_device(init, process, KEYBOARD_DATA_PORT, KEYBOARD_DATA_PORT, SLOT_SCREEN_KEYBOARD_DATA,
                               KEYBOARD_IRQ, SLOT_SCREEN_KEYBOARD_IRQ)) ||
        (problem = give_ports(process, KEYBOARD_COMMAND_PORT, KEYBOARD_COMMAND_PORT, SLOT_SCREEN_KEYBOARD_COMMAND)) ||
        (problem = give_ports(process, VGA_FIRST_PORT, VGA_LAST_PORT, SLOT_SCREEN_VGA_PORTS)) ||
        (problem = log_clients_attach(&init->log, CLIENT_SCREEN, process)) ||
        (problem = pool_take_device(&process->pool, VGA_TEXT, &frame)) ||
        (problem = address_space_share_page(&process->space, place, frame, seL4_ReadWrite)))
        return problem;
    process->startup.screenserver.vga = (void *)place;
    return NULL;
}

static void screenserver_started(struct init *init)
{
    log_clients_set_console(&init->log, CLIENT_SCREEN, true);
}

static void screenserver_ended(struct init *init)
{
    log_clients_set_console(&init->log, CLIENT_SCREEN, false);
    log_clients_detach(&init->log, CLIENT_SCREEN);
}

static const char *prepare_dbgserver(struct init *init, struct process *process)
{
    const char *problem;

    if (!init->service[SERVICE_LOG].runs)
        return "it has no console without logserver";
    if ((problem = log_clients_attach(&init->log, CLIENT_DEBUG, process)) ||
        (problem = time_clients_add(&init->time, CLIENT_DEBUG, process)))
        return problem;
    return process_give(process, SLOT_HYPERVISOR, init->endpoint, seL4_CapRights_new(1, 0, 0, 1),
                        HV_BADGE(BADGE_SERVICE, CLIENT_DEBUG));
}

static void dbgserver_started(struct init *init)
{
    log_clients_set_console(&init->log, CLIENT_DEBUG, true);
}

static void dbgserver_ended(struct init *init)
{
    time_clients_remove(&init->time, CLIENT_DEBUG);
    log_clients_detach(&init->log, CLIENT_DEBUG);
}

static const struct service_kind kinds[SERVICE_COUNT] = {
    [SERVICE_LOG] = { "logserver", ROLE_LOG, CLIENT_LOGSERVER, PRIORITY_LOGSERVER, prepare_logserver,
                      logserver_started, logserver_ended },
    [SERVICE_TIME] = { "timeserver", ROLE_TIME, CLIENT_TIMESERVER, PRIORITY_TIMESERVER, prepare_timeserver,
                       timeserver_started, timeserver_ended },
    [SERVICE_SCREEN] = { "screenserver", ROLE_SCREEN, CLIENT_SCREEN, PRIORITY_SCREENSERVER, prepare_screenserver,
                         screenserver_started, screenserver_ended },
    [SERVICE_DEBUG] = { "dbgserver", ROLE_DEBUG, CLIENT_DEBUG, PRIORITY_DBGSERVER, prepare_dbgserver,
                        dbgserver_started, dbgserver_ended },
};

/* What services have that come and go: their notifications, so that what others hold of them stays good. */
static seL4_CPtr lasting_notification(const struct init *init, enum service_id id)
{
    return id == SERVICE_LOG ? init->log.notification : id == SERVICE_TIME ? init->time.notification : seL4_CapNull;
}

static const char *start(struct init *init, enum service_id id)
{
    const struct service_kind *kind = &kinds[id];
    struct process *process = &init->service[id].process;
    struct archive_member program;
    enum archive_status status = archive_find(&init->archive, kind->name, &program);
    const char *problem;

    if (status != ARCHIVE_OK)
        return archive_status_text(status);
    if ((problem = process_create_with(process, &init->resources, kind->name, &program, SERVICE_CNODE_BITS, 0,
                                       lasting_notification(init, id))))
        return problem;
    process->startup.role = kind->role;
    process->startup.index = kind->client;
    process->startup.tsc_hz = init->machine.tsc_hz;
    process->startup.wall_clock_seconds = init->machine.wall_clock_seconds;
    process->startup.wall_clock_tsc = init->machine.wall_clock_tsc;
    if ((problem = kind->prepare(init, process)))
        return problem;
    return process_start(process, init->endpoint, HV_BADGE(BADGE_FAULT_SERVICE, kind->client), kind->priority);
}

/* The service stands still. What it had is free again. */
static void end(struct init *init, enum service_id id)
{
    struct service *service = &init->service[id];

    service->runs = false;
    process_suspend(&service->process);
    if (service->process.exists && kinds[id].ended)
        kinds[id].ended(init);
    process_destroy(&service->process);
}

/* False: it does not run, which has been reported. */
static bool try_to_start(struct init *init, enum service_id id)
{
    struct service *service = &init->service[id];
    const char *problem = start(init, id);

    if (problem) {
        log_printf("%s not started: %s", kinds[id].name, problem);
        end(init, id);
        return false;
    }
    service->runs = true;
    service->starts++;
    service->started_tsc = __builtin_ia32_rdtsc();
    if (kinds[id].started)
        kinds[id].started(init);
    log_printf("%s started, %lu KiB", kinds[id].name, service->process.pool.bytes / 1024);
    return true;
}

/* What outlives the services. */
static const char *open_clients(struct init *init)
{
    char name[CONFIG_NAME_BYTES];
    const char *problem;

    pool_open(&init->lasting, &init->resources);
    if ((problem = time_clients_open(&init->time, &init->lasting)) ||
        (problem = log_clients_open(&init->log, &init->lasting)) ||
        (problem = log_clients_add(&init->log, CLIENT_INIT, "init", false)) ||
        (problem = log_clients_add(&init->log, CLIENT_TIMESERVER, services_name(SERVICE_TIME), false)) ||
        (problem = log_clients_add(&init->log, CLIENT_DEBUG, services_name(SERVICE_DEBUG), true)) ||
        (problem = log_clients_add(&init->log, CLIENT_SCREEN, services_name(SERVICE_SCREEN), true)))
        return problem;
    for (unsigned i = 0; i < init->vm_count && !problem; i++) {
        snprintf(name, sizeof name, "vmm%u", i);
        problem = log_clients_add(&init->log, CLIENT_FIRST_VM + i, name, true);
    }
    return problem;
}

void services_start(struct init *init)
{
    const char *problem = open_clients(init);

    if (problem)
        panic("what the services share cannot be made: %s", problem);
    for (enum service_id id = 0; id < SERVICE_COUNT; id++)
        try_to_start(init, id);
}

const char *services_name(enum service_id id)
{
    return kinds[id].name;
}

unsigned services_client(enum service_id id)
{
    return kinds[id].client;
}

static void start_again(struct init *init, enum service_id id)
{
    end(init, id);
    print_totals(init);
    if (!try_to_start(init, id) && id == SERVICE_DEBUG)
        log_clients_set_console(&init->log, CLIENT_DEBUG, false);
}

void services_restart(struct init *init, enum service_id id)
{
    log_printf("%s killed; it starts again", kinds[id].name);
    start_again(init, id);
}

void services_faulted(struct init *init, unsigned client, const char *text)
{
    for (enum service_id id = 0; id < SERVICE_COUNT; id++) {
        struct service *service = &init->service[id];

        if (kinds[id].client != client || !service->runs)
            continue;
        bool early = __builtin_ia32_rdtsc() - service->started_tsc < init->machine.tsc_hz;
        service->early_ends = early ? service->early_ends + 1 : 0;
        if (service->early_ends < EARLY_ENDS_MAX) {
            log_printf("%s faulted and starts again: %s", kinds[id].name, text);
            start_again(init, id);
            return;
        }
        end(init, id);
        if (id == SERVICE_DEBUG)
            log_clients_set_console(&init->log, client, false);
        log_printf("%s faulted and is stopped: %s", kinds[id].name, text);
        return;
    }
}
