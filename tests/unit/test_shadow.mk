$(eval $(call unit_test,test_shadow,tests/unit/shadow_fixture.c $(SHADOW_FIXTURE)))
