/* Memory that the guest gives back: by hypercall 0x2101, with rbx the guest physical address of a page of 2 MiB. rax is 0
 * afterwards, or a negative number as Linux has them. What has been given back is no memory any more. Pure.
 */
#pragma once

#include "vmm/monitor.h"

#define BALLOON_HYPERCALL 0x2101u

enum balloon_result { BALLOON_OK = 0, BALLOON_INVALID = -22 /* EINVAL: no such page, or not a whole one */,
                      BALLOON_BUSY = -16 /* EBUSY: a page that has to stay */ };

struct balloon {
    struct monitor *monitor;
    bool (*give)(void *context, uint64_t address); /* gives the page to who owns the machine; false: it has to stay */
    void *context;
    unsigned given;
};

/* Before other handlers of hypercalls. False: there are too many. */
bool balloon_init(struct balloon *balloon, struct monitor *monitor, bool (*give)(void *context, uint64_t address),
                  void *context);
