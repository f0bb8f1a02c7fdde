/* Between cpuid.c and cpuid_rules.c: the leaves that are the host's, cut down to a list of bits. */
#pragma once

#include "vmm/cpuid.h"

#define CPUID_EXTENDED 0x80000000u

/* The host's answer; zeroes beyond its last leaf, where a CPU may say anything. */
struct cpuid_values cpuid_host(const struct cpuid_policy *policy, uint32_t leaf, uint32_t subleaf);

/* Fills policy->rule_answer; the rest of the policy is complete. */
void cpuid_apply_rules(struct cpuid_policy *policy);

/* All zero for a leaf that no rule is about. */
struct cpuid_values cpuid_rule_answer(const struct cpuid_policy *policy, uint32_t leaf, uint32_t subleaf);
