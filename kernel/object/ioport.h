/* I/O ports as capabilities. */
#pragma once

#include <api/invocation.h>

void ioport_control_invoke(struct invocation *call);
void ioport_invoke(struct invocation *call);
/* The last capability to the range is gone: it may be issued again. */
void ioport_finalise(struct cap cap);
