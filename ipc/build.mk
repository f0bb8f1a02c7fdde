$(eval $(call user_library,ipc,ipc/ring.c ipc/time.c ipc/hypervisor.c ipc/debug.c ipc/debug_shape.c))
