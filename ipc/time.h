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

enum time_status { TIME_OK = 0, TIME_DENIED = 1, TIME_INVALID = 2 };
