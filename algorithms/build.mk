ALGORITHMS_SOURCES := $(sort $(wildcard algorithms/*.c))
$(eval $(call user_library,algorithms,$(ALGORITHMS_SOURCES)))
