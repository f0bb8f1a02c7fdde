INIT_SOURCES := $(sort $(wildcard beaml4-init/*.c))
$(eval $(call user_program,beaml4-init,$(INIT_SOURCES),runtime ipc algorithms,runtime/root.ld))
