/* virtioserver: one virtio device of one VM. */
#include "ipc/virtio.h"
#include "runtime/runtime.h"
#include "virtio/mmio.h"
#include "virtioserver/ram_disk.h"
#include "virtioserver/shared_memory.h"

#define WORDS_MAX 3u

struct server {
    struct shared_memory shared;
    struct ram_disk disk;
    struct virtio_blk blk;
    struct virtio_mmio mmio;
    bool work; /* queues may hold chains */
};

/* What the monitor asked, and the answer. */
struct exchange {
    seL4_MessageInfo_t info;
    seL4_Word badge, word[WORDS_MAX];
};

static void interrupt(void *context)
{
    (void)context;
    seL4_Signal(SLOT_VIRTIO_INTERRUPT);
}

/* All queues once, each only so far as one call goes. */
static void run_queues(struct server *server)
{
    server->work = false;
    for (unsigned i = 0; i < server->blk.device.queue_count; i++)
        if (virtio_device_run_queue(&server->blk.device, i))
            server->work = true;
}

static bool size_is_right(seL4_Word size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

static enum virtio_status access_register(struct server *server, struct exchange *exchange, bool write)
{
    const seL4_Word *word = exchange->word;
    unsigned queue;

    if (!size_is_right(word[1]))
        return VIRTIO_INVALID;
    if (!shared_memory_is_complete(&server->shared))
        return VIRTIO_DENIED;
    if (!write)
        exchange->word[0] = virtio_mmio_read(&server->mmio, word[0], (unsigned)word[1]);
    else if (virtio_mmio_write(&server->mmio, word[0], (unsigned)word[1], word[2], &queue))
        server->work = true;
    return VIRTIO_OK;
}

static enum virtio_status serve(struct server *server, struct exchange *exchange)
{
    static const struct ipc_shape shapes[] = { VIRTIO_PROTOCOL(IPC_SHAPE) };
    uint64_t capabilities = seL4_MessageInfo_get_extraCaps(exchange->info);
    uint64_t operation = seL4_MessageInfo_get_label(exchange->info);
    const struct ipc_shape *shape = ipc_shape(shapes, sizeof shapes / sizeof shapes[0], operation,
                                              seL4_MessageInfo_get_length(exchange->info), capabilities);

    if (shape && operation == VIRTIO_SHARE)
        return capabilities > 0 && shared_memory_add(&server->shared) ? VIRTIO_OK : VIRTIO_INVALID;
    if (capabilities > 0)
        shared_memory_refuse(&server->shared);
    return shape ? access_register(server, exchange, operation == VIRTIO_WRITE) : VIRTIO_INVALID;
}

/* Answers where somebody waits, and receives: without waiting where there is work to do. */
static void next(const struct server *server, struct exchange *exchange, bool answer, enum virtio_status status)
{
    seL4_MessageInfo_t reply = seL4_MessageInfo_new(status, 0, 0, 1);
    seL4_Word *word = exchange->word;

    if (answer && !server->work) {
        exchange->info = seL4_ReplyRecvWithMRs(SLOT_VIRTIO_RECEIVE, reply, &exchange->badge, &word[0], &word[1],
                                               &word[2], NULL);
        return;
    }
    if (answer)
        seL4_ReplyWithMRs(reply, &word[0], NULL, NULL, NULL);
    if (!server->work) {
        exchange->info = seL4_RecvWithMRs(SLOT_VIRTIO_RECEIVE, &exchange->badge, &word[0], &word[1], &word[2], NULL);
        return;
    }
    exchange->info = seL4_NBRecv(SLOT_VIRTIO_RECEIVE, &exchange->badge);
    for (unsigned i = 0; i < WORDS_MAX; i++)
        word[i] = seL4_GetMR((int)i);
}

void service_main(const struct startup *startup)
{
    static struct server server; /* too large for the stack */
    struct exchange exchange = { .badge = 0 };
    enum virtio_status status = VIRTIO_OK;
    bool answer = false;

    shared_memory_init(&server.shared, startup);
    struct virtio_blk_disk disk = ram_disk_open(&server.disk, startup);
    virtio_blk_init(&server.blk, &disk, &server.shared.memory);
    server.blk.device.interrupt = interrupt;
    virtio_mmio_init(&server.mmio, &server.blk.device);
    for (;;) {
        next(&server, &exchange, answer, status);
        answer = exchange.badge & VIRTIO_CLIENT_BADGE;
        if (answer)
            status = serve(&server, &exchange);
        else if (exchange.badge & NOTIFY_VIRTIO_QUEUE || server.work) /* no badge: nobody wants anything, go on */
            run_queues(&server);
    }
}
