$(eval $(call unit_test,test_fault_text,beaml4-init/fault_text.c))
