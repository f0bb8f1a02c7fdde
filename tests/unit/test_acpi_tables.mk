include vmm/acpi.mk
$(eval $(call unit_test,test_acpi_tables,vmm/acpi_tables.c vmm/guest_memory.c))
