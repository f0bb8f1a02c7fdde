include tests/unit/pv_fixture.mk
$(eval $(call unit_test,test_pv_deliver,$(PV_FIXTURE)))
build/tests/test_pv_deliver: build/zydis/host/libzydis.a
