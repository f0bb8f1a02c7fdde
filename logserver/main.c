/* logserver: the serial port, shared by the log lines of all processes and the console of one guest.
 *
 * The terminal belongs to the first VM that runs, until that one ends; other guests' output appears line by line with
 * a tag. What is typed goes to the owner.
 */
#include "logserver/multiplexer.h"
#include "logserver/serial.h"
#include "runtime/runtime.h"

#define NO_OWNER  LOG_MAX_CLIENTS
#define READ_SIZE 128u

struct logserver {
    const struct log_client *client; /* init's table; what it holds may change between two wake-ups */
    unsigned owner;                  /* whose console the terminal is; NO_OWNER before the first VM runs */
    struct serial serial;
    struct multiplexer multiplexer;
    struct {
        uint32_t lost_seen; /* of the log ring */
        size_t held, taken; /* read from a ring, not yet taken by the multiplexer: [taken, held) */
        uint8_t bytes[READ_SIZE];
    } log[LOG_MAX_CLIENTS], console[LOG_MAX_CLIENTS];
};

static bool runs(const struct logserver *server, unsigned client)
{
    return client < LOG_MAX_CLIENTS && server->client[client].console_input;
}

/* Whether some of what that client's guest has printed is still to be shown. */
static bool has_console_output(const struct logserver *server, unsigned client)
{
    if (client >= LOG_MAX_CLIENTS || !server->client[client].console_output)
        return false;
    return server->console[client].taken < server->console[client].held
        || ring_waiting(server->client[client].console_output) > 0;
}

/* The terminal stays with a VM that has ended until its last words are out, whole. */
static void choose_owner(struct logserver *server)
{
    if (runs(server, server->owner) || has_console_output(server, server->owner))
        return;
    for (unsigned i = 0; i < LOG_MAX_CLIENTS; i++) {
        if (runs(server, i)) {
            server->owner = i;
            return;
        }
    }
}

/* The tag of a guest that does not own the terminal: its monitor's, marked. */
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
    struct byte_ring *ring = server->client[client].log;
    const char *name = server->client[client].name;

    if (!ring)
        return true;
    for (;;) {
        size_t held = server->log[client].held, taken = server->log[client].taken;
        if (taken == held) {
            taken = 0;
            held = ring_read(ring, server->log[client].bytes, READ_SIZE);
            if (held == 0)
                break;
        }
        taken += multiplexer_add_lines(&server->multiplexer, client, name, server->log[client].bytes + taken,
                                       held - taken);
        server->log[client].held = held;
        server->log[client].taken = taken;
        if (taken < held)
            return false;
    }
    uint32_t seen = server->log[client].lost_seen;
    uint32_t lost = ring_lost_since(ring, &seen);
    if (lost != 0 && !multiplexer_add_loss(&server->multiplexer, name, lost))
        return false;
    server->log[client].lost_seen = seen;
    return true;
}

/* The same for a guest's console. */
static bool drain_console(struct logserver *server, unsigned client)
{
    struct byte_ring *ring = server->client[client].console_output;
    char tag[CONFIG_NAME_BYTES + 8];

    if (!ring)
        return true;
    console_tag(tag, server->client[client].name);
    for (;;) {
        size_t held = server->console[client].held, taken = server->console[client].taken;
        if (taken == held) {
            taken = 0;
            held = ring_read(ring, server->console[client].bytes, READ_SIZE);
            if (held == 0)
                return true;
        }
        const uint8_t *rest = server->console[client].bytes + taken;
        if (client == server->owner)
            taken += multiplexer_add_console(&server->multiplexer, rest, held - taken);
        else
            taken += multiplexer_add_lines(&server->multiplexer, LOG_MAX_CLIENTS + client, tag, rest, held - taken);
        server->console[client].held = held;
        server->console[client].taken = taken;
        if (taken < held)
            return false;
    }
}

/* Consoles first: a monitor's last words about its guest belong behind what the guest has said. */
static bool drain_all(struct logserver *server)
{
    bool drained = true;

    choose_owner(server);
    for (unsigned i = 0; i < LOG_MAX_CLIENTS; i++)
        drained &= drain_console(server, i);
    for (unsigned i = 0; i < LOG_MAX_CLIENTS; i++)
        drained &= drain_log(server, i);
    return drained;
}

/* Sends what the transmitter takes without waiting; true when nothing is left. */
static bool send(struct logserver *server)
{
    uint8_t bytes[SERIAL_FIFO_BYTES];

    if (!server->serial.present) {
        while (multiplexer_take(&server->multiplexer, bytes, sizeof bytes) > 0)
            ;
        return true;
    }
    while (server->multiplexer.waiting > 0) {
        if (!serial_can_send(&server->serial))
            return false;
        serial_send(&server->serial, bytes, multiplexer_take(&server->multiplexer, bytes, sizeof bytes));
    }
    return true;
}

static void receive(struct logserver *server)
{
    bool any = false;
    uint8_t byte;

    while (serial_receive(&server->serial, &byte)) {
        if (!runs(server, server->owner))
            continue;
        ring_write(server->client[server->owner].console_input, &byte, 1);
        any = true;
    }
    if (any) /* not seL4_Signal: the VM may be gone, and its capability with it */
        seL4_NBSend(SLOT_LOG_CLIENT_NOTIFY + server->owner, seL4_MessageInfo_new(0, 0, 0, 0));
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

    server->client = startup->logserver.client;
    server->owner = NO_OWNER;
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
