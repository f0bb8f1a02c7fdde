$(eval $(call user_program,vmmserver,$(sort $(wildcard vmmserver/*.c)) $(VMM_DEVICES), \
	vmm zydis algorithms ipc runtime,runtime/service.ld))
