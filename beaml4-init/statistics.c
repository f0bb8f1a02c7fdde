/* What monitors tell of their guests' exits. The pages are the monitors' to write, at any time: a value is read once,
 * and is a number in an answer and nothing else. */
#include "beaml4-init/init.h"
#include "runtime/runtime.h"

#define PAGE_BYTES (1ul << seL4_PageBits)
#define PLACE      (SERVICE_STARTUP + 4 * PAGE_BYTES)

_Static_assert(DEBUG_RECORD_WORDS * sizeof(uint64_t) == sizeof(struct exit_record), "a record is so many words");

const char *statistics_open(struct init *init, struct vm *vm)
{
    struct pool *pool = &vm->monitor.pool;
    seL4_CPtr frame;
    void *page;
    const char *problem;

    if ((problem = pool_make(pool, seL4_X86_4K, 0, &frame)) ||
        (problem = address_space_share_page(&vm->monitor.space, PLACE, frame, seL4_ReadWrite)) ||
        (problem = resources_map_page(&init->resources, frame, seL4_CanRead, &page)))
        return problem;
    vm->statistics = page;
    vm->monitor.startup.vm.statistics = (struct exit_trace *)PLACE;
    return NULL;
}

void statistics_close(struct init *init, struct vm *vm)
{
    if (vm->statistics)
        resources_give_window(&init->resources, vm->statistics, 1);
    vm->statistics = NULL;
}

static uint64_t read_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

uint64_t statistics_waited(const struct vm *vm)
{
    if (!vm->statistics)
        return 0;
    uint64_t since = read_word(&vm->statistics->waiting_since), now = __builtin_ia32_rdtsc();

    return read_word(&vm->statistics->waited) + (since != 0 && now > since ? now - since : 0);
}

void statistics_read(const struct vm *vm, struct debug_statistics *statistics)
{
    statistics->seen = read_word(&vm->statistics->seen);
    for (unsigned i = 0; i < TRACE_KINDS; i++) {
        statistics->by_kind[i] = read_word(&vm->statistics->by_kind[i]);
        statistics->ticks[i] = read_word(&vm->statistics->ticks[i]);
    }
}

void statistics_read_trace(const struct vm *vm, uint64_t from, struct debug_trace *trace)
{
    trace->seen = read_word(&vm->statistics->seen);
    for (unsigned i = 0; i < DEBUG_RECORDS; i++) {
        const uint64_t *record = (const uint64_t *)&vm->statistics->record[(from + i) % TRACE_RECORDS];

        for (unsigned word = 0; word < DEBUG_RECORD_WORDS; word++)
            trace->records[i * DEBUG_RECORD_WORDS + word] = read_word(&record[word]);
    }
}
