# A driver for tests of virtio devices, and what stands between it and any of them.
FAKE_DRIVER := tests/unit/fake_driver.c vmm/guest_memory.c virtio/virtqueue.c virtio/virtio_device.c virtio/mmio.c
