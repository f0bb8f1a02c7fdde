$(eval $(call user_program,kerneltest,$(sort $(wildcard tests/kernel/*.c)),runtime ipc,runtime/root.ld))
