/* Capability nodes: arrays of slots, and all that can be done to a capability as such. */
#pragma once

#include <api/invocation.h>

/* The slot that (ROOT, INDEX, DEPTH) names; NULL having failed the call. SOURCE: which of two look-ups of one operation
 * is reported to have failed. */
struct slot *cnode_slot(struct invocation *call, struct cap root, uint64_t index, uint64_t depth, bool source);

/* The same for a slot that shall receive a new capability: it must be empty. */
struct slot *cnode_empty_slot(struct invocation *call, struct cap root, uint64_t index, uint64_t depth);

void cnode_invoke(struct invocation *call);
