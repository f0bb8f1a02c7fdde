/* What the parts of the scanner share; nothing else includes it. */
#pragma once

#include "vmm/pv/patch.h"

struct patch_opcode {
    uint8_t patched, original;
};
extern const struct patch_opcode patch_opcode[PATCH_KIND_COUNT]; /* PATCH_HYPERCALL: zeroes */

bool patch_is_prefix(uint8_t byte);

/* Of a vector instruction, by its form alone; 0: it has none of these forms. */
unsigned patch_vector_length(const uint8_t code[15]);

/* Bytes that are read as code. Of those, the ones from FIRST to LAST - 1 are patched and counted. */
struct patch_sweep {
    uint8_t *bytes;
    size_t length, first, last;
    uint64_t address; /* of bytes[0] */
    const struct patch_policy *policy;
    struct patch_report *report;
    size_t covered; /* up to here there are bytes of an instruction that begins at a start of its own */
    size_t covered_opcode;
    bool spills; /* an opcode lies behind LAST */
};

/* An instruction as far as the scanner looks at it. */
struct patch_instruction {
    unsigned length; /* 0: none */
    unsigned opcode; /* offset of the opcode */
    bool sensitive, patched; /* to be patched as KIND; is already */
    enum patch_kind kind;
    bool ends;       /* what follows is not reached from here */
    bool has_target; /* a branch to TARGET, an offset from its own first byte */
    int64_t target;
};

/* The one at AT; one that goes beyond the end is read as if zeroes followed. */
struct patch_instruction patch_decode(const struct patch_sweep *sweep, size_t at);

/* Reads from AT (where an instruction is known to begin) up to END. */
void patch_sweep(struct patch_sweep *sweep, size_t at, size_t end);
