/* The ring between two processes: against a model, with hostile indices, and between two threads. */
#include "ipc/ring.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int set_up(void **state)
{
    *state = aligned_alloc(4096, sizeof(struct byte_ring));
    memset(*state, 0, sizeof(struct byte_ring));
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

/* The bytes that go through are a counter's, so that any loss, doubling or exchange shows. */
static void run_model(struct byte_ring *ring, uint64_t seed, int steps)
{
    uint64_t random = seed;
    size_t waiting = 0;
    uint32_t lost = 0, seen = atomic_load(&ring->lost);
    uint32_t in = 0, out = 0;
    uint8_t bytes[5000];

    for (int step = 0; step < steps; step++) {
        size_t length = next_random(&random) % ((size_t)1 << (next_random(&random) % 13));
        uint64_t choice = next_random(&random) % 5;

        if (choice < 2) {
            for (size_t i = 0; i < length; i++)
                bytes[i] = (uint8_t)((in + i) * 7 >> 2);
            size_t room = RING_BYTES - waiting;
            size_t expected = length < room ? length : room;
            size_t count = choice == 0 ? ring_write(ring, bytes, length) : ring_offer(ring, bytes, length);
            assert_int_equal(count, expected);
            if (choice == 0)
                lost += (uint32_t)(length - count);
            in += (uint32_t)count;
            waiting += count;
        } else {
            size_t expected = length < waiting ? length : waiting;
            assert_int_equal(ring_read(ring, bytes, length), expected);
            for (size_t i = 0; i < expected; i++)
                assert_int_equal(bytes[i], (uint8_t)((out + i) * 7 >> 2));
            out += (uint32_t)expected;
            waiting -= expected;
        }
        assert_int_equal(ring_waiting(ring), waiting);
    }
    assert_int_equal(ring_lost_since(ring, &seen), lost);
    assert_int_equal(ring_lost_since(ring, &seen), 0);
}

static void bytes_come_out_once_and_in_order(void **state)
{
    run_model(*state, 1, 40000);
}

static void order_holds_where_the_indices_wrap(void **state)
{
    struct byte_ring *ring = *state;

    for (uint64_t seed = 1; seed < 50; seed++) {
        uint32_t start = RING_INDEX_WRAP - (uint32_t)(seed * 997 % 9000) - 1;
        atomic_store(&ring->written, start);
        atomic_store(&ring->read, start);
        run_model(ring, seed, 200);
    }
}

static void whatever_the_peer_stores_no_access_leaves_the_ring(void **state)
{
    struct byte_ring *ring = *state;
    uint64_t random = 99;
    uint8_t bytes[5000] = { 0 };

    for (int step = 0; step < 100000; step++) {
        uint32_t wild = (uint32_t)next_random(&random) | (next_random(&random) % 4 ? 0 : 0xffffff00);
        atomic_store(next_random(&random) % 2 ? &ring->written : &ring->read, wild);
        size_t length = next_random(&random) % sizeof bytes;
        assert_true(ring_waiting(ring) <= RING_BYTES);
        size_t count = next_random(&random) % 2 ? ring_read(ring, bytes, length) : ring_write(ring, bytes, length);
        assert_true(count <= length && count <= RING_BYTES);
    }
}

static void a_reader_of_nonsense_reaches_the_end(void **state)
{
    struct byte_ring *ring = *state;
    uint8_t bytes[100];
    size_t total = 0, count;

    atomic_store(&ring->written, 3000000000u);
    while ((count = ring_read(ring, bytes, sizeof bytes)) > 0)
        total += count;
    assert_int_equal(total, RING_BYTES);
    assert_int_equal(ring_waiting(ring), 0);
    assert_int_equal(ring_write(ring, "ok", 2), 2);
    assert_int_equal(ring_read(ring, bytes, sizeof bytes), 2);
    assert_memory_equal(bytes, "ok", 2);
}

#define THREAD_BYTES 2000000u

static void *produce(void *argument)
{
    struct byte_ring *ring = argument;
    uint64_t random = 5;
    uint8_t bytes[512];

    for (uint32_t sent = 0; sent < THREAD_BYTES;) {
        uint32_t length = (uint32_t)(next_random(&random) % sizeof bytes);
        if (length > THREAD_BYTES - sent)
            length = THREAD_BYTES - sent;
        for (uint32_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)((sent + i) * 13 >> 3);
        sent += (uint32_t)ring_offer(ring, bytes, length);
    }
    return NULL;
}

static void two_threads_agree_on_every_byte(void **state)
{
    struct byte_ring *ring = *state;
    pthread_t producer;
    uint64_t random = 6;
    uint8_t bytes[512];

    atomic_store(&ring->written, RING_INDEX_WRAP - THREAD_BYTES / 2);
    atomic_store(&ring->read, RING_INDEX_WRAP - THREAD_BYTES / 2);
    assert_int_equal(pthread_create(&producer, NULL, produce, ring), 0);
    for (uint32_t received = 0; received < THREAD_BYTES;) {
        size_t count = ring_read(ring, bytes, next_random(&random) % sizeof bytes);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(bytes[i], (uint8_t)((received + i) * 13 >> 3));
        received += (uint32_t)count;
    }
    pthread_join(producer, NULL);
    assert_int_equal(ring_waiting(ring), 0);
}

static void a_line_is_written_whole_or_not_at_all(void **state)
{
    static struct byte_ring ring;
    char text[1000], back[RING_BYTES];
    uint32_t seen = 0;
    unsigned lines = 0;

    (void)state;
    memset(text, 'l', sizeof text);
    while (ring_write_whole(&ring, text, sizeof text))
        lines++;
    assert_int_equal(lines, RING_BYTES / sizeof text);
    assert_int_equal(ring_lost_since(&ring, &seen), sizeof text);
    assert_int_equal(ring_read(&ring, back, sizeof back), lines * sizeof text);
    assert_true(ring_write_whole(&ring, text, sizeof text));
    ring.read = 0xdeadbeef; /* nonsense of the reader's */
    ring_write_whole(&ring, text, sizeof text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_come_out_once_and_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(order_holds_where_the_indices_wrap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whatever_the_peer_stores_no_access_leaves_the_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_of_nonsense_reaches_the_end, set_up, tear_down),
        cmocka_unit_test(a_line_is_written_whole_or_not_at_all),
        cmocka_unit_test_setup_teardown(two_threads_agree_on_every_byte, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
