/* What PV mode takes of the monitor's objects: the guest's thread, and room for its page tables. Makes system calls. */
#pragma once

#include "ipc/startup.h"
#include "ipc/vm_config.h"
#include "vmm/monitor.h"
#include "vmm/pv/pv.h"
#include "vmmserver/objects.h"
#include "vmmserver/ram.h"

/* MONITOR's virtual CPU becomes one of PV mode; the guest's RAM is there, and the CPUID policy. FEATURES are the
 * kernel's. NULL, or why it cannot be. */
const char *pv_create(struct pv *pv, struct monitor *monitor, struct objects *objects, const struct ram *ram,
                      const struct vm_config *config, uint32_t features);

/* The kernel is in guest memory: its sensitive instructions are patched. NULL, or why it cannot run in PV mode
 * (static text, or in MESSAGE). */
const char *pv_load(struct pv *pv, const struct startup_file *kernel, char *message, size_t size);
