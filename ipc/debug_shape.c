#include "ipc/debug.h"

#define DEBUG_SHAPE(name, request, reply) [name - DEBUG_BEFORE_FIRST - 1] = { request, reply },
static const struct debug_shape shapes[] = { DEBUG_OPERATIONS(DEBUG_SHAPE) };

const struct debug_shape *debug_shape(uint64_t operation)
{
    return operation > DEBUG_BEFORE_FIRST && operation < DEBUG_BEHIND_LAST
               ? &shapes[operation - DEBUG_BEFORE_FIRST - 1] : NULL;
}
