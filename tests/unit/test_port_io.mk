include tests/unit/guest_fixture.mk
$(eval $(call unit_test,test_port_io,$(GUEST_FIXTURE) vmm/port_io.c))
build/tests/test_port_io: build/zydis/host/libzydis.a
