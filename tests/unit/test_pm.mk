$(eval $(call unit_test,test_pm,$(FAKE_MACHINE) $(patsubst %,vmm/devices/%.c,acpi_pm reset pci debug_exit)))
