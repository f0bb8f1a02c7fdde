$(eval $(call unit_test,test_vm_policy,beaml4-init/vm_policy.c))
