/* The byte ring, once with an honest peer, against a plain queue; once with one that stores anything into what the two
 * share, between any two calls: no access leaves the ring, every call ends, and the ring can be used again after it.
 */
#include "ipc/ring.h"
#include "tests/fuzz/fuzz.h"

#define CHUNK 5000u

struct queue {
    uint8_t bytes[2 * RING_BYTES];
    size_t first, count;
};

static void put(struct queue *queue, uint8_t byte)
{
    queue->bytes[(queue->first + queue->count++) % sizeof queue->bytes] = byte;
}

static uint8_t get(struct queue *queue)
{
    uint8_t byte = queue->bytes[queue->first];

    queue->first = (queue->first + 1) % sizeof queue->bytes;
    queue->count--;
    return byte;
}

static void honest(struct script *script, struct byte_ring *ring)
{
    struct queue *queue = calloc(1, sizeof *queue);
    uint8_t *chunk = malloc(CHUNK);
    uint8_t next = 0;
    uint32_t lost = 0, lost_seen = 0;

    REQUIRE(queue && chunk);
    while (script->left > 0) {
        uint8_t what = script_byte(script);
        size_t length = script_take(script, 2) % CHUNK, done;

        if (what & 1) {
            done = ring_read(ring, chunk, length);
            REQUIRE(done == (length < queue->count ? length : queue->count));
            for (size_t i = 0; i < done; i++)
                REQUIRE(chunk[i] == get(queue));
        } else {
            size_t room = RING_BYTES - queue->count;

            for (size_t i = 0; i < length; i++)
                chunk[i] = (uint8_t)(next + i);
            done = what & 2 ? ring_write(ring, chunk, length) : ring_offer(ring, chunk, length);
            REQUIRE(done == (length < room ? length : room));
            for (size_t i = 0; i < done; i++)
                put(queue, next++);
            lost += what & 2 ? (uint32_t)(length - done) : 0;
        }
        REQUIRE(ring_waiting(ring) == queue->count);
    }
    REQUIRE(ring_lost_since(ring, &lost_seen) == lost);
    free(queue);
    free(chunk);
}

static void hostile(struct script *script, struct byte_ring *ring)
{
    uint8_t *chunk = malloc(CHUNK);
    uint32_t lost_seen = 0;

    REQUIRE(chunk != NULL);
    memset(chunk, 'h', CHUNK);
    while (script->left > 0) {
        uint8_t what = script_byte(script);
        size_t length = script_take(script, 2) % CHUNK;

        switch (what % 6) {
        case 0:
            atomic_store(&ring->written, (uint32_t)script_take(script, 4));
            break;
        case 1:
            atomic_store(&ring->read, (uint32_t)script_take(script, 4));
            break;
        case 2:
            atomic_store(&ring->lost, (uint32_t)script_take(script, 4));
            break;
        case 3:
            REQUIRE(ring_read(ring, chunk, length) <= length);
            break;
        case 4:
            REQUIRE(ring_offer(ring, chunk, length) <= length);
            break;
        default:
            REQUIRE(ring_write(ring, chunk, length) <= length);
            break;
        }
        REQUIRE(ring_waiting(ring) <= RING_BYTES);
        ring_lost_since(ring, &lost_seen);
    }
    /* The reader comes to the end of whatever is there, and what is written then arrives. */
    for (unsigned reads = 0; ring_read(ring, chunk, CHUNK) > 0; reads++)
        REQUIRE(reads < 4);
    REQUIRE(ring_offer(ring, "again", 5) == 5);
    REQUIRE(ring_read(ring, chunk, CHUNK) == 5 && memcmp(chunk, "again", 5) == 0);
    free(chunk);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct script script = { bytes, length };
    struct byte_ring *ring = aligned_alloc(_Alignof(struct byte_ring), sizeof *ring);
    uint8_t how = script_byte(&script);

    REQUIRE(ring != NULL);
    memset(ring, 0, sizeof *ring);
    if (how & 2) { /* near where the indices wrap around */
        uint32_t start = RING_INDEX_WRAP - 1 - (uint32_t)script_take(&script, 2) % (2 * RING_BYTES);

        atomic_store(&ring->written, start);
        atomic_store(&ring->read, start);
    }
    if (how & 1)
        hostile(&script, ring);
    else
        honest(&script, ring);
    free(ring);
    return 0;
}
