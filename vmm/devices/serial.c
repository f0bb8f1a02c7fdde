/* The first serial port: a National Semiconductor PC16550D at its place in a PC, on the machine's console.
 *
 * Bytes take no time on the line: a transmitter is empty as soon as the console has taken its bytes, and input is in
 * the receiver as soon as there is room. Cited: PC16550D data sheet (1995), section 8.
 */
#include "vmm/device.h"

#include <stdlib.h>
#include <string.h>

#define SERIAL_BASE  0x3f8u
#define SERIAL_PORTS 8u
#define FIFO_BYTES   16u

/* How often the console is asked again after it took less than it was given. */
#define RETRIES_PER_SECOND 1000u

enum {
    REGISTER_DATA,             /* RBR, THR; DLL with DLAB */
    REGISTER_INTERRUPT_ENABLE, /* IER; DLM with DLAB */
    REGISTER_IDENTIFICATION,   /* IIR when read, FCR when written */
    REGISTER_LINE_CONTROL,
    REGISTER_MODEM_CONTROL,
    REGISTER_LINE_STATUS,
    REGISTER_MODEM_STATUS,
    REGISTER_SCRATCH,
};

#define IER_RECEIVED    0x01u
#define IER_TRANSMITTER 0x02u
#define IER_LINE_STATUS 0x04u
#define IER_MODEM       0x08u
#define IER_WRITABLE    0x0fu

#define IIR_NONE        0x01u /* values of bits 3:0, in rising order of priority: 8.6.4 */
#define IIR_MODEM       0x00u
#define IIR_TRANSMITTER 0x02u
#define IIR_TIMEOUT     0x0cu
#define IIR_RECEIVED    0x04u
#define IIR_LINE_STATUS 0x06u
#define IIR_FIFO        0xc0u

#define FCR_ENABLE     0x01u
#define FCR_CLEAR_RX   0x02u
#define FCR_TRIGGER(v) ((v) >> 6)

#define LCR_DLAB 0x80u

#define MCR_DTR      0x01u
#define MCR_RTS      0x02u
#define MCR_OUT1     0x04u
#define MCR_OUT2     0x08u /* on a PC, the gate of the interrupt line */
#define MCR_LOOP     0x10u
#define MCR_WRITABLE 0x1fu

#define LSR_DATA_READY 0x01u
#define LSR_OVERRUN    0x02u
#define LSR_THR_EMPTY  0x20u
#define LSR_IDLE       0x40u

#define MSR_CTS    0x10u
#define MSR_DSR    0x20u
#define MSR_RI     0x40u
#define MSR_DCD    0x80u
#define MSR_LINES  (MSR_CTS | MSR_DSR | MSR_RI | MSR_DCD)
#define MSR_DELTA_RI 0x04u /* trailing edge of RI; the other deltas are changes of either kind */

struct fifo {
    uint8_t bytes[FIFO_BYTES];
    unsigned count;
};

struct serial {
    struct machine *machine;
    uint8_t interrupt_enable, line_control, modem_control, scratch;
    uint8_t divisor_low, divisor_high;
    uint8_t modem_status; /* with the lines as last seen */
    uint8_t trigger;      /* bytes in the receiver that make IIR_RECEIVED */
    bool fifo_enabled, overrun;
    bool transmitter_interrupt; /* the transmitter became empty, and the guest has not seen it in the IIR */
    struct fifo receiver, transmitter;
    struct timer retry;
};

static unsigned capacity(const struct serial *serial)
{
    return serial->fifo_enabled ? FIFO_BYTES : 1;
}

static void fifo_drop(struct fifo *fifo, unsigned count)
{
    fifo->count -= count;
    memmove(fifo->bytes, fifo->bytes + count, fifo->count);
}

static uint8_t pending_interrupt(const struct serial *serial)
{
    if ((serial->interrupt_enable & IER_LINE_STATUS) && serial->overrun)
        return IIR_LINE_STATUS;
    if ((serial->interrupt_enable & IER_RECEIVED) && serial->receiver.count > 0)
        /* Below the trigger level the data sheet waits four characters' time (8.4); here the line is silent at once. */
        return serial->receiver.count >= serial->trigger ? IIR_RECEIVED : IIR_TIMEOUT;
    if ((serial->interrupt_enable & IER_TRANSMITTER) && serial->transmitter_interrupt)
        return IIR_TRANSMITTER;
    if ((serial->interrupt_enable & IER_MODEM) && (serial->modem_status & ~MSR_LINES))
        return IIR_MODEM;
    return IIR_NONE;
}

static void update_line(struct serial *serial)
{
    /* With loop-back the OUT2 pin is inactive whatever its bit says (8.6.7), and the gate closed. */
    bool gate = (serial->modem_control & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    machine_set_irq(serial->machine, GSI_SERIAL, gate && pending_interrupt(serial) != IIR_NONE);
}

/* Fetches what the console has for as long as there is room. */
static void receive(struct serial *serial)
{
    struct fifo *fifo = &serial->receiver;
    const struct machine *machine = serial->machine;

    if (!(serial->modem_control & MCR_LOOP) && fifo->count < capacity(serial))
        fifo->count += (unsigned)machine->console_read(machine->console, fifo->bytes + fifo->count,
                                                       capacity(serial) - fifo->count);
}

/* Gives the console what the transmitter holds; what it does not take stays, and is offered again. */
static void transmit(struct serial *serial)
{
    struct machine *machine = serial->machine;
    struct fifo *fifo = &serial->transmitter;

    if (fifo->count == 0)
        return;
    fifo_drop(fifo, (unsigned)machine->console_write(machine->console, fifo->bytes, fifo->count));
    if (fifo->count == 0)
        serial->transmitter_interrupt = true;
    else if (!serial->retry.armed)
        timer_arm(&machine->timers, &serial->retry, machine->now() + machine->tsc_hz / RETRIES_PER_SECOND);
}

static void retry_expired(void *device, uint64_t deadline)
{
    struct serial *serial = device;

    (void)deadline;
    transmit(serial);
    update_line(serial);
}

static void input_arrived(void *device)
{
    struct serial *serial = device;

    receive(serial);
    update_line(serial);
}

/* Loop-back: the transmitter feeds the receiver, which may overrun (8.6.7). */
static void loop_back(struct serial *serial, uint8_t byte)
{
    struct fifo *fifo = &serial->receiver;

    if (fifo->count < capacity(serial))
        fifo->bytes[fifo->count++] = byte;
    else
        serial->overrun = true;
    serial->transmitter_interrupt = true;
}

static void write_data(struct serial *serial, uint8_t byte)
{
    struct fifo *fifo = &serial->transmitter;

    serial->transmitter_interrupt = false;
    if (serial->modem_control & MCR_LOOP) {
        loop_back(serial, byte);
        return;
    }
    /* A guest that writes into a full transmitter, which the LSR forbids, loses that byte, as on a real one. */
    if (fifo->count < capacity(serial))
        fifo->bytes[fifo->count++] = byte;
    transmit(serial);
}

static uint8_t read_data(struct serial *serial)
{
    struct fifo *fifo = &serial->receiver;
    uint8_t byte = 0;

    receive(serial);
    if (fifo->count > 0) {
        byte = fifo->bytes[0];
        fifo_drop(fifo, 1);
    }
    receive(serial);
    return byte;
}

/* The state of the four input lines: a terminal that is always there, or the outputs in loop-back (8.6.7). */
static uint8_t modem_lines(const struct serial *serial)
{
    uint8_t control = serial->modem_control;

    if (!(control & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (control & MCR_RTS ? MSR_CTS : 0) | (control & MCR_DTR ? MSR_DSR : 0) | (control & MCR_OUT1 ? MSR_RI : 0)
        | (control & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_modem_control(struct serial *serial, uint8_t value)
{
    uint8_t before = serial->modem_status & MSR_LINES;

    serial->modem_control = value & MCR_WRITABLE;
    uint8_t lines = modem_lines(serial);
    uint8_t deltas = (uint8_t)((before ^ lines) >> 4);
    if (!(before & MSR_RI))
        deltas &= (uint8_t)~MSR_DELTA_RI;
    serial->modem_status = (serial->modem_status & (uint8_t)~MSR_LINES) | lines | deltas;
}

static void write_fifo_control(struct serial *serial, uint8_t value)
{
    static const uint8_t levels[4] = { 1, 4, 8, 14 };
    bool enable = value & FCR_ENABLE;

    /* Clearing the transmitter discards nothing: what it holds counts as on the line already, and the LSR says that it
     * is not empty. A real one could not be so far behind, and the text would be lost. */
    if (enable != serial->fifo_enabled || (enable && (value & FCR_CLEAR_RX)))
        serial->receiver.count = 0;
    serial->fifo_enabled = enable;
    serial->trigger = enable ? levels[FCR_TRIGGER(value)] : 1;
}

static uint8_t read_identification(struct serial *serial)
{
    uint8_t pending = pending_interrupt(serial);

    if (pending == IIR_TRANSMITTER)
        serial->transmitter_interrupt = false;
    return pending | (serial->fifo_enabled ? IIR_FIFO : 0);
}

static uint8_t read_line_status(struct serial *serial)
{
    uint8_t status = serial->overrun ? LSR_OVERRUN : 0;

    transmit(serial); /* a guest that polls need not wait for the timer */
    receive(serial);
    if (serial->receiver.count > 0)
        status |= LSR_DATA_READY;
    if (serial->transmitter.count == 0)
        status |= LSR_THR_EMPTY | LSR_IDLE;
    serial->overrun = false;
    return status;
}

static uint8_t read_register(struct serial *serial, uint64_t number)
{
    bool divisor = serial->line_control & LCR_DLAB;
    uint8_t value;

    switch (number) {
    case REGISTER_DATA:
        return divisor ? serial->divisor_low : read_data(serial);
    case REGISTER_INTERRUPT_ENABLE:
        return divisor ? serial->divisor_high : serial->interrupt_enable;
    case REGISTER_IDENTIFICATION:
        return read_identification(serial);
    case REGISTER_LINE_CONTROL:
        return serial->line_control;
    case REGISTER_MODEM_CONTROL:
        return serial->modem_control;
    case REGISTER_LINE_STATUS:
        return read_line_status(serial);
    case REGISTER_MODEM_STATUS:
        value = serial->modem_status;
        serial->modem_status &= MSR_LINES;
        return value;
    default:
        return serial->scratch;
    }
}

static void write_interrupt_enable(struct serial *serial, uint8_t value)
{
    uint8_t before = serial->interrupt_enable;

    serial->interrupt_enable = value & IER_WRITABLE;
    /* Enabling the interrupt of an empty transmitter raises it (8.4, transmitter mode); Linux tests for that. */
    if ((value & ~before & IER_TRANSMITTER) && serial->transmitter.count == 0)
        serial->transmitter_interrupt = true;
    if (value & IER_RECEIVED)
        receive(serial);
}

static void write_register(struct serial *serial, uint64_t number, uint8_t value)
{
    bool divisor = serial->line_control & LCR_DLAB;

    switch (number) {
    case REGISTER_DATA:
        if (divisor)
            serial->divisor_low = value;
        else
            write_data(serial, value);
        break;
    case REGISTER_INTERRUPT_ENABLE:
        if (divisor)
            serial->divisor_high = value;
        else
            write_interrupt_enable(serial, value);
        break;
    case REGISTER_IDENTIFICATION:
        write_fifo_control(serial, value);
        break;
    case REGISTER_LINE_CONTROL:
        serial->line_control = value;
        break;
    case REGISTER_MODEM_CONTROL:
        write_modem_control(serial, value);
        break;
    case REGISTER_SCRATCH:
        serial->scratch = value;
        break;
    default: /* LSR and MSR: writing is for the factory's test only (8.6.3) */
        break;
    }
}

static enum bus_result access_port(void *device, struct bus_access *access)
{
    struct serial *serial = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->write)
        write_register(serial, access->offset, (uint8_t)access->value);
    else
        access->value = read_register(serial, access->offset);
    update_line(serial);
    return BUS_DONE;
}

static bool create(struct machine *machine, void **device)
{
    struct serial *serial = calloc(1, sizeof *serial);

    if (!serial)
        return false;
    serial->machine = machine;
    serial->trigger = 1;
    serial->divisor_low = 1;
    serial->modem_status = modem_lines(serial);
    serial->retry.expired = retry_expired;
    serial->retry.device = serial;

    struct bus_range range = {
        .space = BUS_PORT, .start = SERIAL_BASE, .length = SERIAL_PORTS, .priority = 128,
        .handler = access_port, .device = serial, .name = "serial",
    };
    if (!bus_register(&machine->bus, &range)) {
        free(serial);
        return false;
    }
    machine->console_input = input_arrived;
    machine->console_device = serial;
    *device = serial;
    return true;
}

static void destroy(struct machine *machine, void *device)
{
    struct serial *serial = device;

    machine->console_input = NULL;
    machine->console_device = NULL;
    timer_cancel(&machine->timers, &serial->retry);
    bus_unregister(&machine->bus, serial);
    free(serial);
}

DEVICE(serial_device, .name = "serial", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
