include tests/unit/pv_fixture.mk
$(eval $(call unit_test,test_pv_privileged,$(PV_FIXTURE)))
build/tests/test_pv_privileged: build/zydis/host/libzydis.a
