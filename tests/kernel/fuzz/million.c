/* A million random field writes and entries, in portions of which each has a seed of its own. A program of its own, since
 * it takes minutes. */
#include "tests/kernel/svm_fuzz.h"

#define OPERATIONS 1000000u
#define ROUNDS     2000u /* a portion */

TEST(svm_million_of_random_fields_and_entries_ends_in_results)
{
    struct svm_fuzz_count sum = { 0 };
    seL4_CPtr first = e->next_slot;

    for (seL4_Word portion = 0; sum.writes + sum.entries < OPERATIONS; portion++) {
        struct svm_fuzz_count count = svm_fuzz(e, (enum guest_mode)(portion % 3), 0xa11ce + portion, ROUNDS);

        sum.writes += count.writes;
        sum.entries += count.entries;
        sum.exits += count.exits;
        sum.refused += count.refused;
        sum.signals += count.signals;
        if (portion % 10 == 9)
            note("%lu fields written, %lu entries: %lu exits, %lu refused, %lu interrupted", sum.writes, sum.entries,
                 sum.exits, sum.refused, sum.signals);
        EXPECT_OK(seL4_CNode_Revoke(ROOT, e->untyped, ROOT_DEPTH));
        for (seL4_CPtr slot = first; slot < e->next_slot; slot++)
            EXPECT_OK(seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH));
        e->next_slot = first;
        e->thread_count = 0;
    }
    note("%lu fields written, %lu entries: %lu exits, %lu refused, %lu interrupted", sum.writes, sum.entries, sum.exits,
         sum.refused, sum.signals);
}
