/* Capability nodes: arrays of slots, and all that can be done to a capability as such. */
#pragma once

#include <api/invocation.h>

void cnode_invoke(struct invocation *call);
