#include "timeserver/schedule.h"

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare(const struct schedule_timer *a, const struct schedule_timer *b)
{
    int by_deadline = compare_numbers(a->deadline, b->deadline);

    return by_deadline ? by_deadline : compare_numbers(a->number, b->number);
}

/* Not all of the functions that this defines are used here. */
RB_GENERATE_INTERNAL(schedule_tree, schedule_timer, entry, compare, __attribute__((unused)) static)

void schedule_init(struct schedule *schedule)
{
    *schedule = (struct schedule) { .last_number = 0 };
    RB_INIT(&schedule->tree);
    for (uint32_t i = 0; i < TIME_CLIENTS; i++)
        schedule->client[i].own.client = i;
}

static void insert(struct schedule *schedule, struct schedule_timer *timer, uint64_t deadline)
{
    timer->deadline = deadline;
    timer->number = ++schedule->last_number;
    RB_INSERT(schedule_tree, &schedule->tree, timer);
}

/* Out of the tree; a place in a room is free again. */
static void take_out(struct schedule *schedule, struct schedule_timer *timer)
{
    RB_REMOVE(schedule_tree, &schedule->tree, timer);
    timer->number = 0;
    if (timer == &schedule->client[timer->client].own)
        return;
    timer->next_free = schedule->client[timer->client].free;
    schedule->client[timer->client].free = timer;
}

void schedule_cancel(struct schedule *schedule, unsigned client)
{
    if (schedule->client[client].own.number != 0)
        take_out(schedule, &schedule->client[client].own);
}

void schedule_arm(struct schedule *schedule, unsigned client, uint64_t deadline)
{
    schedule_cancel(schedule, client);
    insert(schedule, &schedule->client[client].own, deadline);
}

void schedule_set_room(struct schedule *schedule, unsigned client, void *memory, size_t bytes)
{
    schedule->client[client].room = memory;
    schedule->client[client].places = bytes / sizeof(struct schedule_timer);
}

bool schedule_start(struct schedule *schedule, unsigned client, uint64_t deadline, unsigned signal,
                    struct time_token *token)
{
    struct schedule_timer *timer = schedule->client[client].free;

    if (timer) {
        schedule->client[client].free = timer->next_free;
    } else {
        if (schedule->client[client].touched == schedule->client[client].places)
            return false;
        timer = &schedule->client[client].room[schedule->client[client].touched++];
    }
    timer->client = client;
    timer->signal = signal;
    insert(schedule, timer, deadline);
    token->token[0] = (uint64_t)(timer - schedule->client[client].room);
    token->token[1] = timer->number;
    return true;
}

bool schedule_stop(struct schedule *schedule, unsigned client, const struct time_token *token)
{
    if (token->token[0] >= schedule->client[client].touched || token->token[1] == 0)
        return false;
    struct schedule_timer *timer = &schedule->client[client].room[token->token[0]];
    if (timer->number != token->token[1])
        return false;
    take_out(schedule, timer);
    return true;
}

void schedule_forget(struct schedule *schedule, unsigned client)
{
    schedule_cancel(schedule, client);
    for (size_t i = 0; i < schedule->client[client].touched; i++)
        if (schedule->client[client].room[i].number != 0)
            take_out(schedule, &schedule->client[client].room[i]);
    schedule->client[client].room = NULL;
    schedule->client[client].places = schedule->client[client].touched = 0;
    schedule->client[client].free = NULL;
}

bool schedule_next(struct schedule *schedule, uint64_t *deadline)
{
    const struct schedule_timer *first = RB_MIN(schedule_tree, &schedule->tree);

    if (!first)
        return false;
    *deadline = first->deadline;
    return true;
}

bool schedule_take_due(struct schedule *schedule, uint64_t now, unsigned *client, unsigned *signal)
{
    struct schedule_timer *first = RB_MIN(schedule_tree, &schedule->tree);

    if (!first || first->deadline > now)
        return false;
    *client = first->client;
    *signal = first->signal;
    take_out(schedule, first);
    return true;
}
