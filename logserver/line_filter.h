/* Lets those lines of a text through that begin with a prefix. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define LINE_FILTER_PREFIX 48u

struct line_filter {
    char prefix[LINE_FILTER_PREFIX]; /* empty: all lines */
    size_t matched;                  /* bytes of the prefix at the beginning of the line so far */
    enum { LINE_BEGINS, LINE_PASSES, LINE_DROPS } state;
};

/* PREFIX: "[NAME] ", or nothing where NAME is NULL. */
void line_filter_init(struct line_filter *filter, const char *name);

/* What of COUNT bytes goes through, into OUTPUT with room for COUNT + LINE_FILTER_PREFIX bytes; returns how many. */
size_t line_filter_run(struct line_filter *filter, const uint8_t *bytes, size_t count, uint8_t *output);
