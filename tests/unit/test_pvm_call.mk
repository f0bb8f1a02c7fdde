include tests/unit/pvm_fixture.mk
$(eval $(call unit_test,test_pvm_call,$(PVM_FIXTURE)))
build/tests/test_pvm_call: build/zydis/host/libzydis.a
