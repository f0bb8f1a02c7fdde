# The kernel: one ELF file for GRUB (Multiboot 1 and 2) and QEMU's -kernel.
KERNEL_SOURCES := $(sort $(wildcard kernel/*/*.c kernel/*/*/*.c kernel/*/*/*.S))
KERNEL_OBJECTS := $(call objects,kernel,$(KERNEL_SOURCES))
KERNEL_SCRIPT := kernel/arch/x86_64/kernel.lds

KERNEL_CFLAGS += -DBEAML4_KERNEL -include kernel/lib/hidden.h

PROGRAMS += build/kernel.elf
build/kernel.elf: $(KERNEL_OBJECTS) $(KERNEL_SCRIPT)
	$(CC) $(filter-out -no-pie,$(KERNEL_LDFLAGS)) -Wl,-T,$(KERNEL_SCRIPT) -Wl,--gc-sections -o $@ $(KERNEL_OBJECTS)
-include $(KERNEL_OBJECTS:.o=.d)
