/* The newest bytes of a stream, with room for so many: what is older makes way. Pure.
 *
 * A reader keeps its own position, a count of bytes since the stream's beginning.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct backlog {
    uint8_t *bytes;
    size_t size;
    uint64_t written; /* bytes since the beginning; the last SIZE of them are there */
};

void backlog_add(struct backlog *backlog, const void *bytes, size_t length);

/* Copies up to LENGTH bytes from POSITION on and moves it behind them; returns how many there were. What is no longer
 * there is skipped, and counted in MISSED. */
size_t backlog_read(const struct backlog *backlog, uint64_t *position, uint64_t *missed, void *bytes, size_t length);
