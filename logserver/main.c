/* logserver: the serial port, shared by the log lines of all processes and one console, a guest's or the debug shell's.
 *
 * terminal.h says whose console the terminal is; what is typed goes there. Other consoles' output is kept until someone
 * wants to see it, or appears line by line with a tag where no shell is there to ask for it.
 */
#include "logserver/backlog.h"
#include "logserver/line_filter.h"
#include "logserver/multiplexer.h"
#include "logserver/serial.h"
#include "logserver/terminal.h"
#include "runtime/runtime.h"

#include <stdio.h>

#define READ_SIZE          128u
#define KEPT_CONSOLE_BYTES 4096u
#define KEPT_SCREEN_BYTES  8192u
#define KEPT_LOG_BYTES     65536u

/* Read from somewhere, not yet taken by the multiplexer: [taken, held). */
struct chunk {
    size_t held, taken;
    uint8_t bytes[READ_SIZE + LINE_FILTER_PREFIX];
};

struct logserver {
    const struct log_table *table; /* init's; what it holds may change between two wake-ups */
    struct serial serial;
    struct multiplexer multiplexer;
    struct terminal terminal;
    unsigned shown;        /* whose console's bytes the terminal has got last */
    uint32_t attach_seen, show_seen;
    struct {
        uint32_t lost_seen; /* of the log ring */
        struct chunk chunk;
    } log[LOG_MAX_CLIENTS];
    struct {
        struct backlog kept;       /* what came while it was not shown */
        uint64_t position, missed; /* of KEPT: shown up to here; bytes that made way before they were */
        struct chunk chunk;
        uint8_t bytes[KEPT_CONSOLE_BYTES];
    } console[LOG_MAX_CLIENTS];
    unsigned first_log;    /* whose log is looked at first */
    bool console_was_full; /* the last time, a console has filled the multiplexer */
    unsigned screen;            /* screenserver's number as a client */
    struct backlog kept_screen; /* what the screen is to show; one that is slow leaves something out */
    uint64_t screen_position, screen_missed;
    struct chunk screen_chunk;
    uint8_t screen_bytes[KEPT_SCREEN_BYTES];
    struct backlog kept_log;
    uint64_t log_position, log_end; /* of KEPT_LOG: what is still to be shown again */
    struct chunk log_chunk;
    struct line_filter log_filter; /* which of those lines */
    uint8_t log_bytes[KEPT_LOG_BYTES];
};

/* The tag of a guest's lines: its monitor's, marked. */
static void console_tag(char tag[CONFIG_NAME_BYTES + 8], const char *name)
{
    static const char mark[] = "'s guest";
    unsigned length = 0;

    for (; length < CONFIG_NAME_BYTES - 1 && name[length]; length++)
        tag[length] = name[length];
    for (unsigned i = 0; i < sizeof mark && length < CONFIG_NAME_BYTES + 8; i++)
        tag[length++] = mark[i];
    tag[CONFIG_NAME_BYTES + 7] = '\0';
}

/* Moves what one log ring holds into the multiplexer; false when that is full. */
static bool drain_log(struct logserver *server, unsigned client)
{
    static const char words[] = " bytes of log lost here: written faster than the terminal takes them";
    struct byte_ring *ring = server->table->client[client].log;
    const char *name = server->table->client[client].name;
    struct chunk *chunk = &server->log[client].chunk;

    if (!ring)
        return true;
    /* First the losses: a ring that is never empty must not hide them. */
    uint32_t seen = server->log[client].lost_seen;
    uint32_t lost = ring_lost_since(ring, &seen);
    if (lost != 0 && !multiplexer_add_note(&server->multiplexer, name, lost, words))
        return false;
    server->log[client].lost_seen = seen;
    for (unsigned count = 0; count < RING_BYTES; count += READ_SIZE) { /* and no more than there can be at a time */
        if (chunk->taken == chunk->held) {
            chunk->taken = 0;
            chunk->held = ring_read(ring, chunk->bytes, READ_SIZE);
            if (chunk->held == 0)
                return true;
        }
        chunk->taken += multiplexer_add_lines(&server->multiplexer, client, name, chunk->bytes + chunk->taken,
                                              chunk->held - chunk->taken);
        if (chunk->taken < chunk->held)
            return false;
    }
    return false;
}

/* All logs, each time beginning behind the one that has filled the multiplexer, so that nobody is left out. */
static bool drain_logs(struct logserver *server)
{
    for (unsigned i = 0; i < LOG_MAX_CLIENTS; i++) {
        unsigned client = (server->first_log + i) % LOG_MAX_CLIENTS;

        if (!drain_log(server, client)) {
            server->first_log = client + 1;
            return false;
        }
    }
    return true;
}

/* Shows what CHUNK holds; false when the multiplexer is full. */
static bool show(struct logserver *server, struct chunk *chunk)
{
    chunk->taken += multiplexer_add_console(&server->multiplexer, chunk->bytes + chunk->taken,
                                            chunk->held - chunk->taken);
    return chunk->taken == chunk->held;
}

/* The log lines that were asked for again. */
static bool show_log(struct logserver *server)
{
    struct chunk *chunk = &server->log_chunk;
    uint8_t bytes[READ_SIZE];
    uint64_t missed = 0;

    while (show(server, chunk)) {
        uint64_t left = server->log_end - server->log_position;

        if (server->log_position >= server->log_end)
            return true;
        chunk->taken = 0;
        size_t count = backlog_read(&server->kept_log, &server->log_position, &missed, bytes,
                                    left < READ_SIZE ? left : READ_SIZE);
        chunk->held = line_filter_run(&server->log_filter, bytes, count, chunk->bytes);
    }
    return false;
}

/* The console that the terminal belongs to: what was kept of it, then what is new. */
static bool show_console(struct logserver *server, unsigned client, struct byte_ring *ring)
{
    struct chunk *chunk = &server->console[client].chunk;
    struct backlog *kept = &server->console[client].kept;
    uint64_t *position = &server->console[client].position, *missed = &server->console[client].missed;

    if (server->shown != client && !multiplexer_end_line(&server->multiplexer))
        return false;
    server->shown = client;
    while (show(server, chunk)) {
        backlog_read(kept, position, missed, NULL, 0);
        if (*missed != 0 && !multiplexer_add_note(&server->multiplexer, server->table->client[client].name, *missed,
                                                  " bytes of its console are not kept; what follows is newer"))
            return false;
        *missed = 0;
        chunk->taken = 0;
        chunk->held = backlog_read(kept, position, missed, chunk->bytes, READ_SIZE);
        if (chunk->held == 0)
            chunk->held = ring_read(ring, chunk->bytes, READ_SIZE);
        if (chunk->held == 0)
            return true;
    }
    return false;
}

/* Another console, which is kept or becomes lines. */
static bool put_aside(struct logserver *server, unsigned client, struct byte_ring *ring)
{
    struct chunk *chunk = &server->console[client].chunk;
    char tag[CONFIG_NAME_BYTES + 8];

    console_tag(tag, server->table->client[client].name);
    for (;;) {
        const uint8_t *rest = chunk->bytes + chunk->taken;
        size_t length = chunk->held - chunk->taken;

        if (terminal_keeps(&server->terminal)) {
            backlog_add(&server->console[client].kept, rest, length);
            chunk->taken = chunk->held;
        } else {
            chunk->taken += multiplexer_add_lines(&server->multiplexer, LOG_MAX_CLIENTS + client, tag, rest, length);
        }
        if (chunk->taken < chunk->held)
            return false;
        chunk->taken = 0;
        chunk->held = ring_read(ring, chunk->bytes, READ_SIZE);
        if (chunk->held == 0)
            return true;
    }
}

static bool drain_console(struct logserver *server, unsigned client)
{
    struct byte_ring *ring = server->table->client[client].console_output;

    if (!ring || client == server->screen)
        return true;
    return client == server->terminal.attached ? show_console(server, client, ring) : put_aside(server, client, ring);
}

/* What init has changed in the table. */
static void read_table(struct logserver *server)
{
    const struct log_table *table = server->table;
    bool runs[LOG_MAX_CLIENTS];

    for (unsigned i = 0; i < LOG_MAX_CLIENTS; i++)
        runs[i] = i != server->screen && __atomic_load_n(&table->client[i].console_input, __ATOMIC_ACQUIRE) != NULL;
    terminal_update(&server->terminal, runs);
    uint32_t attach = __atomic_load_n(&table->attach_count, __ATOMIC_ACQUIRE);
    if (attach != server->attach_seen)
        terminal_attach(&server->terminal, table->attach);
    server->attach_seen = attach;
    uint32_t shows = __atomic_load_n(&table->show_count, __ATOMIC_ACQUIRE);
    if (shows != server->show_seen) {
        uint32_t whose = table->show;
        line_filter_init(&server->log_filter, whose < LOG_MAX_CLIENTS ? table->client[whose].name : NULL);
        server->log_position = 0;
        server->log_end = server->kept_log.written;
    }
    server->show_seen = shows;
    uint32_t only = __atomic_load_n(&table->only, __ATOMIC_RELAXED);
    server->multiplexer.only = only < LOG_MAX_CLIENTS ? only : MULTIPLEXER_ALL;
}

/* Consoles first: a monitor's last words about its guest belong behind what the guest has said. And before another
 * console takes the terminal, the one that has it gets its last words out. But where a console alone has filled the
 * multiplexer, it is the logs' turn next. */
static bool drain_all(struct logserver *server)
{
    bool drained = true;

    if (server->console_was_full && !drain_logs(server))
        return false;
    server->console_was_full = !show_log(server) ||
        (server->terminal.attached != TERMINAL_NO_ONE && !drain_console(server, server->terminal.attached));
    if (server->console_was_full)
        return false;
    read_table(server);
    if (!show_log(server))
        return false;
    for (unsigned i = 0; i < LOG_MAX_CLIENTS; i++)
        drained &= drain_console(server, i);
    return drain_logs(server) && drained;
}

/* What comes next for the screen: first a note of what it was too slow for. */
static size_t next_for_screen(struct logserver *server, struct chunk *chunk)
{
    backlog_read(&server->kept_screen, &server->screen_position, &server->screen_missed, NULL, 0);
    if (server->screen_missed == 0)
        return backlog_read(&server->kept_screen, &server->screen_position, &server->screen_missed, chunk->bytes,
                            READ_SIZE);
    int length = snprintf((char *)chunk->bytes, sizeof chunk->bytes, "\r\n(%lu bytes are not shown here)\r\n",
                          server->screen_missed);
    server->screen_missed = 0;
    return length > 0 ? (size_t)length : 0;
}

/* Hands on to the screen as much as its ring takes. */
static void send_to_screen(struct logserver *server)
{
    struct byte_ring *ring = __atomic_load_n(&server->table->client[server->screen].console_input, __ATOMIC_ACQUIRE);
    struct chunk *chunk = &server->screen_chunk;
    bool any = false;

    while (ring) {
        if (chunk->taken == chunk->held) {
            chunk->taken = 0;
            chunk->held = next_for_screen(server, chunk);
        }
        size_t count = ring_offer(ring, chunk->bytes + chunk->taken, chunk->held - chunk->taken);
        if (count == 0)
            break;
        chunk->taken += count;
        any = true;
    }
    if (any)
        seL4_NBSend(SLOT_LOG_CLIENT_NOTIFY + server->screen, seL4_MessageInfo_new(0, 0, 0, 0));
}

/* Sends what the transmitter takes without waiting, and the same to the screen; true when nothing is left. */
static bool send(struct logserver *server)
{
    uint8_t bytes[SERIAL_FIFO_BYTES];
    bool sent = true;

    while (server->multiplexer.waiting > 0 && sent) {
        sent = !server->serial.present || serial_can_send(&server->serial);
        size_t count = sent ? multiplexer_take(&server->multiplexer, bytes, sizeof bytes) : 0;
        if (server->serial.present)
            serial_send(&server->serial, bytes, count);
        backlog_add(&server->kept_screen, bytes, count);
    }
    send_to_screen(server);
    return sent;
}

static void type(struct logserver *server, uint8_t byte)
{
    uint8_t given[2];
    size_t count = terminal_type(&server->terminal, byte, given);
    unsigned client = server->terminal.attached;
    struct byte_ring *ring = count > 0 ? server->table->client[client].console_input : NULL;

    if (!ring)
        return;
    ring_write(ring, given, count);
    /* Not seL4_Signal: the VM may be gone, and its capability with it. */
    seL4_NBSend(SLOT_LOG_CLIENT_NOTIFY + client, seL4_MessageInfo_new(0, 0, 0, 0));
}

/* From the serial line and from the keyboard; of that no more at a time than its ring holds. */
static void receive(struct logserver *server)
{
    struct byte_ring *keys = server->table->client[server->screen].console_output;
    uint8_t byte;

    while (serial_receive(&server->serial, &byte))
        type(server, byte);
    for (unsigned i = 0; i < RING_BYTES && keys && ring_read(keys, &byte, 1) == 1; i++)
        type(server, byte);
}

/* Takes what has come in, and sends as much as the port takes without waiting. */
static void serve(struct logserver *server)
{
    bool drained, sent;

    receive(server);
    do {
        drained = drain_all(server);
        sent = send(server);
    } while (sent && !drained);
    serial_tell_when_sent(&server->serial, !sent);
}

/* The server's state is too large for the stack. */
static struct logserver the_server;

void service_main(const struct startup *startup)
{
    struct logserver *server = &the_server;

    server->table = startup->logserver.table;
    server->multiplexer.kept = &server->kept_log;
    server->multiplexer.only = MULTIPLEXER_ALL;
    server->kept_log = (struct backlog) { .bytes = server->log_bytes, .size = KEPT_LOG_BYTES };
    for (unsigned i = 0; i < LOG_MAX_CLIENTS; i++)
        server->console[i].kept = (struct backlog) { .bytes = server->console[i].bytes, .size = KEPT_CONSOLE_BYTES };
    server->shown = TERMINAL_NO_ONE;
    server->screen = startup->logserver.screen % LOG_MAX_CLIENTS;
    server->kept_screen = (struct backlog) { .bytes = server->screen_bytes, .size = KEPT_SCREEN_BYTES };
    terminal_init(&server->terminal, startup->logserver.shell);
    serial_open(&server->serial, SLOT_LOG_SERIAL_PORTS);
    seL4_IRQHandler_Ack(SLOT_LOG_SERIAL_IRQ);
    for (;;) {
        seL4_Word badge = 0;

        /* A byte that arrives while room in the transmitter is being reported, or the other way round, makes no edge of
         * its own. */
        do
            serve(server);
        while (serial_wants_service(&server->serial));
        seL4_Wait(SLOT_NOTIFICATION, &badge);
        /* Acknowledged before the port is looked at: an edge that comes while the interrupt is masked is lost. */
        if (badge & NOTIFY_IRQ)
            seL4_IRQHandler_Ack(SLOT_LOG_SERIAL_IRQ);
    }
}
