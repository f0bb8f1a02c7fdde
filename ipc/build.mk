IPC_SOURCES := $(addprefix ipc/,debug.c debug_shape.c hypervisor.c ring.c time.c virtio.c)
$(eval $(call user_library,ipc,$(IPC_SOURCES)))
