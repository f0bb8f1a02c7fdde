# Small guests of our own: each is one assembly file that starts by the PVH protocol.
#   $(eval $(call guest,NAME))   build/guests/NAME.elf from guests/NAME/NAME.S
define guest
PROGRAMS += build/guests/$(1).elf
build/guests/$(1).elf: guests/$(1)/$(1).S guests/pvh.ld
	@mkdir -p $$(@D)
	$$(CC) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-T,guests/pvh.ld -o $$@ $$<
endef

$(eval $(call guest,exits))
$(eval $(call guest,heartbeat))
$(eval $(call guest,poweroff))
