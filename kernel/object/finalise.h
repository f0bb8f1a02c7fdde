/* The end of capabilities: what has to be undone when one goes away. */
#pragma once

#include <core/cpu.h>
#include <object/cap.h>

/* Deletes the capability in SLOT, and whatever dies with it. EXPOSED: by a user's wish, so that a zombie in the slot is
 * fully emptied. Answers false where it stopped at a preemption point: doing it again goes on. */
bool slot_delete(struct cpu *cpu, struct slot *slot);

/* Deletes everything derived from SLOT's capability. Answers false where preempted. */
bool slot_revoke(struct cpu *cpu, struct slot *slot);

/* Deletes a capability that is known to need no long work: reply, endpoint, notification, frame … */
void slot_delete_one(struct cpu *cpu, struct slot *slot);
