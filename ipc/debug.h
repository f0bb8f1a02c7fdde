/* The part of the hypervisor channel (ipc/hypervisor.h) that the debug shell alone may use. A reply's label is an enum
 * hypervisor_status.
 */
#pragma once

#include "ipc/hypervisor.h"
#include "ipc/protocol.h"
#include "ipc/statistics.h"
#include "ipc/vm_config.h"

#define DEBUG_SIZES        48u /* of untypeds: powers of two */
#define DEBUG_CAPABILITIES 64u
#define DEBUG_RECORDS      16u
#define DEBUG_RECORD_WORDS 4u /* of struct exit_record */

enum debug_state { DEBUG_OFF, DEBUG_STARTING, DEBUG_RUNNING, DEBUG_PAUSED, DEBUG_STATES };
enum debug_kind { DEBUG_VM, DEBUG_SERVICE, DEBUG_DEVICE };
enum debug_choice { DEBUG_AUTO, DEBUG_VTX, DEBUG_SVM, DEBUG_PV, DEBUG_EPT_LARGE, DEBUG_EPT_SMALL, DEBUG_CHOICES };
enum debug_follow { DEBUG_SHOW_ONCE, DEBUG_FOLLOW, DEBUG_FOLLOW_NO_MORE, DEBUG_FOLLOWS };

#define DEBUG_LOG_OF_ALL UINT64_C(0xff) /* in place of a client's number */

#define debug_index(FIELD) FIELD(uint64_t, n, , "a process, in the order of DEBUG_PROCESS")
#define debug_vm(FIELD) FIELD(uint64_t, vm, , "number of a VM in the configuration")
#define debug_service(FIELD) FIELD(uint64_t, service, , "number of a service")
#define debug_mode(FIELD)                                       \
    FIELD(uint64_t, vm, , "number of a VM in the configuration") \
    FIELD(uint64_t, choice, , "enum debug_choice")
#define debug_affinity(FIELD)                                    \
    FIELD(uint64_t, vm, , "number of a VM in the configuration") \
    FIELD(uint64_t, cpus, , "a bit for each CPU that it may run on; 0: any")
#define debug_log(FIELD)                                                                           \
    FIELD(uint64_t, client, , "whose lines: a client number of logserver, or DEBUG_LOG_OF_ALL")    \
    FIELD(uint64_t, follow, , "enum debug_follow")
#define debug_range(FIELD)                                             \
    FIELD(uint64_t, n, , "a process, in the order of DEBUG_PROCESS")   \
    FIELD(uint64_t, from, , "where to begin")

#define debug_process(FIELD)                                                                 \
    FIELD(uint64_t, kind, , "enum debug_kind: VMs come first, then services, then servers of devices") \
    FIELD(uint64_t, number, , "of the VM, or of the service")                                \
    FIELD(uint64_t, client, , "its number at logserver")                                     \
    FIELD(uint64_t, state, , "enum debug_state")                                             \
    FIELD(uint64_t, mode, , "enum vm_mode; as configured where the VM is off")               \
    FIELD(uint64_t, memory_bytes, , "the guest's, as configured")                            \
    FIELD(uint64_t, own_bytes, , "all that the process has got, with the guest's")           \
    FIELD(uint64_t, starts, , "how often it has been started")                               \
    FIELD(uint64_t, started_tsc, , "when it was last; 0 where it does not run")              \
    FIELD(uint64_t, exits, , "of the guest since then")                                      \
    FIELD(uint64_t, waited, , "ticks since then in which the guest had nothing to do")       \
    FIELD(char, name, [CONFIG_NAME_BYTES], "")

#define debug_memory(FIELD)                                                    \
    FIELD(uint64_t, bytes, , "of untyped memory")                              \
    FIELD(uint64_t, free_bytes, , "")                                          \
    FIELD(uint64_t, largest_free_bytes, , "")                                  \
    FIELD(uint64_t, slots, , "of init's capability space")                     \
    FIELD(uint64_t, free_slots, , "")                                          \
    FIELD(uint64_t, pieces, [DEBUG_SIZES], "free untypeds of 2^n bytes")

#define debug_statistics(FIELD)                                                            \
    FIELD(uint64_t, seen, , "exits of the guest")                                          \
    FIELD(uint64_t, by_kind, [TRACE_KINDS], "of those, by enum vcpu_exit_kind")            \
    FIELD(uint64_t, ticks, [TRACE_KINDS], "until the guest went on after them, likewise")

#define debug_trace(FIELD)                                                                 \
    FIELD(uint64_t, seen, , "exits of the guest; the last TRACE_RECORDS are kept, exit n at n modulo that") \
    FIELD(uint64_t, records, [DEBUG_RECORDS * DEBUG_RECORD_WORDS], "struct exit_record, from the one asked for on")

#define debug_capabilities(FIELD)                                                          \
    FIELD(uint64_t, next, , "where to go on; 0: that was all")                             \
    FIELD(uint64_t, count, , "of what follows")                                            \
    FIELD(uint64_t, found, [DEBUG_CAPABILITIES], "slot, and the kernel's number of the type in the upper half")

IPC_STRUCT(debug_index)
IPC_STRUCT(debug_vm)
IPC_STRUCT(debug_service)
IPC_STRUCT(debug_mode)
IPC_STRUCT(debug_affinity)
IPC_STRUCT(debug_log)
IPC_STRUCT(debug_range)
IPC_STRUCT(debug_process)
IPC_STRUCT(debug_memory)
IPC_STRUCT(debug_statistics)
IPC_STRUCT(debug_trace)
IPC_STRUCT(debug_capabilities)

#define DEBUG_PROTOCOL(OPERATION)                                                                                     \
    OPERATION(DEBUG_PROCESS, 0x2201, debug_index, debug_process, 0, "What there is of one process.")                  \
    OPERATION(DEBUG_MEMORY, 0x2202, ipc_nothing, debug_memory, 0, "Memory and capability slots.")                     \
    OPERATION(DEBUG_CREATE, 0x2203, debug_vm, ipc_nothing, 0, "Starts a VM that is off.")                             \
    OPERATION(DEBUG_KILL, 0x2204, debug_vm, ipc_nothing, 0, "Ends a VM that is not off.")                             \
    OPERATION(DEBUG_REBOOT, 0x2205, debug_vm, ipc_nothing, 0, "Ends a VM that is not off, and starts it.")            \
    OPERATION(DEBUG_PAUSE, 0x2206, debug_vm, ipc_nothing, 0, "Stops a VM that runs where it is.")                     \
    OPERATION(DEBUG_RESUME, 0x2207, debug_vm, ipc_nothing, 0, "Lets one that is paused go on.")                       \
    OPERATION(DEBUG_DUMP, 0x2208, debug_vm, ipc_nothing, 0, "The monitor of a VM that runs logs registers and stack.") \
    OPERATION(DEBUG_CONSOLE, 0x2209, debug_vm, ipc_nothing, 0, "The terminal goes to this VM's console.")             \
    OPERATION(DEBUG_RESTART, 0x220a, debug_service, ipc_nothing, 0, "Ends a service and starts it anew.")             \
    OPERATION(DEBUG_MODE, 0x220b, debug_mode, ipc_nothing, 0, "How a VM is to be run from its next start on.")        \
    OPERATION(DEBUG_AFFINITY, 0x220c, debug_affinity, ipc_nothing, 0, "Where a VM is to run, at once where it runs.") \
    OPERATION(DEBUG_LOG, 0x220d, debug_log, ipc_nothing, 0,                                                           \
              "logserver shows its last lines again; and then, if so wished, new lines of that client alone.")        \
    OPERATION(DEBUG_STATISTICS, 0x220e, debug_index, debug_statistics, 0, "Exits of a VM that is on.")                \
    OPERATION(DEBUG_TRACE, 0x220f, debug_range, debug_trace, 0, "The last exits of a VM that is on, from a record on.") \
    OPERATION(DEBUG_CAPABILITIES_OF, 0x2210, debug_range, debug_capabilities, 0,                                      \
              "What the static CNode of a process holds, from a slot on.")                                            \
    OPERATION(DEBUG_HALT, 0x2211, ipc_nothing, ipc_nothing, 0, "Ends all VMs and stops the machine; no reply comes.") \
    OPERATION(DEBUG_RESET, 0x2212, ipc_nothing, ipc_nothing, 0, "Ends all VMs and resets the machine; no reply comes.")

enum debug_operation { DEBUG_PROTOCOL(IPC_NUMBER) DEBUG_FIRST = DEBUG_PROCESS, DEBUG_LAST = DEBUG_RESET };

/* The shape of an operation; NULL: there is no such one. */
const struct ipc_shape *debug_shape(uint64_t operation);

/* Client stub. REQUEST and REPLY have the words that the operation's shape says, or are NULL where there are none.
 * Overwrites message registers. */
enum hypervisor_status debug_call(enum debug_operation operation, const void *request, void *reply);
