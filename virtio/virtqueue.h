/* A split virtqueue as the device sees it: chains of buffers that the driver made available, and the used ring.
 *
 * The rings, descriptors and buffers lie in guest memory and change at any moment. Every descriptor and index is read
 * once into private memory and checked there; what a chain promises (places in guest RAM, lengths, order) holds
 * whatever the driver does to its descriptors afterwards. Only the bytes in the buffers remain the driver's.
 *
 * Citations: Virtual I/O Device (VIRTIO) Version 1.2. Pure: no system calls.
 */
#pragma once

#include "vmm/guest_memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTQUEUE_SIZE_MAX 256u /* descriptors of a queue, and of a chain */

struct virtqueue {
    const struct guest_memory *memory;
    uint16_t size_max; /* what the device offers; a power of two up to VIRTQUEUE_SIZE_MAX */

    /* As the driver set them; valid once the queue is ready. */
    uint16_t size;
    uint64_t descriptor_table, available_ring, used_ring; /* guest physical */

    bool ready;
    bool indirect, event_index; /* negotiated: VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX */

    /* While it is ready: the three parts in our address space. */
    const uint8_t *descriptors, *available;
    uint8_t *used;

    uint16_t available_next; /* index of the next chain to take */
    uint16_t available_seen; /* the driver's index when it was last read */
    uint16_t used_next;      /* our index in the used ring */
    uint16_t used_announced; /* the same when the driver was last asked whether it wants an interrupt */
};

struct virtqueue_buffer {
    uint8_t *bytes; /* in guest RAM, all of them */
    uint32_t length; /* not 0 */
};

/* One request: buffers to read from, then buffers to write to. */
struct virtqueue_chain {
    uint16_t head;
    unsigned readable, writable; /* buffers of each kind; those with no bytes are left out */
    uint32_t readable_bytes, writable_bytes;
    struct virtqueue_buffer buffer[VIRTQUEUE_SIZE_MAX];
};

enum virtqueue_result {
    VIRTQUEUE_EMPTY,  /* the driver has nothing for us */
    VIRTQUEUE_CHAIN,  /* a chain was taken */
    VIRTQUEUE_BROKEN, /* the driver broke the rules: nothing in the queue means anything any more */
};

/* A queue that is not ready, with at most SIZE_MAX descriptors. */
void virtqueue_init(struct virtqueue *queue, const struct guest_memory *memory, uint16_t size_max);

/* Back to what virtqueue_init made. */
void virtqueue_reset(struct virtqueue *queue);

/* Starts the queue. False where its size is no power of two or too large, or where a part of it is not aligned (2.7) or
 * not in guest RAM: then it stays as it is. */
bool virtqueue_start(struct virtqueue *queue, bool indirect, bool event_index);

/* The next chain of a queue that is ready. */
enum virtqueue_result virtqueue_take(struct virtqueue *queue, struct virtqueue_chain *chain);

/* Gives the chain of HEAD back, with WRITTEN bytes in its writable part. */
void virtqueue_give_back(struct virtqueue *queue, uint16_t head, uint32_t written);

/* Whether the driver wants an interrupt for what was given back since the last call. */
bool virtqueue_wants_interrupt(struct virtqueue *queue);

/* The driver need not notify us: we are looking at the queue anyway. */
void virtqueue_refuse_notifications(struct virtqueue *queue);

/* From now on the driver notifies us of new chains. True where some came before it could know that. */
bool virtqueue_ask_for_notifications(struct virtqueue *queue);

/* A place in one of the two parts of a chain. */
struct virtqueue_cursor {
    const struct virtqueue_buffer *buffer;
    unsigned buffers;    /* left, with this one */
    uint32_t offset;     /* in this one */
    uint32_t bytes_left; /* in all of them */
};

struct virtqueue_cursor virtqueue_readable(const struct virtqueue_chain *chain);
struct virtqueue_cursor virtqueue_writable(const struct virtqueue_chain *chain);

/* The next bytes that lie side by side, at most MAXIMUM, and moves behind them; how many, 0 at the end. */
uint32_t virtqueue_next(struct virtqueue_cursor *cursor, uint32_t maximum, uint8_t **bytes);

/* Copies LENGTH bytes, or what is left; how many. What was copied out does not change any more. */
uint32_t virtqueue_copy_from(struct virtqueue_cursor *cursor, void *bytes, uint32_t length);
uint32_t virtqueue_copy_to(struct virtqueue_cursor *cursor, const void *bytes, uint32_t length);
