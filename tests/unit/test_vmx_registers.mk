$(eval $(call unit_test,test_vmx_registers,vmm/vmx/registers.c))
