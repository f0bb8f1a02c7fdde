#include "virtio/virtqueue.h"

#include <linux/virtio_ring.h>
#include <string.h>

/* 2.7: alignment and size of the three parts. The last two bytes of each ring are those of VIRTIO_F_EVENT_IDX. */
#define DESCRIPTOR_ALIGN 16u
#define AVAILABLE_ALIGN  2u
#define USED_ALIGN       4u
#define DESCRIPTOR_BYTES 16u
#define RING_FLAGS       0u
#define RING_INDEX       2u
#define RING_ENTRIES     4u
#define AVAILABLE_ENTRY  2u
#define USED_ENTRY       8u

_Static_assert(sizeof(struct vring_desc) == DESCRIPTOR_BYTES, "2.7.5");
_Static_assert(sizeof(struct vring_used_elem) == USED_ENTRY, "2.7.8");

static uint64_t available_bytes(const struct virtqueue *queue)
{
    return RING_ENTRIES + AVAILABLE_ENTRY * (uint64_t)queue->size + 2;
}

static uint64_t used_bytes(const struct virtqueue *queue)
{
    return RING_ENTRIES + USED_ENTRY * (uint64_t)queue->size + 2;
}

static uint16_t load(const uint8_t *place)
{
    return __atomic_load_n((const uint16_t *)(const void *)place, __ATOMIC_ACQUIRE);
}

static void store(uint8_t *place, uint16_t value)
{
    __atomic_store_n((uint16_t *)(void *)place, value, __ATOMIC_RELEASE);
}

/* What we have written is seen by the driver before we look at what it has written. */
static void order_stores_before_loads(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* A copy that the compiler cannot replace by reading the shared bytes again later. */
static void copy_once(void *to, const void *from, size_t length)
{
    memcpy(to, from, length);
    __asm__ volatile("" : : : "memory");
}

void virtqueue_init(struct virtqueue *queue, const struct guest_memory *memory, uint16_t size_max)
{
    *queue = (struct virtqueue) { .memory = memory, .size_max = size_max };
}

void virtqueue_reset(struct virtqueue *queue)
{
    virtqueue_init(queue, queue->memory, queue->size_max);
}

bool virtqueue_start(struct virtqueue *queue, bool indirect, bool event_index)
{
    if (queue->size == 0 || queue->size > queue->size_max || (queue->size & (queue->size - 1)) != 0)
        return false;
    if (queue->descriptor_table % DESCRIPTOR_ALIGN || queue->available_ring % AVAILABLE_ALIGN ||
        queue->used_ring % USED_ALIGN)
        return false;
    uint8_t *descriptors =
        guest_memory_at(queue->memory, queue->descriptor_table, DESCRIPTOR_BYTES * (uint64_t)queue->size);
    uint8_t *available = guest_memory_at(queue->memory, queue->available_ring, available_bytes(queue));
    uint8_t *used = guest_memory_at(queue->memory, queue->used_ring, used_bytes(queue));
    if (!descriptors || !available || !used)
        return false;
    queue->descriptors = descriptors;
    queue->available = available;
    queue->used = used;
    queue->indirect = indirect;
    queue->event_index = event_index;
    queue->available_next = queue->available_seen = queue->used_next = queue->used_announced = 0;
    queue->ready = true;
    return true;
}

/* Appends a descriptor's buffer. False: it breaks a rule. */
static bool add_buffer(const struct virtqueue *queue, struct virtqueue_chain *chain,
                       const struct vring_desc *descriptor)
{
    bool writable = descriptor->flags & VRING_DESC_F_WRITE;
    uint32_t *total = writable ? &chain->writable_bytes : &chain->readable_bytes;

    if (!writable && chain->writable > 0) /* 2.7.4.2: what the device may write comes last */
        return false;
    if (descriptor->len == 0)
        return true;
    uint8_t *bytes = guest_memory_at(queue->memory, descriptor->addr, descriptor->len);
    /* 2.7.5.2: no more than 2^32 bytes in all; one less leaves every sum of ours within 32 bits. */
    if (!bytes || descriptor->len > UINT32_MAX - chain->readable_bytes - chain->writable_bytes)
        return false;
    chain->buffer[chain->readable + chain->writable] =
        (struct virtqueue_buffer) { .bytes = bytes, .length = descriptor->len };
    if (writable)
        chain->writable++;
    else
        chain->readable++;
    *total += descriptor->len;
    return true;
}

/* Follows a chain from descriptor INDEX in a TABLE of COUNT descriptors, at most COUNT steps, so that a loop ends.
 * Where it ends in an indirect descriptor, that one is left in *LAST. */
static bool follow(const struct virtqueue *queue, struct virtqueue_chain *chain, const uint8_t *table, unsigned count,
                   unsigned index, bool may_be_indirect, struct vring_desc *last)
{
    for (unsigned steps = 0; steps < count; steps++) {
        if (index >= count)
            return false;
        copy_once(last, table + DESCRIPTOR_BYTES * (size_t)index, sizeof *last);
        if (last->flags & VRING_DESC_F_INDIRECT) /* 2.7.5.3.1: the last one of its chain, and not within a table */
            return may_be_indirect && !(last->flags & VRING_DESC_F_NEXT);
        if (!add_buffer(queue, chain, last))
            return false;
        if (!(last->flags & VRING_DESC_F_NEXT))
            return true;
        index = last->next;
    }
    return false;
}

static bool read_chain(const struct virtqueue *queue, struct virtqueue_chain *chain)
{
    struct vring_desc last;

    if (!follow(queue, chain, queue->descriptors, queue->size, chain->head, queue->indirect, &last))
        return false;
    if (!(last.flags & VRING_DESC_F_INDIRECT))
        return true;

    /* A table may hold more descriptors than the queue has: Linux makes it as long as the device lets a request be,
     * however small it has made the queue. A chain with both kinds has no more than the largest queue either. */
    unsigned count = last.len / DESCRIPTOR_BYTES;
    const uint8_t *table = guest_memory_at(queue->memory, last.addr, last.len);

    return table && last.len % DESCRIPTOR_BYTES == 0 && count > 0 &&
           count <= queue->size_max - chain->readable - chain->writable &&
           follow(queue, chain, table, count, 0, false, &last);
}

enum virtqueue_result virtqueue_take(struct virtqueue *queue, struct virtqueue_chain *chain)
{
    if (queue->available_next == queue->available_seen) {
        queue->available_seen = load(queue->available + RING_INDEX);
        /* 2.7.13.1: no more chains than descriptors are under way. */
        if ((uint16_t)(queue->available_seen - queue->available_next) > queue->size)
            return VIRTQUEUE_BROKEN;
        if (queue->available_next == queue->available_seen)
            return VIRTQUEUE_EMPTY;
    }
    unsigned place = queue->available_next & (queue->size - 1u);

    chain->head = load(queue->available + RING_ENTRIES + AVAILABLE_ENTRY * place);
    chain->readable = chain->writable = 0;
    chain->readable_bytes = chain->writable_bytes = 0;
    if (!read_chain(queue, chain))
        return VIRTQUEUE_BROKEN;
    queue->available_next++;
    return VIRTQUEUE_CHAIN;
}

void virtqueue_give_back(struct virtqueue *queue, uint16_t head, uint32_t written)
{
    struct vring_used_elem element = { .id = head, .len = written };
    unsigned place = queue->used_next & (queue->size - 1u);

    memcpy(queue->used + RING_ENTRIES + USED_ENTRY * place, &element, sizeof element);
    store(queue->used + RING_INDEX, ++queue->used_next);
}

bool virtqueue_wants_interrupt(struct virtqueue *queue)
{
    uint16_t before = queue->used_announced;

    queue->used_announced = queue->used_next;
    if (before == queue->used_next)
        return false;
    order_stores_before_loads();
    if (!queue->event_index)
        return !(load(queue->available + RING_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
    /* 2.7.7.2: the driver says which of our indices it waits for. */
    uint16_t event = load(queue->available + RING_ENTRIES + AVAILABLE_ENTRY * queue->size);
    return (uint16_t)(queue->used_next - event - 1) < (uint16_t)(queue->used_next - before);
}

void virtqueue_refuse_notifications(struct virtqueue *queue)
{
    /* With an event index the one that the driver has reached already is as good as none (2.7.10.1). */
    if (!queue->event_index)
        store(queue->used + RING_FLAGS, VRING_USED_F_NO_NOTIFY);
}

bool virtqueue_ask_for_notifications(struct virtqueue *queue)
{
    if (queue->event_index)
        store(queue->used + RING_ENTRIES + USED_ENTRY * (size_t)queue->size, queue->available_next);
    else
        store(queue->used + RING_FLAGS, 0);
    order_stores_before_loads();
    return load(queue->available + RING_INDEX) != queue->available_next;
}

static struct virtqueue_cursor cursor_over(const struct virtqueue_buffer *buffer, unsigned count, uint32_t bytes)
{
    return (struct virtqueue_cursor) { .buffer = buffer, .buffers = count, .bytes_left = bytes };
}

struct virtqueue_cursor virtqueue_readable(const struct virtqueue_chain *chain)
{
    return cursor_over(chain->buffer, chain->readable, chain->readable_bytes);
}

struct virtqueue_cursor virtqueue_writable(const struct virtqueue_chain *chain)
{
    return cursor_over(chain->buffer + chain->readable, chain->writable, chain->writable_bytes);
}

uint32_t virtqueue_next(struct virtqueue_cursor *cursor, uint32_t maximum, uint8_t **bytes)
{
    if (cursor->buffers == 0)
        return 0;
    uint32_t here = cursor->buffer->length - cursor->offset;
    uint32_t length = here < maximum ? here : maximum;

    *bytes = cursor->buffer->bytes + cursor->offset;
    cursor->offset += length;
    cursor->bytes_left -= length;
    if (cursor->offset == cursor->buffer->length) {
        cursor->buffer++;
        cursor->buffers--;
        cursor->offset = 0;
    }
    return length;
}

uint32_t virtqueue_copy_from(struct virtqueue_cursor *cursor, void *bytes, uint32_t length)
{
    uint32_t done = 0, part;
    uint8_t *from;

    for (; done < length && (part = virtqueue_next(cursor, length - done, &from)) > 0; done += part)
        copy_once((uint8_t *)bytes + done, from, part);
    return done;
}

uint32_t virtqueue_copy_to(struct virtqueue_cursor *cursor, const void *bytes, uint32_t length)
{
    uint32_t done = 0, part;
    uint8_t *to;

    for (; done < length && (part = virtqueue_next(cursor, length - done, &to)) > 0; done += part)
        memcpy(to, (const uint8_t *)bytes + done, part);
    return done;
}
