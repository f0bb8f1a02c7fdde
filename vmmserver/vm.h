/* One VM from its configuration to its end. */
#pragma once

#include "ipc/startup.h"
#include "vmm/balloon.h"
#include "vmm/monitor.h"
#include "vmm/pv/pv.h"
#include "vmm/runtime.h"
#include "vmm/svm/svm.h"
#include "vmm/vmx/vmx.h"
#include "vmmserver/console.h"
#include "vmmserver/objects.h"
#include "vmmserver/ram.h"
#include "vmmserver/virtio.h"

struct vm {
    const struct startup *startup;
    const struct vm_config *config;
    struct objects objects;
    struct ram ram;
    struct monitor monitor;
    union {
        struct vmx vmx;
        struct svm svm;
        struct pv pv;
    };
    struct runtime runtime;
    struct console console;
    struct virtio_links virtio;
    bool speaks_pvm; /* a guest of PV mode, and it knows */
    struct task stop_task, dump_task;
    struct balloon balloon;
    char message[192];
};

/* Everything up to the first instruction of the guest. NULL, or why the VM cannot run. */
const char *vm_create(struct vm *vm, const struct startup *startup);

/* A line of the monitor's parts that make no system calls, for the system's log. */
void vm_log_line(const char *text);
