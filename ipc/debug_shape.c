#include "ipc/debug.h"

static const struct ipc_shape shapes[] = { DEBUG_PROTOCOL(IPC_SHAPE) };

const struct ipc_shape *debug_shape(uint64_t operation)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (shapes[i].operation == operation)
            return &shapes[i];
    return NULL;
}
