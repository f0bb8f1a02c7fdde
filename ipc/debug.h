/* The part of the hypervisor channel (ipc/hypervisor.h) that the debug shell alone may use. A request has the words
 * that the table says, no more and no fewer; so has a reply whose label is HV_OK, and any other reply has none.
 */
#pragma once

#include "ipc/hypervisor.h"
#include "ipc/vm_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEBUG_WORDS(type) (sizeof(type) / sizeof(uint64_t))

/* X(operation, words of its request, words of its reply) */
#define DEBUG_OPERATIONS(X)                                                                      \
    X(DEBUG_PROCESS, 1, DEBUG_WORDS(struct debug_process)) /* n; VMs come first, then services */ \
    X(DEBUG_MEMORY, 0, DEBUG_WORDS(struct debug_memory))                                         \
    X(DEBUG_CREATE, 1, 0)  /* number of a VM that is off */                                      \
    X(DEBUG_KILL, 1, 0)    /* number of a VM that is not off, as in the next three */            \
    X(DEBUG_REBOOT, 1, 0)                                                                        \
    X(DEBUG_PAUSE, 1, 0)   /* it has to run */                                                   \
    X(DEBUG_RESUME, 1, 0)                                                                        \
    X(DEBUG_RESTART, 1, 0) /* number of a service: it is ended and started anew */               \
    X(DEBUG_CONSOLE, 1, 0) /* number of a VM: the terminal goes to its console */                \
    X(DEBUG_LOG, 0, 0)     /* logserver shows its last lines again */                            \
    X(DEBUG_HALT, 0, 0)    /* the machine stops; no reply comes */

#define DEBUG_NAME(name, request, reply) name,
enum debug_operation { DEBUG_BEFORE_FIRST = 0x2200, DEBUG_OPERATIONS(DEBUG_NAME) DEBUG_BEHIND_LAST };
#undef DEBUG_NAME

enum debug_state { DEBUG_OFF, DEBUG_STARTING, DEBUG_RUNNING, DEBUG_PAUSED, DEBUG_STATES };

struct debug_process {
    uint64_t is_service;
    uint64_t number;       /* of the VM, or of the service */
    uint64_t state;        /* enum debug_state */
    uint64_t mode;         /* enum vm_mode; as configured where the VM is off */
    uint64_t memory_bytes; /* the guest's, as configured */
    uint64_t own_bytes;    /* all that the process has got, with the guest's */
    uint64_t starts;       /* how often it has been started */
    uint64_t started_tsc;  /* when it was last; 0 where it does not run */
    char name[CONFIG_NAME_BYTES];
};

struct debug_memory {
    uint64_t bytes, free_bytes; /* of untyped memory */
    uint64_t largest_free_bytes;
    uint64_t slots, free_slots; /* of init's capability space */
};

struct debug_shape {
    uint8_t request_words, reply_words;
};

/* The words of an operation; NULL: there is no such one. */
const struct debug_shape *debug_shape(uint64_t operation);

/* Client stub. ARGUMENT is the request's word where it takes one; REPLY has room for the reply's words, or is NULL
 * where there are none. Overwrites message registers. */
enum hypervisor_status debug_call(enum debug_operation operation, uint64_t argument, void *reply);
