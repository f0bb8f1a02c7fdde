/* The derivation list: one doubly linked list of all non-empty slots, each capability before those derived from it, so
 * that the descendants of a capability are the run behind it that derive_is_parent accepts. */
#pragma once

#include <api/invocation.h>
#include <object/cap.h>

static inline struct slot *slot_next(const struct slot *slot)
{
    return (struct slot *)(slot->next & ~3ul);
}

/* Puts CAP into the empty slot TO, behind the slot FROM that it was made of. */
void slot_insert(struct cap cap, struct slot *from, struct slot *to);

/* Puts a capability to a newly made object into the empty slot TO as child of the untyped in PARENT. */
void slot_insert_child(struct slot *parent, struct slot *to, struct cap cap);

/* Puts a capability that nothing is derived from into an empty slot; for the boot. */
void slot_insert_root(struct slot *to, struct cap cap);

/* Moves FROM's place in the list to the empty slot TO, which gets CAP; FROM becomes empty. */
void slot_move(struct cap cap, struct slot *from, struct slot *to);

/* Exchanges two slots' places; each gets the capability given for it. The slots may be neighbours. */
void slot_swap(struct cap cap_a, struct slot *a, struct cap cap_b, struct slot *b);

/* Takes the slot out of the list and empties it, without finalising anything. */
void slot_clear(struct slot *slot);

/* Whether the capability in CHILD is derived from the one in PARENT, given that it stands behind it. */
bool derive_is_parent(const struct slot *parent, const struct slot *child);

bool slot_has_children(const struct slot *slot);

/* Whether no other capability to the same object exists. */
bool slot_is_final(const struct slot *slot);

/* Both capabilities refer to (parts of) the same object; A may be an untyped that contains B. */
bool cap_same_region(struct cap a, struct cap b);
bool cap_same_object(struct cap a, struct cap b);

/* CAP with at most RIGHTS. */
struct cap cap_mask_rights(struct cap cap, unsigned rights);

/* CAP with a new badge or guard; null where DATA does not fit. KEEP: a badge that is set stays (copies in place). */
struct cap cap_update_data(bool keep, uint64_t data, struct cap cap);

/* What a copy of the capability in SLOT (given as CAP, perhaps with fewer rights) is like; null for those that cannot be
 * copied silently. Errors: seL4_RevokeFirst, seL4_IllegalOperation. */
bool cap_derive(struct invocation *call, struct slot *slot, struct cap cap, struct cap *derived);
