/* timeserver's protocol: one-shot timers, in ticks of the time-stamp counter. A client is named by the badge of its
 * endpoint capability.
 *
 * Each client has one timer of its own, always; that is all that a monitor uses. Beyond that it can have timers that it
 * names by tokens, as many as there is room for: room is memory of the client's own, which init hands over to timeserver
 * piece by piece (HV_TIME_ROOM), so that nobody's timers take the room of others'.
 */
#pragma once

#include "ipc/protocol.h"

#include <stdatomic.h>

#define time_arm_request(FIELD)    FIELD(uint64_t, deadline, , "when, by the time-stamp counter")
#define time_start_request(FIELD)                                  \
    FIELD(uint64_t, deadline, , "when, by the time-stamp counter") \
    FIELD(uint64_t, signal, , "0: the client's own notification; 1 to 3: the one that TIME_SIGNAL has put there")
#define time_token(FIELD) FIELD(uint64_t, token, [2], "names the timer; never given twice")
#define time_signal_request(FIELD) FIELD(uint64_t, signal, , "1 to 3")

IPC_STRUCT(time_arm_request)
IPC_STRUCT(time_start_request)
IPC_STRUCT(time_token)
IPC_STRUCT(time_signal_request)

#define TIME_PROTOCOL(OPERATION)                                                                                       \
    OPERATION(TIME_ARM, 0x3001, time_arm_request, ipc_nothing, 0,                                                      \
              "Sets the client's own timer, in place of what it was set to. At the deadline, at once if that has "     \
              "passed, the client's notification is signalled with NOTIFY_TIMER.")                                     \
    OPERATION(TIME_CANCEL, 0x3002, ipc_nothing, ipc_nothing, 0,                                                        \
              "Takes the client's own timer back; one that has just expired may still be signalled.")                  \
    OPERATION(TIME_START, 0x3003, time_start_request, time_token, 0,                                                   \
              "Starts one more timer. TIME_NO_ROOM: the client has to ask init for room first.")                       \
    OPERATION(TIME_STOP, 0x3004, time_token, ipc_nothing, 0,                                                           \
              "Takes a timer back. TIME_NO_SUCH: it has expired, or never was.")                                       \
    OPERATION(TIME_SIGNAL, 0x3005, time_signal_request, ipc_nothing, 1,                                                \
              "What timers with this signal shall signal from now on: a notification whose capability comes along, or nothing "  \
              "when none does.")

enum time_operation { TIME_PROTOCOL(IPC_NUMBER) };

#define TIME_SIGNALS 4u

/* Badge of a client's endpoint capability: this bit, which no notification of timeserver has, and the client's index. */
#define TIME_CLIENT_BADGE (UINT64_C(1) << 32)

enum time_status { TIME_OK = 0, TIME_DENIED = 1, TIME_INVALID = 2, TIME_NO_ROOM = 3, TIME_NO_SUCH = 4 };

#define TIME_CLIENTS        32u
#define TIME_ROOM_MAX_BYTES (UINT64_C(256) << 10) /* a client's; it lies at TIME_ROOM_BASE + client * this */
#define TIME_ROOM_BYTES     (UINT64_C(16) << 10)  /* what one HV_TIME_ROOM adds */
#define TIME_ROOM_BASE      0x100000000ul

/* A page that init and timeserver share. init counts GENERATION up when a client ends, signals NOTIFY_TIME_TABLE, and
 * takes the client's room away once timeserver has repeated the count: until then there may be timers in it. */
struct time_table {
    struct {
        _Atomic uint32_t generation;   /* stored by init */
        _Atomic uint32_t room_bytes;   /* likewise: how much of the client's room is there */
        _Atomic uint32_t acknowledged; /* stored by timeserver */
    } client[TIME_CLIENTS];
};

/* Client stubs; TIME is the capability of timeserver's endpoint (SLOT_TIME). They overwrite message registers. */
enum time_status time_arm(uint64_t time, uint64_t deadline);
enum time_status time_cancel(uint64_t time);
enum time_status time_start(uint64_t time, uint64_t deadline, unsigned signal, struct time_token *token);
enum time_status time_stop(uint64_t time, const struct time_token *token);

/* NOTIFICATION: a capability, or 0 for none. */
enum time_status time_signal(uint64_t time, unsigned signal, uint64_t notification);
