/* Random histories: many calls in a row, drawn from a seed, of which all outcomes are summed up in one number. Upstream's
 * kernel has been asked what that number is.
 */
#pragma once

#include "tests/kernel/harness.h"

struct history {
    uint64_t random, sum;
};

static inline struct history history(uint64_t seed)
{
    return (struct history) { .random = seed, .sum = 14695981039346656037u };
}

/* 0 to LIMIT - 1. */
static inline unsigned draw(struct history *h, unsigned limit)
{
    h->random = h->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(h->random >> 33) % limit;
}

static inline void note_value(struct history *h, uint64_t value)
{
    h->sum = (h->sum ^ value) * 1099511628211u;
    h->sum ^= h->sum >> 29;
}

/* What a call has answered, with the words that belong to its error. */
static inline void note_answer(struct history *h, seL4_Error error)
{
    unsigned words = 0;

    switch (error) {
    case seL4_InvalidArgument:
    case seL4_InvalidCapability:
    case seL4_NotEnoughMemory:
        words = 1;
        break;
    case seL4_RangeError:
        words = 2;
        break;
    case seL4_FailedLookup:
        words = seL4_GetMR(1) == seL4_InvalidRoot ? 2 : 3;
        break;
    default:
        break;
    }
    note_value(h, error);
    for (unsigned i = 0; i < words; i++)
        note_value(h, seL4_GetMR((int)i));
}
