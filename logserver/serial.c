#include "logserver/serial.h"

#include <sel4/sel4.h>

/* Registers of the 16550, with the divisor latch closed. */
enum { DATA = 0x3f8, INTERRUPT_ENABLE = 0x3f9, FIFO_CONTROL = 0x3fa, INTERRUPT_IDENTIFICATION = 0x3fa,
       LINE_CONTROL = 0x3fb, MODEM_CONTROL = 0x3fc, LINE_STATUS = 0x3fd, SCRATCH = 0x3ff };

enum { ENABLE_RECEIVED = 1, ENABLE_SENT = 2 };
enum { STATUS_RECEIVED = 0x01, STATUS_EMPTY = 0x20 };

#define NO_INTERRUPT  0x01u
#define FIFOS_ON      0x07u /* on and emptied, an interrupt at the first byte */
#define LINE_8N1      0x03u
#define MODEM_READY   0x0bu /* DTR, RTS, and OUT2, which lets the interrupt out */

static uint8_t in(const struct serial *serial, uint16_t port)
{
    seL4_X86_IOPort_In8_t answer = seL4_X86_IOPort_In8(serial->ports, port);
    return answer.error == seL4_NoError ? answer.result : 0;
}

static void out(const struct serial *serial, uint16_t port, uint8_t value)
{
    seL4_X86_IOPort_Out8(serial->ports, port, value);
}

void serial_open(struct serial *serial, seL4_CPtr ports)
{
    *serial = (struct serial) { .ports = ports };
    out(serial, SCRATCH, 0x5a);
    bool first = in(serial, SCRATCH) == 0x5a;
    out(serial, SCRATCH, 0xa5);
    serial->present = first && in(serial, SCRATCH) == 0xa5;
    if (!serial->present)
        return;
    out(serial, LINE_CONTROL, LINE_8N1);
    out(serial, INTERRUPT_ENABLE, 0);
    out(serial, FIFO_CONTROL, FIFOS_ON);
    out(serial, MODEM_CONTROL, MODEM_READY);
    serial->interrupts = ENABLE_RECEIVED;
    out(serial, INTERRUPT_ENABLE, serial->interrupts);
}

bool serial_wants_service(const struct serial *serial)
{
    return serial->present && !(in(serial, INTERRUPT_IDENTIFICATION) & NO_INTERRUPT);
}

bool serial_can_send(const struct serial *serial)
{
    return in(serial, LINE_STATUS) & STATUS_EMPTY;
}

void serial_send(const struct serial *serial, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length && i < SERIAL_FIFO_BYTES; i++)
        out(serial, DATA, bytes[i]);
}

bool serial_receive(const struct serial *serial, uint8_t *byte)
{
    if (!serial->present || !(in(serial, LINE_STATUS) & STATUS_RECEIVED))
        return false;
    *byte = in(serial, DATA);
    return true;
}

void serial_tell_when_sent(struct serial *serial, bool wanted)
{
    uint8_t interrupts = wanted ? ENABLE_RECEIVED | ENABLE_SENT : ENABLE_RECEIVED;

    if (serial->interrupts == interrupts)
        return;
    serial->interrupts = interrupts;
    out(serial, INTERRUPT_ENABLE, interrupts);
}
