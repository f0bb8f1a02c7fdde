# The DSDT: compiled to a C array that vmm/acpi_tables.c includes.
ifndef ACPI_DSDT
ACPI_DSDT := build/acpi/dsdt.hex
$(ACPI_DSDT): vmm/dsdt.asl
	@mkdir -p $(@D)
	iasl -we -tc -p build/acpi/dsdt $< >build/acpi/iasl.log 2>&1 || { cat build/acpi/iasl.log; exit 1; }
build/user/vmm/acpi_tables.o build/host/vmm/acpi_tables.o: $(ACPI_DSDT)
endif
