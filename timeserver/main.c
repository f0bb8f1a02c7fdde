/* timeserver: one-shot timers for all processes, on one piece of hardware. */
#include "runtime/runtime.h"
#include "timeserver/alarm.h"
#include "timeserver/schedule.h"

#define STATIC_CNODE_DEPTH 32u

/* Timers that expire before the requests that have come meanwhile are served. */
#define DUE_AT_ONCE 256u

struct timeserver {
    struct schedule schedule;
    struct alarm alarm;
    struct time_table *table;
    uint8_t pending[TIME_CLIENTS]; /* signals to be sent, a bit each */
};

/* A request and the answer to it. */
struct exchange {
    seL4_MessageInfo_t info;
    seL4_Word badge, word[2];
    unsigned reply_words;
};

static const struct ipc_shape shapes[] = { TIME_PROTOCOL(IPC_SHAPE) };

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static seL4_CPtr signal_slot(unsigned client, unsigned signal)
{
    return signal == 0 ? SLOT_TIME_CLIENT_NOTIFY + client
                       : SLOT_TIME_CLIENT_SIGNAL + client * (TIME_SIGNALS - 1) + signal - 1;
}

/* Not seL4_Signal: a client may be gone, and its capability with it; and what a client has handed over may be anything.
 * Timers of one client that are due together are one signal. */
static void send_signals(struct timeserver *server)
{
    for (unsigned client = 0; client < TIME_CLIENTS; client++) {
        for (unsigned signal = 0; server->pending[client] >> signal; signal++)
            if (server->pending[client] >> signal & 1)
                seL4_NBSend(signal_slot(client, signal), seL4_MessageInfo_new(0, 0, 0, 0));
        server->pending[client] = 0;
    }
}

/* Wakes everyone whose time has come and sets the alarm for the next one. */
static void run_schedule(struct timeserver *server)
{
    uint64_t deadline, now;
    unsigned client, signal;

    do {
        unsigned taken = 0;

        now = read_tsc();
        while (taken < DUE_AT_ONCE && schedule_take_due(&server->schedule, now, &client, &signal)) {
            server->pending[client] |= (uint8_t)(1u << signal);
            taken++;
        }
        if (taken > 0)
            send_signals(server);
    } while (schedule_next(&server->schedule, &deadline) && !alarm_set(&server->alarm, now, deadline));
}

/* Clients that have ended. */
static void read_table(struct timeserver *server)
{
    for (unsigned i = 0; i < TIME_CLIENTS; i++) {
        uint32_t generation = atomic_load_explicit(&server->table->client[i].generation, memory_order_acquire);

        if (generation == atomic_load_explicit(&server->table->client[i].acknowledged, memory_order_relaxed))
            continue;
        schedule_forget(&server->schedule, i);
        for (unsigned signal = 1; signal < TIME_SIGNALS; signal++)
            seL4_CNode_Delete(SLOT_STATIC_CNODE, signal_slot(i, signal), STATIC_CNODE_DEPTH);
        atomic_store_explicit(&server->table->client[i].acknowledged, generation, memory_order_release);
    }
}

static enum time_status start_timer(struct timeserver *server, unsigned client, struct exchange *exchange)
{
    struct time_token token;

    if (exchange->word[1] >= TIME_SIGNALS)
        return TIME_INVALID;
    /* init says how much of the room is there. */
    uint32_t room = atomic_load_explicit(&server->table->client[client].room_bytes, memory_order_acquire);
    schedule_set_room(&server->schedule, client, (void *)(TIME_ROOM_BASE + client * TIME_ROOM_MAX_BYTES), room);
    if (!schedule_start(&server->schedule, client, exchange->word[0], (unsigned)exchange->word[1], &token))
        return TIME_NO_ROOM;
    exchange->word[0] = token.token[0];
    exchange->word[1] = token.token[1];
    return TIME_OK;
}

static enum time_status take_signal(unsigned client, const struct exchange *exchange)
{
    seL4_Word signal = exchange->word[0];

    if (signal == 0 || signal >= TIME_SIGNALS || seL4_MessageInfo_get_capsUnwrapped(exchange->info) != 0)
        return TIME_INVALID;
    seL4_CPtr slot = signal_slot(client, (unsigned)signal);
    seL4_CNode_Delete(SLOT_STATIC_CNODE, slot, STATIC_CNODE_DEPTH);
    if (seL4_MessageInfo_get_extraCaps(exchange->info) == 0)
        return TIME_OK;
    return seL4_CNode_Move(SLOT_STATIC_CNODE, slot, STATIC_CNODE_DEPTH, SLOT_STATIC_CNODE, SLOT_TIME_RECEIVED,
                           STATIC_CNODE_DEPTH) == seL4_NoError ? TIME_OK : TIME_INVALID;
}

static enum time_status dispatch(struct timeserver *server, unsigned client, struct exchange *exchange)
{
    const struct time_token token = { { exchange->word[0], exchange->word[1] } };

    switch ((enum time_operation)seL4_MessageInfo_get_label(exchange->info)) {
    case TIME_ARM:
        schedule_arm(&server->schedule, client, exchange->word[0]);
        return TIME_OK;
    case TIME_CANCEL:
        schedule_cancel(&server->schedule, client);
        return TIME_OK;
    case TIME_START:
        return start_timer(server, client, exchange);
    case TIME_STOP:
        return schedule_stop(&server->schedule, client, &token) ? TIME_OK : TIME_NO_SUCH;
    case TIME_SIGNAL:
        return take_signal(client, exchange);
    }
    return TIME_INVALID;
}

static enum time_status serve(struct timeserver *server, struct exchange *exchange)
{
    uint64_t client = exchange->badge - TIME_CLIENT_BADGE;
    uint64_t before = UINT64_MAX, after = UINT64_MAX;
    unsigned capabilities = (unsigned)seL4_MessageInfo_get_extraCaps(exchange->info);
    const struct ipc_shape *shape =
        ipc_shape(shapes, sizeof shapes / sizeof shapes[0], seL4_MessageInfo_get_label(exchange->info),
                  seL4_MessageInfo_get_length(exchange->info), capabilities);
    enum time_status status = TIME_INVALID;

    exchange->reply_words = 0;
    if (client >= TIME_CLIENTS)
        return TIME_DENIED;
    schedule_next(&server->schedule, &before);
    if (shape)
        status = dispatch(server, (unsigned)client, exchange);
    if (capabilities > 0) /* what has not been moved away makes room for the next one */
        seL4_CNode_Delete(SLOT_STATIC_CNODE, SLOT_TIME_RECEIVED, STATIC_CNODE_DEPTH);
    /* An alarm that is set too early costs one interrupt; only an earlier deadline needs it set anew. */
    if (schedule_next(&server->schedule, &after) && after < before)
        run_schedule(server);
    if (status == TIME_OK)
        exchange->reply_words = shape->reply_words;
    return status;
}

/* The notification's bits, from init or from the hardware. */
static void notified(struct timeserver *server, seL4_Word bits)
{
    /* Acknowledged first: an edge that comes while the pin is masked would be lost. */
    if (bits & NOTIFY_IRQ)
        seL4_IRQHandler_Ack(SLOT_TIME_IRQ);
    if (bits & NOTIFY_TIME_TABLE)
        read_table(server);
    run_schedule(server);
}

/* The server's state is too large for the stack. */
static struct timeserver the_server;

void service_main(const struct startup *startup)
{
    struct timeserver *server = &the_server;
    struct exchange exchange;

    if (startup->tsc_hz == 0)
        panic("init gave no frequency of the time-stamp counter");
    schedule_init(&server->schedule);
    alarm_open(&server->alarm, startup->tsc_hz, startup->timeserver.hpet);
    server->table = startup->timeserver.table;
    log_printf("timers on the %s", server->alarm.hpet ? "HPET" : "PIT");
    seL4_SetCapReceivePath(SLOT_STATIC_CNODE, SLOT_TIME_RECEIVED, STATIC_CNODE_DEPTH);
    read_table(server);
    seL4_IRQHandler_Ack(SLOT_TIME_IRQ);
    exchange.info = seL4_RecvWithMRs(SLOT_TIME_RECEIVE, &exchange.badge, &exchange.word[0], &exchange.word[1], NULL,
                                     NULL);
    for (;;) {
        if (exchange.badge & TIME_CLIENT_BADGE) {
            enum time_status status = serve(server, &exchange);
            exchange.info = seL4_ReplyRecvWithMRs(SLOT_TIME_RECEIVE,
                                                  seL4_MessageInfo_new(status, 0, 0, exchange.reply_words),
                                                  &exchange.badge, &exchange.word[0], &exchange.word[1], NULL, NULL);
        } else {
            notified(server, exchange.badge);
            exchange.info = seL4_RecvWithMRs(SLOT_TIME_RECEIVE, &exchange.badge, &exchange.word[0],
                                             &exchange.word[1], NULL, NULL);
        }
    }
}
