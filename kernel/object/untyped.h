/* Untyped memory, and the making of all other objects. */
#pragma once

#include <api/invocation.h>

/* log2 of the size in bytes of an object, given the user's size argument; 0 where the type does not exist. */
unsigned object_size_bits(uint64_t object_type, uint64_t user_size_bits);

void untyped_invoke(struct invocation *call);
