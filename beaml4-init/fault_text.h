/* A fault of a thread in words, out of the message that the kernel sent about it. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FAULT_WORDS 19u /* of the longest fault message, an unknown system call's */

/* LABEL is the message's, an seL4_Fault_tag_t if it comes from the kernel; WORDS are its message registers, zero where
 * there were fewer. Writes at most SIZE bytes with the terminating zero. */
void fault_text(char *text, size_t size, uint64_t label, const uint64_t words[FAULT_WORDS]);
