/* The machine's first serial port, a 16550 at 0x3f8, through an I/O port capability. */
#pragma once

#include <sel4/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL_FIFO_BYTES 16u

struct serial {
    seL4_CPtr ports;
    bool present;
    uint8_t interrupts; /* the interrupt enable register as it was last written */
};

/* Sets the port up with FIFOs and the receive interrupt, at the rate that the kernel has left; PRESENT says whether
 * there is a port. */
void serial_open(struct serial *serial, seL4_CPtr ports);

/* Whether the transmitter takes SERIAL_FIFO_BYTES bytes. */
bool serial_can_send(const struct serial *serial);

/* Sends up to SERIAL_FIFO_BYTES bytes; only after serial_can_send. */
void serial_send(const struct serial *serial, const uint8_t *bytes, size_t length);

/* Takes a received byte; false when there is none. */
bool serial_receive(const struct serial *serial, uint8_t *byte);

/* Whether an interrupt shall come when the transmitter has room again. */
void serial_tell_when_sent(struct serial *serial, bool wanted);

/* Whether the port is asking for an interrupt. It asks by a level, of which the interrupt controller sees the rising
 * edge: only after a false here does the next event bring an interrupt. */
bool serial_wants_service(const struct serial *serial);
