$(eval $(call user_program,virtioserver,virtioserver/main.c virtioserver/shared_memory.c virtioserver/ram_disk.c, \
	virtio vmm runtime ipc,runtime/service.ld))
