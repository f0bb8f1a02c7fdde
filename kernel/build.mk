# The kernel: one ELF file for GRUB (Multiboot 1 and 2) and QEMU's -kernel.
KERNEL_SOURCES := $(sort $(wildcard kernel/*/*.c kernel/*/*/*.c kernel/*/*/*.S))
KERNEL_OBJECTS := $(call objects,kernel,$(KERNEL_SOURCES))
KERNEL_SCRIPT := kernel/arch/x86_64/kernel.lds

KERNEL_CFLAGS += -DBEAML4_KERNEL -include kernel/lib/hidden.h

PROGRAMS += build/kernel.elf
build/kernel.elf: $(KERNEL_OBJECTS) $(KERNEL_SCRIPT)
	$(CC) $(filter-out -no-pie,$(KERNEL_LDFLAGS)) -Wl,-T,$(KERNEL_SCRIPT) -Wl,--gc-sections -o $@ $(KERNEL_OBJECTS)
-include $(KERNEL_OBJECTS:.o=.d)

# The same without assertions and frame pointers, for those who count instructions: make build/kernel-release.elf
RELEASE_OBJECTS := $(call objects,release,$(KERNEL_SOURCES))
RELEASE_CFLAGS = $(KERNEL_CFLAGS) -fomit-frame-pointer -DBEAML4_RELEASE

build/release/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(RELEASE_CFLAGS) -MMD -MP -c $< -o $@
build/release/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(RELEASE_CFLAGS) -MMD -MP -c $< -o $@
build/kernel-release.elf: $(RELEASE_OBJECTS) $(KERNEL_SCRIPT)
	$(CC) $(filter-out -no-pie,$(KERNEL_LDFLAGS)) -Wl,-T,$(KERNEL_SCRIPT) -Wl,--gc-sections -o $@ $(RELEASE_OBJECTS)
-include $(RELEASE_OBJECTS:.o=.d)
