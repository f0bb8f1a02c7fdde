# Small guests of our own: each is one assembly file that starts by the PVH protocol.
#   $(eval $(call guest,NAME))   build/guests/NAME.elf from guests/NAME/NAME.S
GUEST_SHARED := guests/pvh.ld guests/pvh.inc guests/print.inc
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
