# Every unit test has its own small make file beside its source.
include $(filter-out tests/unit/build.mk,$(sort $(wildcard tests/unit/*.mk)))
