#include "beaml4-init/log_clients.h"

#include "runtime/runtime.h"

#include <string.h>

#define PAGE_BYTES (1ul << seL4_PageBits)

_Static_assert(sizeof(struct log_table) <= PAGE_BYTES, "the table is one page");

/* In a client's address space. */
static struct byte_ring *client_address(enum log_ring which)
{
    return (struct byte_ring *)(SERVICE_RINGS + which * 2 * PAGE_BYTES);
}

/* In logserver's. */
static struct byte_ring *server_address(unsigned client, enum log_ring which)
{
    return (struct byte_ring *)(SERVICE_RINGS + (client * RING_COUNT + which) * 2 * PAGE_BYTES);
}

_Static_assert(SERVICE_RINGS + LOG_MAX_CLIENTS * RING_COUNT * 2 * PAGE_BYTES <= SERVICE_STARTUP,
               "there is room for all rings");

const char *log_clients_open(struct log_clients *log, struct pool *pool)
{
    void *table;
    const char *problem;

    *log = (struct log_clients) { .pool = pool };
    if ((problem = pool_make(pool, seL4_NotificationObject, 0, &log->notification)) ||
        (problem = pool_take_slot(pool, &log->notify)) ||
        (problem = pool_make(pool, seL4_X86_4K, 0, &log->table_frame)) ||
        (problem = resources_map_page(pool->resources, log->table_frame, seL4_ReadWrite, &table)))
        return problem;
    if (seL4_CNode_Mint(INIT_CNODE, log->notify, INIT_DEPTH, INIT_CNODE, log->notification, INIT_DEPTH, seL4_CanWrite,
                        NOTIFY_LOG_RING) != seL4_NoError)
        return "the kernel refused to copy a capability";
    log->table = table;
    log->table->only = LOG_OF_ALL;
    return NULL;
}

const char *log_clients_add(struct log_clients *log, unsigned client, const char *name, bool console)
{
    struct log_client *entry = &log->table->client[client];
    const char *problem;

    for (unsigned which = RING_LOG; which < (console ? RING_COUNT : RING_CONSOLE_OUTPUT); which++)
        if ((problem = pool_make(log->pool, seL4_X86_4K, 0, &log->ring[client][which])))
            return problem;
    strncpy(entry->name, name, sizeof entry->name - 1);
    entry->log = server_address(client, RING_LOG);
    if (console)
        entry->console_output = server_address(client, RING_CONSOLE_OUTPUT);
    return NULL;
}

static const char *give_notify(const struct log_clients *log, unsigned client)
{
    return process_give(log->logserver, SLOT_LOG_CLIENT_NOTIFY + client, log->client[client]->notification,
                        seL4_CanWrite, NOTIFY_CONSOLE_INPUT);
}

const char *log_clients_serve(struct log_clients *log, struct process *logserver)
{
    const uint64_t place = SERVICE_STARTUP + PAGE_BYTES;
    const char *problem = address_space_share_page(&logserver->space, place, log->table_frame, seL4_CanRead);

    log->logserver = logserver;
    logserver->startup.logserver.table = (const struct log_table *)place;
    logserver->startup.logserver.shell = CLIENT_DEBUG;
    logserver->startup.logserver.screen = CLIENT_SCREEN;
    for (unsigned client = 0; client < LOG_MAX_CLIENTS && !problem; client++) {
        for (unsigned which = RING_LOG; which < RING_COUNT && !problem; which++)
            if (log->ring[client][which] != seL4_CapNull)
                problem = address_space_share_page(&logserver->space, (uint64_t)server_address(client, which),
                                                   log->ring[client][which], seL4_ReadWrite);
        if (!problem && log->client[client])
            problem = give_notify(log, client);
    }
    return problem;
}

const char *log_clients_use(struct log_clients *log)
{
    void *ring;
    const char *problem;

    if (!log->own) {
        if ((problem = resources_map_page(log->pool->resources, log->ring[CLIENT_INIT][RING_LOG], seL4_ReadWrite, &ring)))
            return problem;
        log->own = ring;
    }
    log_use("init", log->own, log->notify);
    return NULL;
}

void log_clients_stop_using(struct log_clients *log)
{
    struct byte_ring *ring = log->own;
    bool line_begins = true;
    char c;

    log_use("init", NULL, seL4_CapNull);
    if (!ring)
        return;
    while (ring_read(ring, &c, 1) == 1) {
        if (line_begins)
            seL4_DebugPutString("[init] ");
        seL4_DebugPutChar(c);
        line_begins = c == '\n';
    }
}

const char *log_clients_attach(struct log_clients *log, unsigned client, struct process *process)
{
    bool console = log->ring[client][RING_CONSOLE_OUTPUT] != seL4_CapNull;
    const char *problem;

    for (unsigned which = RING_LOG; which < (console ? RING_COUNT : RING_CONSOLE_OUTPUT); which++)
        if ((problem = address_space_share_page(&process->space, (uint64_t)client_address(which),
                                                log->ring[client][which], seL4_ReadWrite)))
            return problem;
    process->startup.index = client;
    process->startup.log = client_address(RING_LOG);
    if ((problem = process_give(process, SLOT_LOG_NOTIFY, log->notify, seL4_CanWrite, 0)) || !console)
        return problem;
    process->startup.console_output = client_address(RING_CONSOLE_OUTPUT);
    process->startup.console_input = client_address(RING_CONSOLE_INPUT);
    log->client[client] = process;
    return log->logserver ? give_notify(log, client) : NULL;
}

void log_clients_detach(struct log_clients *log, unsigned client)
{
    log->client[client] = NULL;
}

void log_clients_set_console(struct log_clients *log, unsigned client, bool runs)
{
    struct byte_ring *ring = runs ? server_address(client, RING_CONSOLE_INPUT) : NULL;

    if (!log->table)
        return;
    /* logserver reads the table at any time. */
    __atomic_store_n(&log->table->client[client].console_input, ring, __ATOMIC_RELEASE);
    seL4_Signal(log->notify);
}

void log_clients_attach_terminal(struct log_clients *log, unsigned client)
{
    if (!log->table)
        return;
    __atomic_store_n(&log->table->attach, client, __ATOMIC_RELAXED);
    __atomic_fetch_add(&log->table->attach_count, 1, __ATOMIC_RELEASE);
    seL4_Signal(log->notify);
}

void log_clients_show_log(struct log_clients *log, unsigned client, enum debug_follow follow)
{
    if (!log->table)
        return;
    if (follow != DEBUG_SHOW_ONCE)
        __atomic_store_n(&log->table->only, follow == DEBUG_FOLLOW ? client : LOG_OF_ALL, __ATOMIC_RELAXED);
    if (follow == DEBUG_FOLLOW_NO_MORE) {
        seL4_Signal(log->notify);
        return;
    }
    __atomic_store_n(&log->table->show, client, __ATOMIC_RELAXED);
    __atomic_fetch_add(&log->table->show_count, 1, __ATOMIC_RELEASE);
    seL4_Signal(log->notify);
}
