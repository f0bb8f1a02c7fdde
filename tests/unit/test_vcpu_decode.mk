$(eval $(call unit_test,test_vcpu_decode,algorithms/vcpu_decode.c))
