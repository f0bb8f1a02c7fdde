/* The encoding of capabilities to frames, paging structures and ASIDs.
 *
 * A capability remembers where its object is mapped as ASID and virtual address. ASID 0 is no address space: "not
 * mapped". A PML4's own capability holds its ASID once a pool has been assigned.
 */
#pragma once

#include <object/cap.h>

#define ASID_BITS       12
#define ASID_POOL_BITS  9
#define ASID_COUNT      (1u << ASID_BITS)
#define ASID_POOL_COUNT (ASID_COUNT >> ASID_POOL_BITS)
#define ASID_INVALID    0u

enum frame_size { FRAME_4K, FRAME_2M, FRAME_1G };
enum frame_use { FRAME_UNMAPPED, FRAME_IN_VSPACE, FRAME_IN_EPT, FRAME_IN_IOSPACE };

/* CAP_FRAME bits: size, rights (RIGHT_READ | RIGHT_WRITE), device, use. */
#define FRAME_BITS(size, rights, device, use) \
    ((unsigned)(size) | (unsigned)(rights) << 2 | (unsigned)(device) << 4 | (unsigned)(use) << 5)

/* data of a frame, paging structure (user or second-level): page-aligned address | ASID. */
#define MAPPING(asid, address) ((uint64_t)(address) | (uint64_t)(asid))

static inline enum frame_size frame_size(struct cap cap)
{
    return (enum frame_size)(cap.bits & 3);
}

static inline unsigned frame_size_bits(struct cap cap)
{
    return 12 + 9 * (cap.bits & 3u);
}

static inline unsigned frame_rights(struct cap cap)
{
    return cap.bits >> 2 & 3;
}

static inline bool frame_is_device(struct cap cap)
{
    return cap.bits >> 4 & 1;
}

static inline enum frame_use frame_use(struct cap cap)
{
    return (enum frame_use)(cap.bits >> 5 & 3);
}

static inline unsigned mapping_asid(struct cap cap)
{
    return (unsigned)(cap.data & (ASID_COUNT - 1));
}

static inline uint64_t mapping_address(struct cap cap)
{
    return cap.data & ~(uint64_t)(ASID_COUNT - 1);
}
