/* A byte ring in memory that two processes share: one writes, one reads, neither trusts the other.
 *
 * Lock-free, single producer and single consumer. The indices run up to RING_INDEX_WRAP and are taken modulo the
 * size, so that whatever the other side stores into its index, no access leaves the buffer: the worst that a broken
 * peer gets is wrong bytes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_BYTES 3968u /* a ring and its indices fill one 4 KiB page */

/* Where an index starts again from 0: the largest multiple of RING_BYTES in 32 bits, since a wrap anywhere else would
 * give two places in the buffer the same index. */
#define RING_INDEX_WRAP (UINT32_MAX / RING_BYTES * RING_BYTES)

struct byte_ring {
    _Alignas(64) _Atomic uint32_t written; /* bytes ever written, modulo RING_INDEX_WRAP; stored by the producer alone */
    _Atomic uint32_t lost;                 /* bytes that the producer had to drop because the ring was full */
    _Alignas(64) _Atomic uint32_t read;    /* bytes ever read, likewise; stored by the consumer alone */
    uint8_t bytes[RING_BYTES];
};

_Static_assert(sizeof(struct byte_ring) == 4096, "a ring is one page");

/* Appends up to LENGTH bytes; returns how many fitted, and counts the others as lost. Never waits. */
size_t ring_write(struct byte_ring *ring, const void *bytes, size_t length);

/* As ring_write, but all of it or nothing, which is then lost as a whole; false: it is. */
bool ring_write_whole(struct byte_ring *ring, const void *bytes, size_t length);

/* As ring_write, but bytes that do not fit are left to the caller and not counted as lost. */
size_t ring_offer(struct byte_ring *ring, const void *bytes, size_t length);

/* Takes up to LENGTH bytes; returns how many there were. Never waits. */
size_t ring_read(struct byte_ring *ring, void *bytes, size_t length);

/* Bytes waiting to be read, at most RING_BYTES whatever the producer stored. */
size_t ring_waiting(const struct byte_ring *ring);

/* Bytes dropped since the last call; the consumer's LAST_SEEN keeps the count between calls. */
uint32_t ring_lost_since(const struct byte_ring *ring, uint32_t *last_seen);
