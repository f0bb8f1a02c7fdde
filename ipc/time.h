/* timeserver's protocol: one one-shot timer for each client, named by the badge of its endpoint capability.
 * A request is an seL4_Call; the reply's label is an enum time_status.
 */
#pragma once

#include <stdint.h>

enum time_operation {
    TIME_ARM = 0x3001, /* MR0: deadline as an absolute TSC value; replaces an armed one. At the deadline (at once if
                          it has passed) the client's notification is signalled with NOTIFY_TIMER. */
    TIME_CANCEL,       /* no argument; a deadline that has already fired may still be signalled */
};

/* Badge of a client's endpoint capability: this bit, which no notification of timeserver has, and the client's index. */
#define TIME_CLIENT_BADGE (UINT64_C(1) << 32)

enum time_status { TIME_OK = 0, TIME_DENIED = 1, TIME_INVALID = 2 };

/* Client stubs; TIME is the capability of timeserver's endpoint (SLOT_TIME). They overwrite message registers. */
enum time_status time_arm(uint64_t time, uint64_t deadline);
enum time_status time_cancel(uint64_t time);
