/* What timeserver's clients have there: the right to ask, a notification that is signalled, room for timers, and a
 * table by which timeserver learns who has ended. All of it outlives a timeserver that dies. Functions answer NULL or
 * why they failed.
 */
#pragma once

#include "beaml4-init/process.h"
#include "ipc/time.h"

#define TIME_ROOM_PAGES (TIME_ROOM_MAX_BYTES >> seL4_PageBits)

struct time_clients {
    struct process *timeserver;
    seL4_CPtr endpoint, notification; /* timeserver's */
    struct time_table *table;         /* in init's window, */
    seL4_CPtr table_frame, table_notify;
    struct {
        const struct process *process; /* NULL: no one */
        seL4_CPtr notify;              /* tells it that timeserver is a new one */
        seL4_CPtr room[TIME_ROOM_PAGES]; /* frames, of the client's memory */
        unsigned pages;
    } client[TIME_CLIENTS];
};

/* What lasts, out of POOL. */
const char *time_clients_open(struct time_clients *time, struct pool *pool);

/* Gives a timeserver that is created, not started, what is its: endpoint, table, and what its clients have got. */
const char *time_clients_serve(struct time_clients *time, struct process *timeserver);

/* Lets a process that is not started be CLIENT. */
const char *time_clients_add(struct time_clients *time, unsigned client, struct process *process);

/* One more piece of room for CLIENT, out of its own POOL. */
const char *time_clients_grow(struct time_clients *time, unsigned client, struct pool *pool);

/* CLIENT is about to be destroyed. Waits, not for long, until timeserver uses nothing of its memory any more. */
void time_clients_remove(struct time_clients *time, unsigned client);

/* Tells all clients that timeserver is a new one. */
void time_clients_tell(struct time_clients *time);
