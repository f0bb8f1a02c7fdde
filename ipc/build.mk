$(eval $(call user_library,ipc,ipc/ring.c))
