$(eval $(call unit_test,test_svm_decode,vmm/svm/decode.c))
