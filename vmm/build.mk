# The monitor's engine. Devices make themselves known by a section of the program, so that no archive must leave them
# out: vmmserver links their objects themselves (VMM_DEVICES).
include vmm/acpi.mk

VMM_SOURCES := $(sort $(wildcard vmm/*.c vmm/vmx/*.c vmm/svm/*.c vmm/pv/*.c))
VMM_DEVICES := $(sort $(wildcard vmm/devices/*.c))
$(eval $(call user_library,vmm,$(VMM_SOURCES)))

# Zydis decodes instructions.
ZYDIS_FLAGS := -isystem build/zydis/include -DZYAN_NO_LIBC -DZYCORE_STATIC_BUILD -DZYDIS_STATIC_BUILD \
	-DZYDIS_DISABLE_FORMATTER -DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_AVX512 -DZYDIS_DISABLE_KNC
build/zydis/user/libzydis.a build/zydis/host/libzydis.a &: | tools/fetch-zydis.sh
	tools/fetch-zydis.sh
build/user/libzydis.a: build/zydis/user/libzydis.a
	cp $< $@
ZYDIS_USERS := vmm/instruction vmm/pv/privileged_decode vmm/pv/patch_scan
$(patsubst %,build/user/%.o,$(ZYDIS_USERS)): private USER_CFLAGS += $(ZYDIS_FLAGS)
$(patsubst %,build/user/%.o,$(ZYDIS_USERS)): build/zydis/user/libzydis.a
$(patsubst %,build/host/%.o,$(ZYDIS_USERS)): private HOST_CFLAGS += $(ZYDIS_FLAGS)
$(patsubst %,build/host/%.o,$(ZYDIS_USERS)): build/zydis/host/libzydis.a
