#include "logserver/backlog.h"

void backlog_add(struct backlog *backlog, const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < length; i++)
        backlog->bytes[backlog->written++ % backlog->size] = byte[i];
}

size_t backlog_read(const struct backlog *backlog, uint64_t *position, uint64_t *missed, void *bytes, size_t length)
{
    uint8_t *byte = bytes;
    size_t count = 0;

    if (backlog->written - *position > backlog->size) {
        *missed += backlog->written - *position - backlog->size;
        *position = backlog->written - backlog->size;
    }
    while (count < length && *position < backlog->written)
        byte[count++] = backlog->bytes[(*position)++ % backlog->size];
    return count;
}
