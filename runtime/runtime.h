/* What every program of the system links: start-up, log, panic, heap. musl's libc.a gives the rest, of which only
 * functions that make no Linux system call and use no vector register may be called (runtime/check_program.py).
 */
#pragma once

#include "ipc/ring.h"
#include "ipc/startup.h"

#include <sel4/sel4.h>
#include <stddef.h>

/* A service's own code starts here; STARTUP is valid for good. Returning is a panic. */
void service_main(const struct startup *startup);

/* The same for a root task. */
void root_main(const seL4_BootInfo *bootinfo);

/* One line into the process's log ring; before there is a ring, to the kernel's debug console with the process's
 * name before it. A newline is added when FORMAT has none. Formats: see runtime/format.h. */
void log_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Where log_printf writes from now on: NAME for the debug console, RING or NULL, and the notification to signal. */
void log_use(const char *name, struct byte_ring *ring, seL4_CPtr notify);

/* Says why the process cannot go on and faults, so that init hears of it. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Gives malloc its memory; a service has got its own before service_main, a root task calls it itself. Once. */
void heap_use(void *region, size_t bytes);

/* Bytes that malloc could still give, all pieces together. */
size_t heap_bytes_left(void);
