# Small guests of our own: each is one assembly file that starts by the PVH protocol.
#   $(eval $(call guest,NAME))   build/guests/NAME.elf from guests/NAME/NAME.S
GUEST_SHARED := guests/pvh.ld $(wildcard guests/*.inc)
define guest
PROGRAMS += build/guests/$(1).elf
build/guests/$(1).elf: guests/$(1)/$(1).S $(GUEST_SHARED)
	@mkdir -p $$(@D)
	$$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-T,guests/pvh.ld -o $$@ $$<
endef

# $(eval $(call c_guest,NAME))   the same from guests/NAME/*.c and *.S, which bring themselves into long mode
GUEST_CFLAGS := $(COMMON) -ffreestanding -nostdinc -isystem $(CC_INCLUDE) -m64 -mgeneral-regs-only -mno-red-zone \
	-fno-pic -fno-pie -mcmodel=small -fno-stack-protector -fno-asynchronous-unwind-tables
define c_guest
PROGRAMS += build/guests/$(1).elf
build/guests/$(1).elf: $(wildcard guests/$(1)/*.c guests/$(1)/*.S) $(GUEST_SHARED)
	@mkdir -p $$(@D)
	$$(CC) $$(GUEST_CFLAGS) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-T,guests/pvh.ld -o $$@ \
		$(wildcard guests/$(1)/*.c guests/$(1)/*.S)
endef

$(eval $(call c_guest,checks))
$(eval $(call guest,balloon))
$(eval $(call guest,exits))
$(eval $(call guest,heartbeat))
$(eval $(call guest,poweroff))

# Kernels with user programs, of guests/base and their own C files: NAME.elf runs at its physical address, NAME-high.elf where
# most kernels do, in the upper 2 GiB. Position-independent code that is not linked as such fits both, with clang too where
# nothing is reached through a GOT.
#   $(eval $(call kernel_guest,NAME))
KERNEL_GUEST_CFLAGS := $(COMMON) -I. -include kernel/lib/hidden.h -ffreestanding -nostdinc -isystem $(CC_INCLUDE) -m64 \
	-mgeneral-regs-only -mno-red-zone -fpie -fvisibility=hidden -fno-stack-protector -fno-asynchronous-unwind-tables
build/guest/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(KERNEL_GUEST_CFLAGS) -MMD -MP -c $< -o $@
build/guest/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(KERNEL_GUEST_CFLAGS) -MMD -MP -c $< -o $@

# $(call kernel_guest_link,FILE,KERNEL_BASE,OBJECTS)
define kernel_guest_link
PROGRAMS += build/guests/$(1).elf
build/guests/$(1).elf: $(3) guests/base/image.ld
	@mkdir -p $$(@D)
	$$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
		-Wl,--defsym=kernel_base=$(2) -Wl,-T,guests/base/image.ld -o $$@ $(3)
-include $(patsubst %.o,%.d,$(3))
endef
guest_objects = $(patsubst %,build/guest/%.o,$(basename $(wildcard guests/base/*.S guests/base/*.c guests/$(1)/*.c guests/$(1)/*.S)))
define kernel_guest
$(call kernel_guest_link,$(1),0,$(call guest_objects,$(1)))
$(call kernel_guest_link,$(1)-high,0xffffffff80000000,$(call guest_objects,$(1)))
endef

$(eval $(call kernel_guest,tour))
$(eval $(call kernel_guest,shell))
$(eval $(call kernel_guest,hostile))

# The tour of a guest that speaks PVM: other descriptors, traps and users, and what of the tour is not about those.
PVM_TOUR_SOURCES := $(addprefix guests/tour/,check.c paging.c paging_edits.c program.c) \
	$(filter-out guests/base/descriptors.c guests/base/traps.S guests/base/users.c,$(wildcard guests/base/*.S guests/base/*.c)) \
	$(wildcard guests/tour/pvm/*.c guests/tour/pvm/*.S)
build/guest-pvm/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(KERNEL_GUEST_CFLAGS) -DSPEAKS_PVM -MMD -MP -c $< -o $@
build/guest-pvm/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(KERNEL_GUEST_CFLAGS) -DSPEAKS_PVM -MMD -MP -c $< -o $@
$(eval $(call kernel_guest_link,tour-pvm,0,$(patsubst %,build/guest-pvm/%.o,$(basename $(PVM_TOUR_SOURCES)))))
