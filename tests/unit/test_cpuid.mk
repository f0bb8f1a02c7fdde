$(eval $(call unit_test,test_cpuid,vmm/cpuid.c vmm/cpuid_rules.c))
