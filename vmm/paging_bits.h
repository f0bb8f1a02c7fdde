/* What page-table entries and page faults of the guest consist of (SDM 3A 4.5, 4.7). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_PRESENT    (UINT64_C(1) << 0)
#define ENTRY_WRITE      (UINT64_C(1) << 1)
#define ENTRY_USER       (UINT64_C(1) << 2)
#define ENTRY_ACCESSED   (UINT64_C(1) << 5)
#define ENTRY_DIRTY      (UINT64_C(1) << 6)
#define ENTRY_LARGE      (UINT64_C(1) << 7)
#define ENTRY_NO_EXECUTE (UINT64_C(1) << 63)
#define ENTRY_ADDRESS    UINT64_C(0x000ffffffffff000)

/* Page-fault error code. */
#define ERROR_PRESENT  1u
#define ERROR_WRITE    2u
#define ERROR_USER     4u
#define ERROR_RESERVED 8u
#define ERROR_FETCH    16u

/* A linear address of four-level paging: bits 63 to 47 are the same (SDM 1 3.3.7.1). */
static inline bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}
