/* Between a VM's monitor and the virtioserver of one of its devices, and how such devices are numbered.
 *
 * The monitor calls, the server answers; the server never waits for the monitor. Neither needs to trust the other
 * further than for the device to work: the server checks every word of a request, maps only where it has planned to,
 * and takes nothing from guest memory unchecked; the monitor takes nothing from the server but the value of a register
 * and signals on a notification bit that stands for the device's interrupt. Both serve one VM, so that a server which
 * does not answer, or a monitor that takes its guest's memory back, harms no other.
 *
 * A request is an seL4_Call on SLOT_VM_VIRTIO_CALL + device; the reply's label is an enum virtio_status. A queue
 * notification can also be a signal on SLOT_VM_VIRTIO_NOTIFY + device, for which nobody waits.
 */
#pragma once

#include "ipc/protocol.h"

#define virtio_read_request(FIELD)                              \
    FIELD(uint64_t, offset, , "in the register block")          \
    FIELD(uint64_t, size, , "bytes: 1, 2, 4, 8")
#define virtio_value(FIELD) FIELD(uint64_t, value, , "of the register")
#define virtio_write_request(FIELD)                             \
    FIELD(uint64_t, offset, , "in the register block")          \
    FIELD(uint64_t, size, , "bytes: 1, 2, 4, 8")                \
    FIELD(uint64_t, value, , "for the register")

IPC_STRUCT(virtio_read_request)
IPC_STRUCT(virtio_value)
IPC_STRUCT(virtio_write_request)

#define VIRTIO_PROTOCOL(OPERATION)                                                                                   \
    OPERATION(VIRTIO_SHARE, 0x4001, ipc_nothing, ipc_nothing, 1,                                                     \
              "With the capability of the next frame of the guest's RAM, in ascending order of guest addresses as "  \
              "ipc/startup.h lays them out; its size is that of the VM's configuration. Before the last of them "    \
              "the device is not there.")                                                                            \
    OPERATION(VIRTIO_READ, 0x4002, virtio_read_request, virtio_value, 0, "Reads a register of the device.")          \
    OPERATION(VIRTIO_WRITE, 0x4003, virtio_write_request, ipc_nothing, 0, "Writes one.")

enum virtio_operation { VIRTIO_PROTOCOL(IPC_NUMBER) };

enum virtio_status { VIRTIO_OK = 0, VIRTIO_DENIED = 1, VIRTIO_INVALID = 2 };

/* Badge of the endpoint capability, a bit that no notification of the server has. */
#define VIRTIO_CLIENT_BADGE (UINT64_C(1) << 32)

/* Client stubs; SERVER is the capability of the server's endpoint. They overwrite message registers. */
enum virtio_status virtio_share(uint64_t server, uint64_t frame);
enum virtio_status virtio_read(uint64_t server, uint64_t offset, unsigned size, uint64_t *value);
enum virtio_status virtio_write(uint64_t server, uint64_t offset, unsigned size, uint64_t value);
