/* A stand-in for dbgserver: at an 'n' it sends nonsense to init and to its rings, and then faults; at an 'f' it faults,
 * and so does the next one as soon as it starts. */
#include "ipc/debug.h"
#include "runtime/runtime.h"

#include <stdbool.h>
#include <string.h>

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Requests of every length for every operation, but those that would end a machine have a word too many. */
static void babble(uint64_t *random)
{
    for (unsigned i = 0; i < 5000; i++) {
        uint64_t operation = DEBUG_FIRST - 1 + next_random(random) % (DEBUG_LAST - DEBUG_FIRST + 3);
        unsigned length = (unsigned)(next_random(random) % (seL4_MsgMaxLength + 1));
        const struct ipc_shape *shape = debug_shape(operation);
        bool reads = operation == DEBUG_PROCESS || operation == DEBUG_MEMORY || operation == DEBUG_CONSOLE ||
                     operation == DEBUG_STATISTICS || operation == DEBUG_TRACE || operation == DEBUG_CAPABILITIES_OF ||
                     operation == DEBUG_AFFINITY;

        if (next_random(random) % 8 == 0)
            operation = next_random(random);
        else if (shape && !reads && length == shape->request_words)
            length++;
        for (int word = 0; word < seL4_MsgMaxLength; word++)
            seL4_SetMR(word, next_random(random));
        seL4_SetCap(0, SLOT_NOTIFICATION);
        seL4_Call(SLOT_HYPERVISOR, seL4_MessageInfo_new(operation, 0, i % 2, length));
    }
}

static void scribble(const struct startup *startup, uint64_t *random)
{
    struct byte_ring *ring[3] = { startup->log, startup->console_output, startup->console_input };

    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 3; i++) {
            uint32_t *word = (uint32_t *)ring[i];
            for (unsigned n = 0; n < sizeof(struct byte_ring) / sizeof *word; n += 1 + round % 7)
                word[n] = (uint32_t)next_random(random);
        }
        seL4_Signal(SLOT_LOG_NOTIFY);
    }
    for (unsigned i = 0; i < 3; i++) /* no text in them that a terminal would mind */
        memset(ring[i], 0, sizeof *ring[i]);
}

static _Noreturn void fault(void)
{
    for (;;)
        *(volatile int *)0 = 1;
}

void service_main(const struct startup *startup)
{
    struct byte_ring *input = startup->console_input;
    uint64_t random = __builtin_ia32_rdtsc() | 1;
    seL4_Word badge;
    char byte;

    for (;;) {
        uint32_t before = input->read;

        if (ring_read(input, &byte, 1) == 0) {
            seL4_Wait(SLOT_NOTIFICATION, &badge);
        } else if (byte == 'n') {
            babble(&random);
            scribble(startup, &random);
            log_printf("nonsense sent");
            fault();
        } else if (byte == 'f') {
            input->read = before; /* for the next one */
            fault();
        }
    }
}
