# Virtio devices as a guest sees them: no system calls, for the servers and for host tests.
VIRTIO_SOURCES := $(sort $(wildcard virtio/*.c))
$(eval $(call user_library,virtio,$(VIRTIO_SOURCES)))
