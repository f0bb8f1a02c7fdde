/* A share of what fuzz/million.c does, small enough for every run. */
#include "tests/kernel/svm_fuzz.h"

#define ROUNDS 5000u

static void fuzz_mode(struct env *e, enum guest_mode mode)
{
    struct svm_fuzz_count count = svm_fuzz(e, mode, 0x5eed + mode, ROUNDS);

    note("%lu fields written, %lu entries: %lu exits, %lu refused, %lu interrupted", count.writes, count.entries,
         count.exits, count.refused, count.signals);
    EXPECT(count.exits > ROUNDS / 10 && count.refused > ROUNDS / 50);
}

TEST(svm_hostile_monitor_of_a_long_mode_guest_gets_results)
{
    fuzz_mode(e, GUEST_LONG);
}

TEST(svm_hostile_monitor_of_a_protected_mode_guest_gets_results)
{
    fuzz_mode(e, GUEST_PROTECTED);
}

TEST(svm_hostile_monitor_of_a_real_mode_guest_gets_results)
{
    fuzz_mode(e, GUEST_REAL);
}
