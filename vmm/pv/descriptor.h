/* Segment descriptors of the guest (SDM 3A 3.4.5, 3.5.2, 7.2.3). Pure. */
#pragma once

#include "vmm/pv/access.h"

/* Types (SDM 3A tables 3-1, 3-2), and the null selectors. */
#define DESCRIPTOR_LDT           0x2u
#define DESCRIPTOR_TSS           0x9u
#define DESCRIPTOR_TSS_BUSY      0xbu
#define DESCRIPTOR_CALL_GATE     0xcu
#define DESCRIPTOR_INTERRUPT_GATE 0xeu
#define DESCRIPTOR_TRAP_GATE     0xfu

#define SELECTOR_RPL   3u
#define SELECTOR_LOCAL 4u
#define SELECTOR_ERROR 0xfffcu /* of a selector in an error code */

#define ACCESS_UNUSABLE (UINT64_C(1) << 16)
#define ACCESS_PRESENT  (UINT64_C(1) << 7)
#define ACCESS_CODE_OR_DATA (UINT64_C(1) << 4)

struct descriptor {
    uint64_t address; /* linear, of its first word */
    uint64_t low, high; /* high: of 16-byte ones, where asked for */
};

static inline bool selector_is_null(uint16_t selector)
{
    return (selector & ~SELECTOR_RPL) == 0;
}

static inline unsigned descriptor_type(const struct descriptor *d) { return d->low >> 40 & 0xf; }
static inline bool descriptor_is_system(const struct descriptor *d) { return !(d->low >> 44 & 1); }
static inline unsigned descriptor_dpl(const struct descriptor *d) { return d->low >> 45 & 3; }
static inline bool descriptor_is_present(const struct descriptor *d) { return d->low >> 47 & 1; }
static inline bool descriptor_is_long(const struct descriptor *d) { return (d->low >> 53 & 3) == 1; } /* L and not D */
static inline bool descriptor_is_code(const struct descriptor *d)
{
    return !descriptor_is_system(d) && (descriptor_type(d) & 8);
}
static inline bool descriptor_is_conforming(const struct descriptor *d)
{
    return descriptor_is_code(d) && (descriptor_type(d) & 4);
}
static inline bool descriptor_is_readable(const struct descriptor *d)
{
    return !descriptor_is_system(d) && (!descriptor_is_code(d) || (descriptor_type(d) & 2));
}
static inline bool descriptor_is_writable(const struct descriptor *d)
{
    return !descriptor_is_system(d) && !descriptor_is_code(d) && (descriptor_type(d) & 2);
}

/* Access rights as struct vcpu has them, base and limit as the segment register gets them. */
uint64_t descriptor_access(const struct descriptor *d);
uint64_t descriptor_base(const struct descriptor *d); /* with the upper half of 16-byte ones */
uint32_t descriptor_limit(const struct descriptor *d);

/* Fetches the descriptor of a SELECTOR that is not null; WIDE: of 16 bytes. *BEYOND: its table has no such entry, or there
 * is no table; then nothing has been read. False: a fault on the way. */
bool descriptor_read(struct pv_cpu *cpu, uint16_t selector, bool wide, struct descriptor *descriptor, bool *beyond,
                     struct pv_fault *fault);

/* The same where an entry beyond the table is an exception VECTOR with the selector and EXTERNAL (0 or 1) in its error. */
bool descriptor_fetch(struct pv_cpu *cpu, uint16_t selector, bool wide, uint8_t vector, uint32_t external,
                      struct descriptor *descriptor, struct pv_fault *fault);

/* As loading a segment register does. */
bool descriptor_set_accessed(struct pv_cpu *cpu, struct descriptor *descriptor, struct pv_fault *fault);

/* Fill the segment register. Null: unusable; a base that FS or GS has becomes 0 where CLEAR_BASE. */
void segment_set(struct vcpu *vcpu, enum vcpu_segment segment, uint16_t selector, const struct descriptor *descriptor);
void segment_set_null(struct vcpu *vcpu, enum vcpu_segment segment, uint16_t selector, bool clear_base);

/* SS and with it CPL: null, as kernels of 64-bit code have it. */
void segment_set_null_stack(struct vcpu *vcpu, unsigned cpl);

/* What MOV, POP and LxS to a segment register but CS do. */
bool segment_load(struct pv_cpu *cpu, enum vcpu_segment segment, uint16_t selector, struct pv_fault *fault);
