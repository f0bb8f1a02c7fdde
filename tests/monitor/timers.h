/* What a client can do to timeserver. */
#pragma once

#include "ipc/startup.h"

/* Thousands of timers: started, stopped by their tokens, expired, signalled elsewhere, and no more than its room. */
void use_many_timers(const struct startup *startup);

/* As many requests as it can, nearly all of them for timers that are due at once, for three seconds. */
void flood_timers(const struct startup *startup);

/* Prints how late timers are, in ticks. */
void measure_timer_error(const struct startup *startup);
