/* What a VM needs beside its guest's RAM, how that RAM is put together, and what follows the end of a VM. Pure. */
#pragma once

#include "ipc/vm_config.h"

#include <stdbool.h>
#include <stdint.h>

/* log2 of the smallest untyped that guest RAM is made of: one large page. */
#define VM_RAM_MIN_BITS 21u

enum vm_end { VM_END_POWERED_OFF, VM_END_REBOOT, VM_END_REFUSED, VM_END_CRASHED, VM_END_KILLED };

/* How the VM will run: a mode of enum vm_mode that has been chosen, and never VM_MODE_AUTO. */

/* Bytes of untyped memory for what the monitor makes itself: the virtual CPU, paging structures of the guest's memory
 * in the EPT or as shadow page tables and in its own address space, CNodes for the frames. A multiple of 64 KiB. */
uint64_t vm_objects_bytes(const struct vm_config *config, enum vm_mode mode);

/* Bytes of heap for the monitor: a base, and what its bookkeeping of guest memory takes. A multiple of 4 KiB. */
uint64_t vm_heap_bytes(const struct vm_config *config, enum vm_mode mode);

/* log2 of the next piece when BYTES (not 0) are still to be had and the largest piece there is has 2^LARGEST_BITS. */
unsigned vm_next_piece_bits(uint64_t bytes, unsigned largest_bits);

/* How many pieces of 2^VM_RAM_MIN_BITS bytes of its RAM a VM has that is run in MODE (enum vm_mode). */
uint64_t vm_single_pieces(const struct vm_config *config, uint32_t mode);

/* Whether a VM that ended by END starts again, CRASHES being how often it has crashed by now, this time included. */
bool vm_starts_again(const struct vm_config *config, enum vm_end end, uint32_t crashes);
