#include "ipc/ring.h"

#include <string.h>

/* Reduces what the peer may have stored to an index that can be. */
static uint32_t load(const _Atomic uint32_t *index, memory_order order)
{
    uint32_t value = atomic_load_explicit(index, order);
    return value < RING_INDEX_WRAP ? value : value - RING_INDEX_WRAP;
}

static uint32_t advance(uint32_t index, uint32_t count)
{
    uint32_t room = RING_INDEX_WRAP - index;
    return count < room ? index + count : count - room;
}

/* How far TO is ahead of FROM; more than RING_BYTES if one of them is nonsense. */
static uint32_t distance(uint32_t from, uint32_t to)
{
    return to >= from ? to - from : RING_INDEX_WRAP - from + to;
}

static void copy_in(struct byte_ring *ring, uint32_t index, const uint8_t *bytes, uint32_t count)
{
    uint32_t position = index % RING_BYTES;
    uint32_t until_end = RING_BYTES - position < count ? RING_BYTES - position : count;

    memcpy(ring->bytes + position, bytes, until_end);
    memcpy(ring->bytes, bytes + until_end, count - until_end);
}

static void copy_out(const struct byte_ring *ring, uint32_t index, uint8_t *bytes, uint32_t count)
{
    uint32_t position = index % RING_BYTES;
    uint32_t until_end = RING_BYTES - position < count ? RING_BYTES - position : count;

    memcpy(bytes, ring->bytes + position, until_end);
    memcpy(bytes + until_end, ring->bytes, count - until_end);
}

size_t ring_offer(struct byte_ring *ring, const void *bytes, size_t length)
{
    uint32_t written = load(&ring->written, memory_order_relaxed);
    uint32_t used = distance(load(&ring->read, memory_order_acquire), written);
    uint32_t room = used < RING_BYTES ? RING_BYTES - used : 0;
    uint32_t count = length < room ? (uint32_t)length : room;

    if (count == 0)
        return 0;
    copy_in(ring, written, bytes, count);
    atomic_store_explicit(&ring->written, advance(written, count), memory_order_release);
    return count;
}

size_t ring_write(struct byte_ring *ring, const void *bytes, size_t length)
{
    size_t count = ring_offer(ring, bytes, length);

    if (count < length)
        atomic_fetch_add_explicit(&ring->lost, (uint32_t)(length - count), memory_order_relaxed);
    return count;
}

bool ring_write_whole(struct byte_ring *ring, const void *bytes, size_t length)
{
    uint32_t used = distance(load(&ring->read, memory_order_acquire), load(&ring->written, memory_order_relaxed));

    if (used < RING_BYTES && length <= RING_BYTES - used)
        return ring_offer(ring, bytes, length) == length;
    atomic_fetch_add_explicit(&ring->lost, (uint32_t)length, memory_order_relaxed);
    return false;
}

size_t ring_read(struct byte_ring *ring, void *bytes, size_t length)
{
    uint32_t written = load(&ring->written, memory_order_acquire);
    uint32_t read = load(&ring->read, memory_order_relaxed);
    uint32_t waiting = distance(read, written);

    if (waiting > RING_BYTES) {
        /* The producer cannot have done that; go to where its last RING_BYTES bytes would begin, so that the ring
         * runs empty again even so. */
        waiting = RING_BYTES;
        read = advance(written, RING_INDEX_WRAP - RING_BYTES);
    }
    uint32_t count = length < waiting ? (uint32_t)length : waiting;
    if (count == 0)
        return 0;
    copy_out(ring, read, bytes, count);
    atomic_store_explicit(&ring->read, advance(read, count), memory_order_release);
    return count;
}

size_t ring_waiting(const struct byte_ring *ring)
{
    uint32_t written = load(&ring->written, memory_order_acquire);
    uint32_t waiting = distance(load(&ring->read, memory_order_relaxed), written);

    return waiting < RING_BYTES ? waiting : RING_BYTES;
}

uint32_t ring_lost_since(const struct byte_ring *ring, uint32_t *last_seen)
{
    uint32_t lost = atomic_load_explicit(&ring->lost, memory_order_relaxed);
    uint32_t fresh = lost - *last_seen;

    *last_seen = lost;
    return fresh;
}
