/* The rings between logserver and its clients, and the table that tells logserver about them.
 *
 * A ring belongs to a client number for good: processes come and go, logserver among them, and what one has written just
 * before its end is still printed. Functions answer NULL or why they failed.
 */
#pragma once

#include "beaml4-init/process.h"
#include "ipc/debug.h"

/* Client numbers, at logserver and timeserver. */
enum { CLIENT_INIT = 0, CLIENT_LOGSERVER = 1, CLIENT_TIMESERVER = 2, CLIENT_DEBUG = 3, CLIENT_SCREEN = 4,
       CLIENT_FIRST_VM = 16 };

_Static_assert(CLIENT_FIRST_VM + CONFIG_MAX_VMS <= LOG_MAX_CLIENTS, "every VM's monitor is a client");

enum log_ring { RING_LOG, RING_CONSOLE_OUTPUT, RING_CONSOLE_INPUT, RING_COUNT };

struct log_clients {
    struct pool *pool;        /* of what lasts */
    struct process *logserver;
    struct log_table *table;  /* in init's window, */
    seL4_CPtr table_frame;
    seL4_CPtr notification;   /* logserver's */
    seL4_CPtr notify;         /* signals that a log ring has bytes */
    seL4_CPtr ring[LOG_MAX_CLIENTS][RING_COUNT]; /* frames */
    const struct process *client[LOG_MAX_CLIENTS]; /* with a console; NULL: no one now */
    struct byte_ring *own;    /* init's; NULL: not mapped */
};

/* What lasts, out of POOL. */
const char *log_clients_open(struct log_clients *log, struct pool *pool);

/* Gives a logserver that is created, not started, the table, all rings, and who is to be told of input. */
const char *log_clients_serve(struct log_clients *log, struct process *logserver);

/* A log ring for CLIENT, called NAME in front of its lines, and two console rings where CONSOLE says so. Before any
 * logserver. */
const char *log_clients_add(struct log_clients *log, unsigned client, const char *name, bool console);

/* init's own log ring from now on. */
const char *log_clients_use(struct log_clients *log);

/* Logserver has died: back to the kernel's debug console, with the lines of init's that it has not read. */
void log_clients_stop_using(struct log_clients *log);

/* Lets a process that is not started be CLIENT: maps its rings and fills the fields of its startup page. */
const char *log_clients_attach(struct log_clients *log, unsigned client, struct process *process);

/* CLIENT is about to be destroyed. */
void log_clients_detach(struct log_clients *log, unsigned client);

/* Whether CLIENT has a guest whose console can take input, or is a shell that runs. */
void log_clients_set_console(struct log_clients *log, unsigned client, bool runs);

/* Gives the terminal to CLIENT's console. */
void log_clients_attach_terminal(struct log_clients *log, unsigned client);

/* Shows the last lines of the log again, those of CLIENT or, by DEBUG_LOG_OF_ALL, of all; FOLLOW says whether new lines
 * of others are shown from then on. */
void log_clients_show_log(struct log_clients *log, unsigned client, enum debug_follow follow);
