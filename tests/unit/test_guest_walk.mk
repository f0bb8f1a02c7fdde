include tests/unit/guest_fixture.mk
$(eval $(call unit_test,test_guest_walk,$(GUEST_FIXTURE)))
build/tests/test_guest_walk: build/zydis/host/libzydis.a
