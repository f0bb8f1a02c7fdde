$(eval $(call unit_test,test_shadow_random,$(SHADOW_FIXTURE)))
