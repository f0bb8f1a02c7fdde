$(eval $(call user_library,runtime,$(addprefix runtime/, \
	entry_service.S entry_root.S service.c root.c tls.c log.c libc.c format.c heap.c malloc.c)))
