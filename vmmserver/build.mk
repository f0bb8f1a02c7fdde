$(eval $(call user_program,vmmserver,$(sort $(wildcard vmmserver/*.c)) $(sort $(wildcard vmm/devices/*.c)), \
	vmm zydis algorithms ipc runtime,runtime/service.ld))
