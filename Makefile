# The whole build. Each folder's build.mk says what is made from it, with the functions of mk/rules.mk;
# everything that is made goes below build/.
include mk/flags.mk
include mk/rules.mk

include $(sort $(wildcard */build.mk tests/*/build.mk))

.DEFAULT_GOAL := all
.PHONY: all clean unit-tests
all: $(PROGRAMS)

# Builds the unit tests; ./test.sh unit runs them.
unit-tests: $(UNIT_TESTS)

clean:
	rm -rf build
