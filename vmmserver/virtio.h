/* The virtio devices of a VM as its monitor has them: windows onto the registers of devices that are processes of their
 * own (ipc/virtio.h). Makes system calls. */
#pragma once

#include "ipc/vm_config.h"
#include "vmm/runtime.h"

struct virtio_link {
    unsigned number; /* of the device */
    struct machine *machine;
    struct task interrupt_task;
};

struct virtio_links {
    unsigned count;
    struct virtio_link link[VM_VIRTIO_MAX];
};

/* How many devices CONFIG wants. */
void virtio_links_init(struct virtio_links *links, const struct vm_config *config);

/* Hands a frame of the guest's RAM to all servers (ram.h: share). */
const char *virtio_links_share(void *links, seL4_CPtr frame);

/* Registers the windows and interrupts. NULL, or why the devices cannot be had. */
const char *virtio_links_connect(struct virtio_links *links, struct runtime *runtime);

/* Which places of vmm/device.h are taken: a bit each. */
uint8_t virtio_links_present(const struct virtio_links *links);
