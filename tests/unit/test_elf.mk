$(eval $(call unit_test,test_elf,beaml4-init/elf.c))
