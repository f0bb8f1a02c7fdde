$(eval $(call user_program,kerneltest,$(sort $(wildcard tests/kernel/*.c tests/kernel/*.S)),runtime ipc,runtime/root.ld))
