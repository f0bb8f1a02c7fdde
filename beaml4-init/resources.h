/* All untyped memory and all capability slots of the machine, which init owns: UniAlloc and IdAlloc over what the
 * kernel left in bootinfo; and the pages of init's own address space where frames can be mapped for a while.
 *
 * Functions that can fail answer a text that says why, NULL when all is well.
 */
#pragma once

#include "algorithms/idalloc.h"
#include "algorithms/unialloc.h"

#include <sel4/sel4.h>
#include <stddef.h>

/* A slot of init's own CNode, named for CNode invocations: SERVICE, INDEX and DEPTH. */
#define INIT_CNODE ((seL4_CNode)seL4_CapInitThreadCNode)
#define INIT_DEPTH ((seL4_Uint8)seL4_WordBits)

struct resources {
    const seL4_BootInfo *bootinfo;
    struct unialloc memory;
    struct idalloc slots;
    struct idalloc window; /* page numbers of init's window */
    uint64_t all_bytes;    /* of RAM that there were at first */
};

struct totals {
    uint64_t bytes; /* of RAM that no one has */
    uint64_t slots; /* of init's CNode that are empty */
};

/* Takes everything over. Needs malloc. */
const char *resources_open(struct resources *resources, const seL4_BootInfo *bootinfo);

struct totals resources_totals(const struct resources *resources);

/* An empty slot of init's CNode. */
const char *resources_take_slot(struct resources *resources, seL4_CPtr *slot);

/* Gives a slot back that is empty again. */
void resources_give_slot(struct resources *resources, seL4_CPtr slot);

/* The capability of the frame that the page of init's image at ADDRESS lies in; null when that is not in the image. */
seL4_CPtr resources_image_frame(const struct resources *resources, const void *address);

/* COUNT pages (1 to 64) side by side where init may map frames; NULL when they are all in use. */
void *resources_take_window(struct resources *resources, unsigned count);

/* Maps a frame of 4 KiB in init's window, at *ADDRESS. NULL, or why not: nothing is taken then. */
const char *resources_map_page(struct resources *resources, seL4_CPtr frame, seL4_CapRights_t rights, void **address);

/* Gives them back with nothing mapped there any more. */
void resources_give_window(struct resources *resources, void *address, unsigned count);
