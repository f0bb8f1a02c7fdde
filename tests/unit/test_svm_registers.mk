$(eval $(call unit_test,test_svm_registers,vmm/svm/registers.c))
