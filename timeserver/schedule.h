/* Which timer is due when: all clients' timers in one tree, ordered by deadline. Starting, stopping and expiring one take
 * O(log n). Pure.
 *
 * A client's own timer is always there. Further ones lie in the client's room, memory that the caller provides and
 * takes back, and are named by tokens: the place in the room, and a number that no other timer has had.
 */
#pragma once

#include "ipc/time.h"

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule_timer {
    RB_ENTRY(schedule_timer) entry;
    uint64_t deadline;
    uint64_t number; /* ascending in the order of starting, so that no two timers are equal; 0: not started */
    uint32_t client;
    uint32_t signal;
    struct schedule_timer *next_free;
};

RB_HEAD(schedule_tree, schedule_timer);

struct schedule {
    struct schedule_tree tree;
    uint64_t last_number;
    struct {
        struct schedule_timer own;
        struct schedule_timer *room; /* NULL: none */
        size_t places;               /* of ROOM, */
        size_t touched;              /* of those, from the first on, that have been used; the others' bytes are anything */
        struct schedule_timer *free; /* touched ones without a timer */
    } client[TIME_CLIENTS];
};

void schedule_init(struct schedule *schedule);

/* Sets a client's own timer; CLIENT is below TIME_CLIENTS here as everywhere. */
void schedule_arm(struct schedule *schedule, unsigned client, uint64_t deadline);
void schedule_cancel(struct schedule *schedule, unsigned client);

/* CLIENT's room is BYTES bytes at MEMORY from now on: at the same place as before, and no smaller. */
void schedule_set_room(struct schedule *schedule, unsigned client, void *memory, size_t bytes);

/* Starts a timer in CLIENT's room; false: the room is full. */
bool schedule_start(struct schedule *schedule, unsigned client, uint64_t deadline, unsigned signal,
                    struct time_token *token);

/* Stops one of CLIENT's; false: no timer of CLIENT's has this token. */
bool schedule_stop(struct schedule *schedule, unsigned client, const struct time_token *token);

/* Stops all of CLIENT's and gives its room back to the caller. */
void schedule_forget(struct schedule *schedule, unsigned client);

/* Takes out the earliest timer that is due at NOW; false when there is none. */
bool schedule_take_due(struct schedule *schedule, uint64_t now, unsigned *client, unsigned *signal);

/* The earliest deadline; false when there is none. */
bool schedule_next(struct schedule *schedule, uint64_t *deadline);
