include tests/unit/guest_fixture.mk
PVM_FIXTURE := tests/unit/pvm_fixture.c $(GUEST_FIXTURE) vmm/pv/cpu.c vmm/pv/access.c vmm/pv/patch_kinds.c \
	vmm/pv/privileged_decode.c vmm/pv/pvm.c vmm/pv/pvm_call.c vmm/pv/pvm_event.c vmm/pv/pvm_instruction.c
