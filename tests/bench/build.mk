$(eval $(call user_program,vmexitbench,tests/bench/vmexit.c $(addprefix tests/kernel/,harness.c guest.c guest_code.S svm_guest.c svm_guest_code.S),runtime ipc,runtime/root.ld))

$(eval $(call user_program,kernelbench,tests/bench/kernel.c $(addprefix tests/kernel/,harness.c spaces.c),runtime ipc,runtime/root.ld))

# The first process of a Linux guest: a program for Linux, not for the system.
build/first_process: tests/bench/first_process.c
	@mkdir -p $(@D)
	$(CC) $(COMMON) -static -nostdlib -ffreestanding -mgeneral-regs-only -fno-pic -no-pie -fno-stack-protector \
		-Wl,-z,noexecstack -Wl,--build-id=none -o $@ $<

.PHONY: benchmarks
benchmarks: all build/first_process
