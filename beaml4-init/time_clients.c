#include "beaml4-init/time_clients.h"

#include "runtime/runtime.h"

#define PAGE_BYTES    (1ul << seL4_PageBits)
#define TABLE_ADDRESS (SERVICE_STARTUP + PAGE_BYTES)
#define ROOMS_BYTES   (TIME_CLIENTS * TIME_ROOM_MAX_BYTES)
#define TABLE_SPAN    (UINT64_C(1) << (seL4_PageBits + 9)) /* of a page table */

/* timeserver runs at once where it can, being above init. One that does not answer within this, which is far more than
 * it takes to forget a full room, is dead or has been stopped; should it touch the client's memory later, it faults and
 * is made anew. */
#define ANSWER_TRIES 1000000u

_Static_assert(sizeof(struct time_table) <= PAGE_BYTES, "the table is one page");
_Static_assert(TIME_ROOM_BASE % TABLE_SPAN == 0 && ROOMS_BYTES % TABLE_SPAN == 0, "whole page tables");
_Static_assert(TIME_ROOM_BASE >= SERVICE_WINDOW && TIME_ROOM_BASE + ROOMS_BYTES <= SERVICE_WINDOW_END, "in the window");

static uint64_t room_address(unsigned client, unsigned page)
{
    return TIME_ROOM_BASE + client * TIME_ROOM_MAX_BYTES + page * PAGE_BYTES;
}

const char *time_clients_open(struct time_clients *time, struct pool *pool)
{
    void *table;
    const char *problem;

    *time = (struct time_clients) { .timeserver = NULL };
    if ((problem = pool_make(pool, seL4_EndpointObject, 0, &time->endpoint)) ||
        (problem = pool_make(pool, seL4_NotificationObject, 0, &time->notification)) ||
        (problem = pool_make(pool, seL4_X86_4K, 0, &time->table_frame)) ||
        (problem = pool_take_slot(pool, &time->table_notify)) ||
        (problem = resources_map_page(pool->resources, time->table_frame, seL4_ReadWrite, &table)))
        return problem;
    time->table = table;
    if (seL4_CNode_Mint(INIT_CNODE, time->table_notify, INIT_DEPTH, INIT_CNODE, time->notification, INIT_DEPTH,
                        seL4_CanWrite, NOTIFY_TIME_TABLE) != seL4_NoError)
        return "the kernel refused to copy a capability";
    return NULL;
}

/* The tables for all rooms, so that later a room takes nothing but its frames. */
static const char *make_tables(struct process *timeserver)
{
    seL4_CPtr table;
    const char *problem = pool_make(&timeserver->pool, seL4_X86_PageDirectoryObject, 0, &table);

    if (problem)
        return problem;
    if (seL4_X86_PageDirectory_Map(table, timeserver->space.root, TIME_ROOM_BASE, seL4_X86_Default_VMAttributes) !=
        seL4_NoError)
        return "the kernel mapped no paging structure";
    for (uint64_t done = 0; done < ROOMS_BYTES; done += TABLE_SPAN) {
        if ((problem = pool_make(&timeserver->pool, seL4_X86_PageTableObject, 0, &table)))
            return problem;
        if (seL4_X86_PageTable_Map(table, timeserver->space.root, TIME_ROOM_BASE + done,
                                   seL4_X86_Default_VMAttributes) != seL4_NoError)
            return "the kernel mapped no paging structure";
    }
    return NULL;
}

static bool map_room_page(const struct time_clients *time, unsigned client, unsigned page)
{
    return seL4_X86_Page_Map(time->client[client].room[page], time->timeserver->space.root, room_address(client, page),
                             seL4_ReadWrite, seL4_X86_Default_VMAttributes) == seL4_NoError;
}

static const char *give_notify(const struct time_clients *time, unsigned client)
{
    return process_give(time->timeserver, SLOT_TIME_CLIENT_NOTIFY + client, time->client[client].process->notification,
                        seL4_CanWrite, NOTIFY_TIMER);
}

const char *time_clients_serve(struct time_clients *time, struct process *timeserver)
{
    const char *problem;

    time->timeserver = timeserver;
    timeserver->startup.timeserver.table = (struct time_table *)TABLE_ADDRESS;
    if ((problem = process_give(timeserver, SLOT_TIME_RECEIVE, time->endpoint, seL4_CanRead, 0)) ||
        (problem = process_give(timeserver, SLOT_STATIC_CNODE, timeserver->static_cnode, seL4_AllRights,
                                process_guard(timeserver))) ||
        (problem = address_space_share_page(&timeserver->space, TABLE_ADDRESS, time->table_frame, seL4_ReadWrite)) ||
        (problem = make_tables(timeserver)))
        return problem;
    for (unsigned i = 0; i < TIME_CLIENTS && !problem; i++) {
        if (!time->client[i].process)
            continue;
        problem = give_notify(time, i);
        for (unsigned page = 0; page < time->client[i].pages && !problem; page++) {
            seL4_X86_Page_Unmap(time->client[i].room[page]);
            if (!map_room_page(time, i, page))
                problem = "the kernel mapped no room for timers";
        }
    }
    return problem;
}

const char *time_clients_add(struct time_clients *time, unsigned client, struct process *process)
{
    const seL4_CapRights_t may_call_and_grant = seL4_CapRights_new(1, 1, 0, 1);
    struct pool *pool = &process->pool;
    const char *problem;

    if ((problem = process_give(process, SLOT_TIME, time->endpoint, may_call_and_grant, TIME_CLIENT_BADGE | client)) ||
        (problem = pool_take_slot(pool, &time->client[client].notify)))
        return problem;
    if (seL4_CNode_Mint(INIT_CNODE, time->client[client].notify, INIT_DEPTH, INIT_CNODE, process->notification,
                        INIT_DEPTH, seL4_CanWrite, NOTIFY_TIMER | NOTIFY_TIME_LOST) != seL4_NoError)
        return "the kernel refused to copy a capability";
    time->client[client].process = process;
    return time->timeserver ? give_notify(time, client) : NULL;
}

const char *time_clients_grow(struct time_clients *time, unsigned client, struct pool *pool)
{
    unsigned *pages = &time->client[client].pages, goal = *pages + (unsigned)(TIME_ROOM_BYTES / PAGE_BYTES);
    const char *problem;

    if (goal > TIME_ROOM_PAGES)
        return "it has as much room for timers as there is for one client";
    while (*pages < goal) {
        if ((problem = pool_make(pool, seL4_X86_4K, 0, &time->client[client].room[*pages])))
            return problem;
        if (!map_room_page(time, client, *pages))
            return "the kernel mapped no room for timers";
        ++*pages;
    }
    atomic_store_explicit(&time->table->client[client].room_bytes, (uint32_t)(*pages * PAGE_BYTES),
                          memory_order_release);
    return NULL;
}

void time_clients_remove(struct time_clients *time, unsigned client)
{
    if (!time->client[client].process)
        return;
    bool has_room = time->client[client].pages > 0;
    time->client[client].process = NULL;
    time->client[client].pages = 0;
    atomic_store_explicit(&time->table->client[client].room_bytes, 0, memory_order_relaxed);
    uint32_t generation = atomic_fetch_add_explicit(&time->table->client[client].generation, 1, memory_order_release);
    seL4_Signal(time->table_notify);
    for (unsigned i = 0; i < ANSWER_TRIES && has_room; i++)
        if (atomic_load_explicit(&time->table->client[client].acknowledged, memory_order_acquire) == generation + 1)
            return;
}

void time_clients_tell(struct time_clients *time)
{
    for (unsigned i = 0; i < TIME_CLIENTS; i++)
        if (time->client[i].process)
            seL4_Signal(time->client[i].notify);
}
