include tests/unit/guest_fixture.mk
PV_FIXTURE := tests/unit/pv_fixture.c $(GUEST_FIXTURE) $(patsubst %,vmm/pv/%.c,cpu access descriptor deliver privileged \
	privileged_decode privileged_flags privileged_transfer privileged_segments privileged_control privileged_port patch_kinds)
