#include "ipc/virtio.h"

#include <sel4/sel4.h>
#include <stddef.h>

enum virtio_status virtio_share(uint64_t server, uint64_t frame)
{
    seL4_SetCap(0, frame);
    return seL4_MessageInfo_get_label(seL4_Call(server, seL4_MessageInfo_new(VIRTIO_SHARE, 0, 1, 0)));
}

enum virtio_status virtio_read(uint64_t server, uint64_t offset, unsigned size, uint64_t *value)
{
    seL4_Word words[2] = { offset, size };
    seL4_MessageInfo_t reply =
        seL4_CallWithMRs(server, seL4_MessageInfo_new(VIRTIO_READ, 0, 0, 2), &words[0], &words[1], NULL, NULL);

    *value = words[0];
    return seL4_MessageInfo_get_label(reply);
}

enum virtio_status virtio_write(uint64_t server, uint64_t offset, unsigned size, uint64_t value)
{
    seL4_Word words[3] = { offset, size, value };

    return seL4_MessageInfo_get_label(seL4_CallWithMRs(server, seL4_MessageInfo_new(VIRTIO_WRITE, 0, 0, 3), &words[0],
                                                       &words[1], &words[2], NULL));
}
