/* From the scan codes of a PC's keyboard, US layout, to the bytes that a terminal would send. Pure; takes any bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYBOARD_BYTES 5u /* of one key at most */

struct keyboard {
    bool set2;       /* the codes are of set 2, else of set 1, into which the controller mostly translates */
    bool extended;   /* a prefix has come: E0, */
    bool released;   /* F0, in set 2 */
    unsigned skip;   /* bytes of a Pause key that are still to come */
    bool shift[2], control[2], alt[2], caps_lock; /* left and right */
};

/* A byte of the keyboard's; the bytes that it makes are in TYPED. Returns how many. */
size_t keyboard_code(struct keyboard *keyboard, uint8_t code, uint8_t typed[KEYBOARD_BYTES]);
