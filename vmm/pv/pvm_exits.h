/* What of the PVM guest ABI concerns the whole monitor: hypercalls to its registers. Pure. */
#pragma once

#include "vmm/exits.h"

/* After exits_init, for a guest that has been set up by pvm_init. False: no room for the handlers. */
bool pvm_exits_init(struct monitor *monitor);
