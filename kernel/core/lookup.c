/* seL4 reference manual, 3.3 (capability addressing). */
#include <core/lookup.h>

#include <sel4/constants.h>

/* COUNT: below 64, as sizes of guards and CNodes are. */
static uint64_t low_bits(uint64_t value, unsigned count)
{
    return value & ((1ul << count) - 1);
}

struct slot *lookup_bits(struct cap root, uint64_t pointer, unsigned depth, unsigned *bits_left,
                         struct lookup_failure *failure)
{
    if (root.type != CAP_CNODE) {
        *failure = (struct lookup_failure) { .type = seL4_InvalidRoot };
        return NULL;
    }
    for (;;) {
        unsigned guard_size = cnode_guard_size(root), radix = cnode_radix(root);
        unsigned level = guard_size + radix;

        if (guard_size > depth || low_bits(pointer >> (depth - guard_size) % 64, guard_size) != root.data) {
            *failure = (struct lookup_failure) {
                .type = seL4_GuardMismatch,
                .bits_left = (uint8_t)depth,
                .bits_found = (uint8_t)guard_size,
                .guard_found = root.data,
            };
            return NULL;
        }
        if (level > depth) {
            *failure = (struct lookup_failure) {
                .type = seL4_DepthMismatch,
                .bits_left = (uint8_t)depth,
                .bits_found = (uint8_t)level,
            };
            return NULL;
        }
        depth -= level;
        struct slot *slot = (struct slot *)cap_object(root) + low_bits(pointer >> depth, radix);
        if (depth == 0 || slot->cap.type != CAP_CNODE) {
            *bits_left = depth;
            return slot;
        }
        root = slot->cap;
    }
}

struct slot *lookup_slot(const struct tcb *thread, uint64_t pointer, struct lookup_failure *failure)
{
    const struct cap *root = &thread->slots[TCB_CSPACE].cap;
    unsigned radix = cnode_radix(*root), bits_left;

    /* The usual CSpace: one CNode, whose guard takes what its index leaves. Every system call comes here. */
    if (root->type == CAP_CNODE && cnode_guard_size(*root) + radix == seL4_WordBits && pointer >> radix == root->data)
        return (struct slot *)cap_object(*root) + low_bits(pointer, radix);
    return lookup_bits(*root, pointer, seL4_WordBits, &bits_left, failure);
}

struct slot *lookup_target(struct cap root, uint64_t index, uint64_t depth, struct lookup_failure *failure)
{
    unsigned bits_left;

    if (root.type == CAP_CNODE && (depth < 1 || depth > seL4_WordBits)) {
        *failure = (struct lookup_failure) { .type = seL4_DepthMismatch };
        return NULL;
    }

    struct slot *slot = lookup_bits(root, index, (unsigned)depth, &bits_left, failure);
    if (slot && bits_left > 0) {
        *failure = (struct lookup_failure) { .type = seL4_DepthMismatch, .bits_left = (uint8_t)bits_left };
        return NULL;
    }
    return slot;
}

unsigned lookup_failure_words(const struct lookup_failure *failure, uint64_t *words)
{
    words[0] = failure->type;
    switch (failure->type) {
    case seL4_MissingCapability:
        words[1] = failure->bits_left;
        return 2;
    case seL4_DepthMismatch:
        words[1] = failure->bits_left;
        words[2] = failure->bits_found;
        return 3;
    case seL4_GuardMismatch:
        words[1] = failure->bits_left;
        words[2] = failure->guard_found;
        words[3] = failure->bits_found;
        return 4;
    default:
        return 1;
    }
}
