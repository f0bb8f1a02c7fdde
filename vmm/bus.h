/* The buses of a virtual machine: ports, memory-mapped registers, model specific registers.
 *
 * A device registers a range with a handler; an access goes to the ranges that contain it whole, the highest priority
 * first, until one does not pass it on. Pure: no system calls.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum bus_space { BUS_PORT, BUS_MMIO, BUS_MSR, BUS_SPACE_COUNT };

enum bus_result {
    BUS_DONE,
    BUS_PASS,  /* not mine: ask the next one */
    BUS_FAULT, /* the access is not allowed: #GP for an MSR, ignored elsewhere */
};

struct bus_access {
    bool write;
    uint8_t size;     /* bytes: 1, 2, 4 or 8 */
    uint64_t address; /* port, guest physical address, or MSR number */
    uint64_t offset;  /* the same from the start of the range; set for the handler */
    uint64_t value;   /* read: the handler sets it, all ones before; write: zero-extended */
};

typedef enum bus_result bus_handler(void *device, struct bus_access *access);

struct bus_range {
    enum bus_space space;
    uint64_t start, length; /* bytes, ports or MSRs */
    uint8_t priority;       /* 0 to 255, the highest is asked first; 128 is usual, 0 for catch-alls */
    bus_handler *handler;
    void *device;
    const char *name;
    uint64_t accesses; /* statistics */
};

#define BUS_RANGES_MAX 64u

#define BUS_HINTS 32u /* a power of two */

struct bus {
    unsigned count[BUS_SPACE_COUNT];
    struct bus_range range[BUS_SPACE_COUNT][BUS_RANGES_MAX]; /* by priority, then start */
    uint64_t unclaimed[BUS_SPACE_COUNT]; /* accesses that nobody wanted */
    /* Of addresses accessed lately: how many ranges at the front of the list do not contain them. */
    struct bus_hint {
        uint64_t address;
        unsigned first;
        bool valid;
    } hint[BUS_SPACE_COUNT][BUS_HINTS];
};

void bus_init(struct bus *bus);

/* False where there are too many ranges, the range is empty or wraps around. */
bool bus_register(struct bus *bus, const struct bus_range *range);

/* Takes out all ranges of that device. */
void bus_unregister(struct bus *bus, const void *device);

/* Performs the access. BUS_PASS: nobody has it; a read then has all ones (of its size). An MSR access concerns one
 * MSR, whatever its size; a port or memory access as many ports or bytes as its size says. */
enum bus_result bus_perform(struct bus *bus, enum bus_space space, struct bus_access *access);
