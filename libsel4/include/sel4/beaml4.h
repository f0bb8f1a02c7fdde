/* What this project's own kernel tells the root task beyond upstream's bootinfo: a record behind bootinfo, found with
 * sel4_bootinfo_find. On a kernel without the record, VT-x is usable (upstream does not boot otherwise). */
#pragma once

#include <sel4/bootinfo.h>

#define SEL4_BOOTINFO_HEADER_BEAML4 0xbea40001u
#define SEL4_BEAML4_VERSION         1u

#define SEL4_BEAML4_VTX 1u /* VCPU and EPT objects can be had and run guests by VT-x */
#define SEL4_BEAML4_SVM 2u /* the same by AMD-V */

typedef struct seL4_BootInfo_beaml4 {
    seL4_BootInfoHeader header;
    seL4_Uint32 version;
    seL4_Uint32 features;  /* SEL4_BEAML4_VTX, … */
    seL4_Uint64 tsc_hz;    /* 0: not known more exactly than SEL4_BOOTINFO_HEADER_X86_TSC_FREQ says */
    char vtx_reason[64];   /* why there is no VT-x, zero-terminated */
} seL4_BootInfo_beaml4_t;
