$(eval $(call unit_test,test_shadow_pools,tests/unit/shadow_fixture.c $(SHADOW_FIXTURE)))
