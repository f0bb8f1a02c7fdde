/* Lists of numbered things: circular and doubly linked, by 16-bit numbers, with the links in an array beside the
 * things. A list is the number of its first element. */
#pragma once

#include <stdint.h>

#define SHADOW_NONE 0xffffu

struct shadow_link {
    uint16_t next, previous;
};

static inline void shadow_list_append(uint16_t *list, struct shadow_link *link, uint16_t element)
{
    uint16_t first = *list;

    if (first == SHADOW_NONE) {
        link[element] = (struct shadow_link) { element, element };
        *list = element;
        return;
    }
    uint16_t last = link[first].previous;
    link[element] = (struct shadow_link) { first, last };
    link[last].next = element;
    link[first].previous = element;
}

static inline void shadow_list_remove(uint16_t *list, struct shadow_link *link, uint16_t element)
{
    struct shadow_link here = link[element];

    if (here.next == element) {
        *list = SHADOW_NONE;
        return;
    }
    link[here.previous].next = here.next;
    link[here.next].previous = here.previous;
    if (*list == element)
        *list = here.next;
}

static inline uint16_t shadow_list_take_first(uint16_t *list, struct shadow_link *link)
{
    uint16_t first = *list;

    if (first != SHADOW_NONE)
        shadow_list_remove(list, link, first);
    return first;
}

/* The element after one, SHADOW_NONE after the last. */
static inline uint16_t shadow_list_next(uint16_t list, const struct shadow_link *link, uint16_t element)
{
    return link[element].next == list ? SHADOW_NONE : link[element].next;
}
