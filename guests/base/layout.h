/* What assembly and C agree upon. */
#pragma once

#ifdef SPEAKS_PVM /* those of the real ring 3 */
#define SELECTOR_CODE        0x10
#define SELECTOR_DATA        0x18
#define SELECTOR_USER_CODE32 0x23
#define SELECTOR_USER_DATA   0x2b
#define SELECTOR_USER_CODE   0x33
#else
#define SELECTOR_CODE      0x08
#define SELECTOR_DATA      0x10
#define SELECTOR_USER_CODE32 0x1b
#define SELECTOR_USER_DATA 0x23
#define SELECTOR_USER_CODE 0x2b
#define SELECTOR_TSS       0x30
#endif

#define VECTOR_SYSCALL 256 /* of a struct frame that came by SYSCALL */

/* Offsets in struct frame. */
#define FRAME_VECTOR (15 * 8)
#define FRAME_RIP    (17 * 8)
#define FRAME_CS     (18 * 8)
#define FRAME_RFLAGS (19 * 8)
#define FRAME_RSP    (20 * 8)
#define FRAME_WORDS  22

/* Offsets in struct cpu, to which the kernel's GS points. */
#define CPU_STACK    0
#define CPU_USER     8
#define CPU_USER_END 16
#define CPU_SCRATCH  24
