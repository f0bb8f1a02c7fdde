$(eval $(call unit_test,test_archive,beaml4-init/archive.c))
