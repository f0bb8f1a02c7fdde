/* What assembly and C agree upon: offsets in the page that is shared with the hypervisor. */
#pragma once

#define SHARED_ERROR   8
#define SHARED_VECTOR  12
#define SHARED_CS      64
#define SHARED_SS      66
#define SHARED_GS_BASE 80
#define SHARED_FLAGS   88
#define SHARED_RIP     96
#define SHARED_RSP     104
#define SHARED_RCX     112
#define SHARED_R11     120

#define PVM_IP 0x100
#define PVM_IF 0x200
