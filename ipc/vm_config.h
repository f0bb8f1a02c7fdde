/* The compiled configuration: what tools/compile_config.py makes of the TOML file, as the archive member
 * CONFIG_MEMBER. Little-endian, fixed-size records, strings NUL-terminated. init checks every field again.
 */
#pragma once

#include <stdint.h>

#define CONFIG_MEMBER  "beaml4.config"
#define CONFIG_MAGIC   UINT64_C(0x31474643344c4d42) /* "BML4CFG1" */
#define CONFIG_MAX_VMS 16u

#define CONFIG_NAME_BYTES    32u
#define CONFIG_MEMBER_BYTES  96u
#define CONFIG_CMDLINE_BYTES 2048u

#define VM_DISKS_MAX  4u
#define VM_VIRTIO_MAX 8u /* devices on virtio of all kinds; disks are the first of them */

enum vm_mode { VM_MODE_AUTO = 0, VM_MODE_VTX = 1, VM_MODE_SVM = 2, VM_MODE_PV = 3 };
enum vm_pages { VM_PAGES_LARGE = 0, VM_PAGES_SMALL = 1 }; /* second-level pages of 2 MiB or 4 KiB */
enum vm_rtc { VM_RTC_EMULATED = 0, VM_RTC_PASSTHROUGH = 1 };
enum vm_restart { VM_RESTART_NEVER = 0, VM_RESTART_ALWAYS = 1, VM_RESTART_COUNT = 2 };

enum vm_boot { VM_BOOT_AUTO = 0, VM_BOOT_PVH = 1, VM_BOOT_LINUX64 = 2 }; /* AUTO: by looking at the image */

struct vm_config {
    char name[CONFIG_NAME_BYTES];
    uint64_t memory_bytes; /* a multiple of 2 MiB */
    uint32_t mode;         /* enum vm_mode */
    uint32_t pages;        /* enum vm_pages */
    uint32_t rtc;          /* enum vm_rtc */
    uint32_t boot;         /* enum vm_boot */
    uint32_t restart;      /* enum vm_restart: what happens after a crash (not after power-off or reboot) */
    uint32_t restart_limit; /* for VM_RESTART_COUNT */
    uint32_t priority;     /* 0..200, the seL4 priority of the monitor's thread */
    uint32_t autostart;    /* 0 or 1 */
    uint64_t affinity;     /* bitmap of CPUs; 0: any */
    char kernel[CONFIG_MEMBER_BYTES]; /* archive member */
    char initrd[CONFIG_MEMBER_BYTES]; /* archive member; empty: none */
    char cmdline[CONFIG_CMDLINE_BYTES];
    char disk[VM_DISKS_MAX][CONFIG_MEMBER_BYTES]; /* archive members; the first empty one ends the list */
};

struct system_config {
    uint64_t magic;
    uint32_t vm_count;
    uint32_t record_bytes; /* sizeof(struct vm_config), so that a stale archive is noticed */
    struct vm_config vm[];
};
