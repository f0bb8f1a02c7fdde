$(eval $(call unit_test,test_svm_opcode,vmm/svm/opcode.c))
