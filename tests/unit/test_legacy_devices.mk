$(eval $(call unit_test,test_legacy_devices,$(FAKE_MACHINE) $(patsubst %,vmm/devices/%.c,pic i8042 pci delay_ports)))
