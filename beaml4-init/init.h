/* init's state, as its parts share it: the machine and its resources, the services, the VMs. */
#pragma once

#include "beaml4-init/archive.h"
#include "beaml4-init/log_clients.h"
#include "beaml4-init/machine.h"
#include "beaml4-init/process.h"
#include "beaml4-init/time_clients.h"
#include "beaml4-init/vm_policy.h"
#include "ipc/debug.h"
#include "ipc/vm_config.h"

/* Room for the longest answer to the debug shell. */
#define DEBUG_REPLY_WORDS 120u

/* Priorities: services that guests wait for above init, which is above every monitor (CONFIG: at most 200); the shell
 * in between, so that no guest keeps it from answering. */
enum { PRIORITY_SCREENSERVER = 210, PRIORITY_DBGSERVER = 220, PRIORITY_INIT = 230, PRIORITY_LOGSERVER = 240, PRIORITY_TIMESERVER = 250 };

enum service_id { SERVICE_LOG, SERVICE_TIME, SERVICE_SCREEN, SERVICE_DEBUG, SERVICE_COUNT };

struct service {
    struct process process;
    bool runs;
    uint32_t starts;      /* how often it has been started, */
    uint64_t started_tsc; /* and when it was last */
    uint32_t early_ends;  /* how often in a row it ended soon after its start */
};

enum vm_state { VM_OFF, VM_STARTED, VM_RUNNING };

struct vm {
    const struct vm_config *config; /* CHOSEN */
    struct vm_config chosen;        /* as in the archive, but for what the debug shell has changed */
    enum vm_state state;
    struct process monitor;
    bool paused;          /* its monitor's thread is suspended */
    uint32_t mode;        /* enum vm_mode: how it runs */
    struct exit_trace *statistics; /* its monitor's, in init's window; NULL where it is off */
    struct process virtio[VM_DISKS_MAX]; /* the servers of its disks */
    uint32_t crashes;
    uint32_t starts;      /* how often it has been started, */
    uint64_t started_tsc; /* and when it was last */
    char reason[192]; /* why it could not be started, where that takes numbers */
};

struct init {
    struct resources resources;
    struct machine machine;
    struct archive archive;
    seL4_CPtr endpoint;      /* what everyone asks, and where faults arrive */
    struct pool lasting;     /* of what outlives the services that use it */
    struct time_clients time;
    struct log_clients log;
    struct service service[SERVICE_COUNT];
    unsigned vm_count;
    struct vm vm[CONFIG_MAX_VMS];
};

/* Starts logserver, on which init's own log then goes on, and the others; what does not start is reported. */
void services_start(struct init *init);

/* Ends a service, whether it runs or not, and starts it anew. */
void services_restart(struct init *init, enum service_id id);

/* The service that is CLIENT has faulted; TEXT says how. It starts again, but for one that has faulted soon after its
 * start too often in a row. */
void services_faulted(struct init *init, unsigned client, const char *text);

/* The name of a service. */
const char *services_name(enum service_id id);

/* Starts a VM that is off, or reports why not. */
void vm_start(struct init *init, unsigned index);

/* The end of a VM that is not off: takes everything back, and starts it again where END and its configuration ask for
 * that. */
void vm_end(struct init *init, unsigned index, enum vm_end end);

/* The page that a monitor that is made, not started, tells of its guest's exits in. NULL, or why there is none. */
const char *statistics_open(struct init *init, struct vm *vm);

/* The monitor is gone. */
void statistics_close(struct init *init, struct vm *vm);

/* What the page says, whatever a monitor has written there. */
void statistics_read(const struct vm *vm, struct debug_statistics *statistics);
void statistics_read_trace(const struct vm *vm, uint64_t from, struct debug_trace *trace);

/* Ticks in which the guest had nothing to do. */
uint64_t statistics_waited(const struct vm *vm);

/* What the static CNode of PROCESS holds from slot FROM on, as much of it as fits into one answer. */
void capabilities_read(struct init *init, const struct process *process, uint64_t from,
                       struct debug_capabilities *capabilities);

/* Resets the machine; returns where it does not know how. */
void machine_reset(const struct machine *machine);

/* A service's number as a client. */
unsigned services_client(enum service_id id);

/* Stops a VM that is not off where it is, or lets it go on; false: the kernel refused. */
bool vm_pause(struct init *init, unsigned index);
bool vm_resume(struct init *init, unsigned index);

/* Lets THREAD run on the first CPU of those that VM may run on; the kernel's own choice where the configuration leaves
 * it open. NULL, or why that cannot be. */
const char *vm_choose_cpu(struct init *init, struct vm *vm, seL4_CPtr thread);

/* Bytes that the servers of a VM's devices take, about. */
uint64_t virtio_bytes(const struct init *init, const struct vm_config *config);

/* Makes and starts the servers of a VM's devices, whose monitor is made and not started. NULL, or why not; what was
 * made before is there for virtio_end. */
const char *virtio_start(struct init *init, unsigned vm_index);

/* Takes back what virtio_start has made. */
void virtio_end(struct vm *vm);

/* Says so when no VM is on. */
void vm_report_idle(const struct init *init);

/* Prints what memory and slots are free. */
void print_totals(const struct init *init);

/* Does what the debug shell asks for: OPERATION with its COUNT words. REPLY gets its shape's words where the answer is
 * HV_OK, and REPLY_COUNT how many those are. */
enum hypervisor_status debug_serve(struct init *init, uint64_t operation, const uint64_t *words, unsigned count,
                                   uint64_t reply[DEBUG_REPLY_WORDS], unsigned *reply_count);

/* Receives and answers, for ever. */
_Noreturn void hypervisor_serve(struct init *init);
