#include <arch/x86_64/stacks.h>

#include <stddef.h>
#include <sel4/config.h>
#include <arch/x86_64/layout.h>
#include <arch/x86_64/memory.h>

struct exception_stack {
    uint8_t guard[4096];
    uint8_t bytes[EXCEPTION_STACK_SIZE];
};

struct cpu_stacks {
    uint8_t guard[4096];
    uint8_t main[KERNEL_STACK_SIZE];
    struct exception_stack exception[IST_COUNT];
};

/* One set for each CPU that the API counts; hardware state like the page tables. */
static struct cpu_stacks stacks[CONFIG_MAX_NUM_NODES] __attribute__((section(".bss.pages"), aligned(4096)));
static unsigned sets_kept = CONFIG_MAX_NUM_NODES;

struct region stacks_keep(unsigned cpus)
{
    sets_kept = cpus;
    return (struct region) { kernel_to_physical(&stacks[cpus]), kernel_to_physical(&stacks[CONFIG_MAX_NUM_NODES]) };
}

uint64_t stack_top(unsigned cpu, unsigned which)
{
    const struct cpu_stacks *own = &stacks[cpu];

    if (which == STACK_MAIN)
        return (uint64_t)(own->main + sizeof own->main);
    return (uint64_t)(own->exception[which - 1].bytes + sizeof own->exception[which - 1].bytes);
}

static bool within_stacks(uint64_t address)
{
    return address >= (uint64_t)stacks && address < (uint64_t)&stacks[sets_kept];
}

bool stack_is_guard_page(uint64_t address)
{
    if (!within_stacks(address))
        return false;

    uint64_t offset = (address - (uint64_t)stacks) % sizeof(struct cpu_stacks);
    if (offset < offsetof(struct cpu_stacks, main))
        return true;
    if (offset < offsetof(struct cpu_stacks, exception))
        return false;
    return (offset - offsetof(struct cpu_stacks, exception)) % sizeof(struct exception_stack) <
           offsetof(struct exception_stack, bytes);
}
