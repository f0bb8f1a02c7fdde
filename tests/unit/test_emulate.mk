include tests/unit/guest_fixture.mk
$(eval $(call unit_test,test_emulate,$(GUEST_FIXTURE)))
build/tests/test_emulate: build/zydis/host/libzydis.a
