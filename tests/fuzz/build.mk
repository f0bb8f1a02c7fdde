# Fuzz targets: build/fuzz/NAME from tests/fuzz/NAME.c, run as `build/fuzz/NAME -runs=N -seed=S`.
#   make fuzz                        N random scripts that follow from S, the same ones each time: broad and quick
#   make fuzz FUZZ_ENGINE=libfuzzer  clang's, led by coverage, for hours: every option of libFuzzer
FUZZ_ENGINE ?= plain
FUZZ_TARGETS :=

ifeq ($(FUZZ_ENGINE),libfuzzer)
FUZZ_CC      := clang
FUZZ_CFLAGS  := -fsanitize=fuzzer-no-link
FUZZ_LDFLAGS := -fsanitize=fuzzer
FUZZ_DRIVER  :=
else
FUZZ_CC      := $(HOSTCC)
FUZZ_CFLAGS  :=
FUZZ_LDFLAGS :=
FUZZ_DRIVER  := tests/fuzz/plain.c
endif

fuzz_objects = $(patsubst %,build/fuzz/objects-$(FUZZ_ENGINE)/%.o,$(basename $(1)))

build/fuzz/objects-$(FUZZ_ENGINE)/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(HOST_CFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@

# Names the engine that the programs are linked with, so that they are linked anew with another one.
build/fuzz/engine: FORCE
	@mkdir -p $(@D)
	@echo $(FUZZ_ENGINE) | cmp -s - $@ || echo $(FUZZ_ENGINE) > $@
.PHONY: FORCE
FORCE:

# $(eval $(call fuzz_target,NAME,SOURCES,LIBRARIES))
define fuzz_target
FUZZ_TARGETS += build/fuzz/$(1)
build/fuzz/$(1): $(call fuzz_objects,tests/fuzz/$(1).c $(2) $(FUZZ_DRIVER)) $(3) build/fuzz/engine
	$$(FUZZ_CC) $$(HOST_LDFLAGS) $$(FUZZ_LDFLAGS) -o $$@ $$(filter %.o %.a,$$^)
-include $(patsubst %.o,%.d,$(call fuzz_objects,tests/fuzz/$(1).c $(2) $(FUZZ_DRIVER)))
endef

.PHONY: fuzz
fuzz:

FUZZ_MACHINE := tests/unit/fake_machine.c vmm/device.c vmm/bus.c vmm/timers.c algorithms/vcpu.c
FUZZ_EMULATOR := algorithms/vcpu.c \
	$(patsubst %,vmm/%.c,bus guest_memory alu instruction guest_walk linear emulate port_io)

$(eval $(call fuzz_target,fuzz_devices,$(FUZZ_MACHINE) vmm/guest_memory.c $(sort $(wildcard vmm/devices/*.c))))
$(eval $(call fuzz_target,fuzz_archive,beaml4-init/archive.c))
$(eval $(call fuzz_target,fuzz_config,beaml4-init/config.c))
$(eval $(call fuzz_target,fuzz_ring,ipc/ring.c))
$(eval $(call fuzz_target,fuzz_loader,vmm/guest_memory.c $(sort $(wildcard vmm/loader*.c))))
$(eval $(call fuzz_target,fuzz_virtio,vmm/guest_memory.c $(sort $(wildcard virtio/*.c))))
$(eval $(call fuzz_target,fuzz_emulate,$(FUZZ_EMULATOR),build/zydis/host/libzydis.a))
$(eval $(call fuzz_target,fuzz_svm_opcode,vmm/svm/opcode.c,build/zydis/host/libzydis.a))
FUZZ_PV_CPU := tests/unit/pv_fixture.c tests/unit/guest_fixture.c tests/unit/fake_vcpu.c $(FUZZ_EMULATOR) \
	$(patsubst %,vmm/pv/%.c,cpu access descriptor deliver privileged privileged_decode privileged_flags \
	privileged_transfer privileged_segments privileged_control privileged_port patch_kinds)
FUZZ_PV_PATCH := vmm/guest_memory.c $(patsubst %,vmm/pv/%.c,patch_kinds patch_scan patch_page patch_elf patch_vector)
$(eval $(call fuzz_target,fuzz_pv_cpu,$(FUZZ_PV_CPU),build/zydis/host/libzydis.a))
$(eval $(call fuzz_target,fuzz_pv_patch,$(FUZZ_PV_PATCH),build/zydis/host/libzydis.a))
FUZZ_ZYDIS_USERS := $(call fuzz_objects,vmm/instruction.c vmm/pv/privileged_decode.c vmm/pv/patch_scan.c \
	tests/fuzz/fuzz_svm_opcode.c)
$(FUZZ_ZYDIS_USERS): private HOST_CFLAGS += $(ZYDIS_FLAGS)
$(FUZZ_ZYDIS_USERS): build/zydis/host/libzydis.a

fuzz: $(FUZZ_TARGETS)
