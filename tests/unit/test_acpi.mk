$(eval $(call unit_test,test_acpi,beaml4-init/acpi.c beaml4-init/madt.c))
