#include "logserver/line_filter.h"

#include <stdio.h>
#include <string.h>

void line_filter_init(struct line_filter *filter, const char *name)
{
    *filter = (struct line_filter) { .state = LINE_BEGINS };
    if (name)
        snprintf(filter->prefix, sizeof filter->prefix, "[%s] ", name);
}

static size_t begin_line(struct line_filter *filter, uint8_t byte, uint8_t *output)
{
    size_t length = strlen(filter->prefix);

    if (length == 0) {
        *output = byte;
        filter->state = byte == '\n' ? LINE_BEGINS : LINE_PASSES;
        return 1;
    }
    if (byte != (uint8_t)filter->prefix[filter->matched]) {
        filter->matched = 0;
        filter->state = byte == '\n' ? LINE_BEGINS : LINE_DROPS;
        return 0;
    }
    if (++filter->matched < length)
        return 0;
    memcpy(output, filter->prefix, length);
    filter->matched = 0;
    filter->state = LINE_PASSES;
    return length;
}

size_t line_filter_run(struct line_filter *filter, const uint8_t *bytes, size_t count, uint8_t *output)
{
    size_t written = 0;

    for (size_t i = 0; i < count; i++) {
        if (filter->state == LINE_BEGINS) {
            written += begin_line(filter, bytes[i], output + written);
            continue;
        }
        if (filter->state == LINE_PASSES)
            output[written++] = bytes[i];
        if (bytes[i] == '\n')
            filter->state = LINE_BEGINS;
    }
    return written;
}
