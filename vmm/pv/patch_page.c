/* A page that is executed for the first time: what is reached from there within the page is surely code; what is not is read
 * from where that ends. */
#include "vmm/pv/patch_parts.h"

#include "vmm/instruction.h"

#include <string.h>

#define BEFORE 64u /* bytes of the page before: enough for reading to fall into step */
#define AFTER  INSTRUCTION_MAX_BYTES
#define WINDOW (BEFORE + PATCH_PAGE_BYTES + AFTER)

struct window {
    uint8_t bytes[WINDOW];
    bool reached[WINDOW];      /* an instruction begins here */
    uint16_t waiting[WINDOW];  /* targets to be followed, each once */
    unsigned waiting_count;
    size_t begin;              /* bytes before are not known */
    struct patch_sweep sweep;
};

static void reach(struct window *window, int64_t at)
{
    if (at < (int64_t)window->begin || at >= (int64_t)window->sweep.last || window->reached[at])
        return;
    window->reached[at] = true;
    window->waiting[window->waiting_count++] = (uint16_t)at;
}

static void follow(struct window *window, size_t entry)
{
    reach(window, (int64_t)entry);
    while (window->waiting_count > 0) {
        size_t at = window->waiting[--window->waiting_count];
        struct patch_instruction instruction = patch_decode(&window->sweep, at);

        if (instruction.length == 0) { /* not an instruction: it is not reached after all */
            window->reached[at] = false;
            continue;
        }
        if (instruction.has_target)
            reach(window, (int64_t)at + instruction.target);
        if (!instruction.ends)
            reach(window, (int64_t)(at + instruction.length));
    }
}

bool patch_page(const struct patch_page *page, const struct patch_policy *policy, struct patch_report *report)
{
    struct window window = {
        .begin = page->previous ? 0 : BEFORE,
        .sweep = {
            .first = BEFORE,
            .last = BEFORE + PATCH_PAGE_BYTES,
            .length = BEFORE + PATCH_PAGE_BYTES + (page->next ? AFTER : 0),
            .address = page->address - BEFORE,
            .policy = policy,
            .report = report,
        },
    };
    size_t at = window.begin;
    int offset = page->offset;

    window.sweep.bytes = window.bytes;
    if (page->previous)
        memcpy(window.bytes, page->previous + PATCH_PAGE_BYTES - BEFORE, BEFORE);
    memcpy(window.bytes + BEFORE, page->page, PATCH_PAGE_BYTES);
    if (page->next)
        memcpy(window.bytes + BEFORE + PATCH_PAGE_BYTES, page->next, AFTER);
    if (offset > -(int)INSTRUCTION_MAX_BYTES && offset < (int)PATCH_PAGE_BYTES && (offset >= 0 || page->previous))
        follow(&window, (size_t)((int)BEFORE + offset));

    for (size_t start = at + 1; start < window.sweep.last; start++) {
        if (!window.reached[start])
            continue;
        patch_sweep(&window.sweep, at, start);
        at = start;
    }
    patch_sweep(&window.sweep, at, window.sweep.last);
    for (unsigned i = 0; i < PATCH_PAGE_BYTES; i++) /* a device may be writing there: the others are left alone */
        if (page->page[i] != window.bytes[BEFORE + i])
            page->page[i] = window.bytes[BEFORE + i];
    return window.sweep.spills;
}
