#include "vmm/stack.h"

#include "vmm/guest_walk.h"

#include <stdio.h>
#include <string.h>

#define ROWS     8u
#define ROW      4u /* words */
#define PAGE     4096u

static bool read_word(struct walk_context *walk, uint64_t address, uint64_t *word)
{
    const uint8_t *bytes;
    uint64_t physical;
    uint32_t error;

    if (address % PAGE > PAGE - sizeof *word ||
        walk_address(walk, address, WALK_PRESENT, &physical, &error) != WALK_OK)
        return false;
    bytes = guest_memory_at(walk->memory, physical, sizeof *word);
    if (!bytes)
        return false;
    memcpy(word, bytes, sizeof *word);
    return true;
}

void stack_write(struct vcpu *vcpu, const struct guest_memory *memory, trace_line *line, void *context)
{
    uint64_t address = vcpu_get(vcpu, VCPU_RSP), word;
    struct walk_context walk;
    char text[128];

    walk_begin(&walk, vcpu, memory);
    for (unsigned row = 0; row < ROWS; row++) {
        int length = snprintf(text, sizeof text, "  stack %016lx ", address);

        for (unsigned i = 0; i < ROW; i++, address += sizeof word) {
            if (!read_word(&walk, address, &word)) {
                snprintf(text + length, sizeof text - (size_t)length, " and nothing that can be read");
                line(context, text);
                return;
            }
            length += snprintf(text + length, sizeof text - (size_t)length, " %016lx", word);
        }
        line(context, text);
    }
}
