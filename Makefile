# The whole build. Each folder's build.mk says what is made from it, with the functions of mk/rules.mk;
# everything that is made goes below build/.
include mk/flags.mk
include mk/rules.mk

include $(sort $(wildcard */build.mk tests/*/build.mk))

.DEFAULT_GOAL := all
.PHONY: all clean unit-tests
all: $(PROGRAMS) build/describe_ipc

# Builds the unit tests; ./test.sh unit runs them.
unit-tests: $(UNIT_TESTS)

# What of docs/ is made out of the source.
build/describe_ipc: tools/describe_ipc.c $(wildcard ipc/*.h)
	@mkdir -p $(@D)
	$(HOSTCC) $(COMMON) -I. -o $@ $<

.PHONY: docs
docs: build/describe_ipc
	build/describe_ipc >docs/ipc.md

clean:
	rm -rf build
