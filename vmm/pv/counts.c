#include "vmm/pv/pv.h"

#include <stdio.h>

#define LINE_BYTES 160u

void pv_write_counts(const struct pv *pv, trace_line *line, void *context)
{
    const struct pv_counts *counts = &pv->counts;
    const struct shadow_counts *shadow = shadow_counts(pv->shadow);
    char text[LINE_BYTES];

    snprintf(text, sizeof text, "PV: the guest stopped %lu times: %lu page faults, %lu exceptions, %lu system calls, "
             "%lu notifications", pv->thread.replies, counts->page_faults, counts->exceptions, counts->syscalls,
             counts->notifications);
    line(context, text);
    snprintf(text, sizeof text, "PV: calls to map %lu (%lu pages), to unmap %lu, to stop the guest %lu; %lu events, "
             "%lu steps", pv->mapping.map_calls, pv->mapping.mapped, pv->mapping.unmap_calls, pv->thread.stops,
             counts->events, counts->steps);
    line(context, text);
    snprintf(text, sizeof text, "PV: shadow pages %lu filled, %lu more around, %lu dropped, %lu evicted (tables %lu, "
             "roots %lu)", shadow->filled, shadow->around, shadow->dropped, shadow->evicted_pages,
             shadow->evicted_tables, shadow->evicted_roots);
    line(context, text);
    snprintf(text, sizeof text, "PV: guest page tables written %lu times here, %lu otherwise; %lu pages of code looked "
             "through", counts->tables_written, counts->written_otherwise, counts->pages_scanned);
    line(context, text);
}
