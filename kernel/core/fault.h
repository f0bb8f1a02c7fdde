/* What can go wrong in a thread, as it is told to its handler, and in a capability lookup, as it is told to a caller. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct lookup_failure {
    uint8_t type; /* seL4_LookupFailureType */
    uint8_t bits_left, bits_found;
    uint64_t guard_found;
};

struct fault {
    uint8_t type; /* seL4_Fault_tag_t, or BEAML4_Fault_Foreign; 0: none */
    uint8_t foreign_kind, foreign_vector;
    bool in_receive_phase; /* capability fault */
    bool instruction;      /* VM fault: on an instruction fetch */
    uint64_t address;      /* capability pointer; virtual address; number of a system call or exception */
    uint64_t code;         /* fault status register; error code */
    struct lookup_failure lookup; /* capability fault */
};
