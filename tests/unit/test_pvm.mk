include tests/unit/pvm_fixture.mk
$(eval $(call unit_test,test_pvm,$(PVM_FIXTURE)))
build/tests/test_pvm: build/zydis/host/libzydis.a
