FAKE_VCPU := tests/unit/fake_vcpu.c algorithms/vcpu.c
