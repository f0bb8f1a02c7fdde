$(eval $(call user_program,kerneltest,$(sort $(wildcard tests/kernel/*.c tests/kernel/*.S)),runtime ipc,runtime/root.ld))

# A million entries of hostile monitors on AMD-V: build/svmfuzz.elf, to be run like kerneltest.
$(eval $(call user_program,svmfuzz,$(filter-out tests/kernel/test_%,$(sort $(wildcard tests/kernel/*.c tests/kernel/*.S))) \
    tests/kernel/fuzz/million.c,runtime ipc,runtime/root.ld))
