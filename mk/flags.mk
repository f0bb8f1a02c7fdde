# Compilers and flags of the three kinds of code: the kernel, user programs on it, and host-side unit tests.
# CC may be gcc or clang; both must be free of warnings.
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
HOSTCC ?= $(CC)

WARNINGS := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
COMMON   := -std=gnu17 -g -O2 $(WARNINGS) -fno-strict-aliasing -fno-common -ffunction-sections -fdata-sections

# Where the compiler keeps its own freestanding headers (stdint.h, stdarg.h, …).
CC_INCLUDE := $(shell $(CC) -print-file-name=include)

# The kernel: linked into the top PML4 slots but one (slot 509), so position-independent code without a GOT.
KERNEL_CFLAGS := $(COMMON) -ffreestanding -nostdinc -isystem $(CC_INCLUDE) -Ikernel -Ilibsel4/include \
	-m64 -mgeneral-regs-only -mno-red-zone -fpie -fvisibility=hidden -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-omit-frame-pointer
KERNEL_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack

# User programs: musl's headers and libc.a, no FPU registers (a monitor shares the FPU with its guest, and a
# service that never uses it costs nothing to switch to).
MUSL_INCLUDE := /usr/include/x86_64-linux-musl
MUSL_LIB     := /usr/lib/x86_64-linux-musl
USER_CFLAGS := $(COMMON) -nostdinc -isystem $(CC_INCLUDE) -isystem $(MUSL_INCLUDE) -isystem runtime/include \
	-idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
	-I. -Ilibsel4/include -m64 -mgeneral-regs-only -fno-pic -fno-pie -mcmodel=small -fno-stack-protector \
	-ftls-model=local-exec -fno-asynchronous-unwind-tables -fno-omit-frame-pointer
USER_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack -Wl,-z,separate-code

# Host-side tests: the same sources under the address and undefined-behaviour sanitizers.
HOST_CFLAGS := $(COMMON) -O1 -I. -Ilibsel4/include -DBEAML4_HOST_TEST=1 -D_GNU_SOURCE \
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HOST_LDFLAGS := -fsanitize=address,undefined
