/* What init tells a service when it starts it: one page, mapped read-only, its address in rdi at the entry point.
 * Capabilities are where ipc/slots.h says.
 */
#pragma once

#include "ipc/ring.h"
#include "ipc/slots.h"
#include "ipc/statistics.h"
#include "ipc/time.h"
#include "ipc/vm_config.h"

#include <stdint.h>

#define STARTUP_MAGIC UINT64_C(0x3150545334454d42) /* "BME4STP1" */

/* The address space that init lays out for a service. The program itself is linked at SERVICE_BASE; a monitor has
 * its guest's RAM at GUEST_RAM_BASE + guest physical address, and maps what else it needs in the window. So has a
 * virtioserver. */
#define SERVICE_BASE       0x40000000ul    /* ELF image */
#define SERVICE_STARTUP    0x3ff00000ul    /* this page */
#define SERVICE_IPC_BUFFER 0x3ff10000ul
#define SERVICE_STACK_TOP  0x3ff80000ul    /* 64 KiB of stack below, then an unmapped guard page */
#define SERVICE_STACK_SIZE 0x10000ul
#define SERVICE_RINGS      0x3fe00000ul    /* shared rings, one a page, each followed by an unmapped page */
#define SERVICE_HEAP       0x60000000ul    /* heap_bytes, already mapped */
#define SERVICE_FILES      0x80000000ul    /* archive members of the VM, mapped read-only; virtioserver: its disk */
#define SERVICE_WINDOW     0x100000000ul   /* free for the service's own mappings, up to SERVICE_WINDOW_END */
#define SERVICE_WINDOW_END 0x140000000ul
#define GUEST_RAM_BASE     0x10000000000ul /* host address of guest physical address 0 */

#define GUEST_LOW_RAM_BYTES  0x10000000ul   /* guest RAM up to 256 MiB starts at 0 */
#define GUEST_HIGH_RAM_START 0x2000000000ul /* what is beyond starts at 128 GiB */

enum service_role { ROLE_LOG = 1, ROLE_TIME = 2, ROLE_VMM = 3, ROLE_VIRTIO = 4, ROLE_DEBUG = 5,
                    ROLE_SCREEN = 6 };

#define LOG_MAX_CLIENTS 32u
#define LOG_OF_ALL      0xffu

/* One client of logserver: the rings are pages in logserver's own address space. */
struct log_client {
    char name[CONFIG_NAME_BYTES]; /* the tag, without brackets */
    struct byte_ring *log;        /* lines of the process, tagged when printed; NULL: no such client */
    struct byte_ring *console_output; /* bytes of its console, NULL: has none */
    struct byte_ring *console_input;  /* NULL: no one runs who would read it */
};

/* What init tells logserver in a page that logserver reads at each NOTIFY_LOG_RING. */
struct log_table {
    struct log_client client[LOG_MAX_CLIENTS];
    uint32_t attach;       /* whose console the terminal shall be, */
    uint32_t attach_count; /* each time that this has become another number */
    uint32_t show;         /* whose last lines of the log shall be shown again: a client's, or LOG_OF_ALL, */
    uint32_t show_count;   /* likewise */
    uint32_t only;         /* whose new lines are shown, and not only kept; or LOG_OF_ALL */
};

struct startup_untyped {
    uint64_t paddr;
    uint32_t size_bits;
    uint32_t slot; /* capability slot of the untyped */
};

struct startup_file {
    const void *bytes; /* NULL: not given */
    uint64_t length;
};

struct startup {
    uint64_t magic;
    uint32_t role;  /* enum service_role */
    uint32_t index; /* client index at logserver and timeserver; for a monitor see vm_index */
    char name[CONFIG_NAME_BYTES];
    uint64_t tsc_hz;      /* frequency of the time-stamp counter */
    uint64_t heap_bytes;  /* at SERVICE_HEAP */
    uint64_t wall_clock_seconds; /* UTC since 1970 when the TSC was wall_clock_tsc, from the machine's RTC */
    uint64_t wall_clock_tsc;
    struct byte_ring *log; /* this process's own log ring; NULL before there is a logserver */
    struct byte_ring *console_output; /* of a guest or of the debug shell; NULL: it has no console */
    struct byte_ring *console_input;
    uint32_t static_cnode_bits; /* radix of the static CNode */
    uint32_t first_free_slot;   /* slots from here to the end of the static CNode are the service's own */

    union {
        struct {
            const struct log_table *table; /* init keeps it up to date as processes come and go */
            uint32_t shell;                /* the debug shell's number as a client, */
            uint32_t screen;               /* and screenserver's, whose console rings are the screen and the keyboard */
        } logserver;
        struct {
            void *vga; /* its text memory; NULL: it cannot be had */
        } screenserver;
        struct {
            struct time_table *table;
            void *hpet; /* its registers; NULL: this computer has none */
        } timeserver;
        struct {
            uint64_t created_tsc; /* when init has begun to make the VM */
            uint32_t vm_index;
            uint32_t untyped_count;
            uint32_t mode;            /* enum vm_mode, never VM_MODE_AUTO: how it shall run */
            uint32_t kernel_features; /* SEL4_BEAML4_VTX …, as the kernel announces them */
            struct startup_file kernel; /* mapped below SERVICE_WINDOW */
            struct startup_file initrd;
            const struct vm_config *config; /* a second read-only page */
            struct exit_trace *statistics;  /* a page that init reads */
            /* First what becomes guest RAM: largest first, each a multiple of 2 MiB, config->memory_bytes together.
             * Behind that the memory for everything else that the monitor makes (virtual CPU, paging structures,
             * CNodes). */
            struct startup_untyped untyped[SLOT_VM_UNTYPED_MAX - SLOT_VM_UNTYPED];
        } vm;
        struct {
            uint64_t memory_bytes; /* of the guest's RAM, which will be at GUEST_RAM_BASE; the tables are there */
            uint32_t pages;        /* enum vm_pages: in frames of this size */
            uint32_t number;       /* of the device in its VM */
            uint8_t *disk;         /* a copy of the disk's image, to be read and written */
            uint64_t disk_bytes;   /* a multiple of 512 */
        } virtio;
    };
};
