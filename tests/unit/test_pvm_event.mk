include tests/unit/pvm_fixture.mk
$(eval $(call unit_test,test_pvm_event,$(PVM_FIXTURE)))
build/tests/test_pvm_event: build/zydis/host/libzydis.a
