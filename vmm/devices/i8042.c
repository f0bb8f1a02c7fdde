/* The keyboard controller of a PC (Intel 8042) with no keyboard and no auxiliary port behind it: what remains is the
 * reset line, the A20 bit, and the answers that tell a guest quickly that nobody is there. A driver that gets no answer
 * at all waits half a second for each that it expects.
 *
 * Cited: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 */
#include "vmm/device.h"

#include <stdlib.h>

#define PORT_DATA    0x60u
#define PORT_COMMAND 0x64u /* status when read */
#define GSI_KEYBOARD 1u

#define STATUS_OUTPUT_FULL  0x01u
#define STATUS_SYSTEM       0x04u /* the self-test was passed */
#define STATUS_COMMAND      0x08u /* the last write was a command */
#define STATUS_UNLOCKED     0x10u
#define STATUS_TIMEOUT      0x40u /* the device did not answer */

enum {
    COMMAND_READ_CONFIGURATION = 0x20,
    COMMAND_WRITE_CONFIGURATION = 0x60,
    COMMAND_TEST_AUXILIARY = 0xa9,
    COMMAND_SELF_TEST = 0xaa,
    COMMAND_TEST_KEYBOARD = 0xab,
    COMMAND_READ_OUTPUT_PORT = 0xd0,
    COMMAND_WRITE_OUTPUT_PORT = 0xd1,
    COMMAND_ECHO_KEYBOARD = 0xd2,
    COMMAND_ECHO_AUXILIARY = 0xd3,
    COMMAND_WRITE_AUXILIARY = 0xd4,
    COMMAND_PULSE = 0xf0, /* to ff: each zero bit of 3:0 pulses that bit of the output port */
};

#define SELF_TEST_PASSED    0x55u
#define TEST_PASSED         0x00u
#define TEST_CLOCK_STUCK    0x01u
#define KEYBOARD_RESEND     0xfeu /* what the controller says in the place of a keyboard that does not answer */

#define CONFIGURATION_INTERRUPT 0x01u
#define CONFIGURATION_SYSTEM    0x04u
#define CONFIGURATION_DISABLED  0x30u /* keyboard and auxiliary device */

#define OUTPUT_NOT_RESET 0x01u
#define OUTPUT_A20       0x02u

struct i8042 {
    struct machine *machine;
    uint8_t status, output, configuration, output_port;
    uint8_t command; /* waits for its data byte; 0: none */
};

static void update_line(struct i8042 *controller)
{
    machine_set_irq(controller->machine, GSI_KEYBOARD,
                    (controller->status & STATUS_OUTPUT_FULL) && (controller->configuration & CONFIGURATION_INTERRUPT));
}

static void answer(struct i8042 *controller, uint8_t byte)
{
    controller->output = byte;
    controller->status = (controller->status & (uint8_t)~STATUS_TIMEOUT) | STATUS_OUTPUT_FULL;
}

static void set_output_port(struct i8042 *controller, uint8_t value)
{
    controller->output_port = value;
    if (!(value & OUTPUT_NOT_RESET))
        machine_request_end(controller->machine, MACHINE_RESET);
}

static void write_command(struct i8042 *controller, uint8_t command)
{
    controller->status |= STATUS_COMMAND;
    controller->command = 0;
    switch (command) {
    case COMMAND_READ_CONFIGURATION:
        answer(controller, controller->configuration);
        break;
    case COMMAND_TEST_AUXILIARY:
        answer(controller, TEST_CLOCK_STUCK);
        break;
    case COMMAND_SELF_TEST:
        controller->status |= STATUS_SYSTEM;
        answer(controller, SELF_TEST_PASSED);
        break;
    case COMMAND_TEST_KEYBOARD:
        answer(controller, TEST_PASSED);
        break;
    case COMMAND_READ_OUTPUT_PORT:
        answer(controller, controller->output_port);
        break;
    case COMMAND_WRITE_CONFIGURATION:
    case COMMAND_WRITE_OUTPUT_PORT:
    case COMMAND_ECHO_KEYBOARD:
    case COMMAND_ECHO_AUXILIARY:
    case COMMAND_WRITE_AUXILIARY:
        controller->command = command;
        break;
    default: /* enabling and disabling of what is not there, and commands that a PS/2 controller does not have */
        if (command >= COMMAND_PULSE && !(command & OUTPUT_NOT_RESET))
            machine_request_end(controller->machine, MACHINE_RESET);
        break;
    }
}

static void write_data(struct i8042 *controller, uint8_t byte)
{
    uint8_t command = controller->command;

    controller->status &= (uint8_t)~STATUS_COMMAND;
    controller->command = 0;
    switch (command) {
    case COMMAND_WRITE_CONFIGURATION:
        controller->configuration = byte;
        break;
    case COMMAND_WRITE_OUTPUT_PORT:
        set_output_port(controller, byte);
        break;
    case COMMAND_ECHO_KEYBOARD:
    case COMMAND_ECHO_AUXILIARY: /* comes without the mark of an auxiliary device, since there is no such port */
        answer(controller, byte);
        break;
    case COMMAND_WRITE_AUXILIARY:
        break;
    default: /* for the keyboard */
        answer(controller, KEYBOARD_RESEND);
        controller->status |= STATUS_TIMEOUT;
        break;
    }
}

static enum bus_result access_data(void *device, struct bus_access *access)
{
    struct i8042 *controller = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->write) {
        write_data(controller, (uint8_t)access->value);
    } else {
        access->value = controller->output;
        controller->status &= (uint8_t)~(STATUS_OUTPUT_FULL | STATUS_TIMEOUT);
    }
    update_line(controller);
    return BUS_DONE;
}

static enum bus_result access_command(void *device, struct bus_access *access)
{
    struct i8042 *controller = device;

    if (access->size != 1)
        return BUS_PASS;
    if (access->write)
        write_command(controller, (uint8_t)access->value);
    else
        access->value = controller->status;
    update_line(controller);
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    bus_unregister(&machine->bus, device);
    free(device);
}

static bool create(struct machine *machine, void **device)
{
    struct i8042 *controller = calloc(1, sizeof *controller);

    if (!controller)
        return false;
    controller->machine = machine;
    controller->status = STATUS_UNLOCKED | STATUS_SYSTEM;
    controller->configuration = CONFIGURATION_SYSTEM | CONFIGURATION_DISABLED;
    controller->output_port = OUTPUT_NOT_RESET | OUTPUT_A20;

    struct bus_range data = {
        .space = BUS_PORT, .start = PORT_DATA, .length = 1, .priority = 128,
        .handler = access_data, .device = controller, .name = "i8042",
    };
    struct bus_range command = {
        .space = BUS_PORT, .start = PORT_COMMAND, .length = 1, .priority = 128,
        .handler = access_command, .device = controller, .name = "i8042",
    };
    if (!bus_register(&machine->bus, &data) || !bus_register(&machine->bus, &command)) {
        destroy(machine, controller);
        return false;
    }
    *device = controller;
    return true;
}

DEVICE(i8042_device, .name = "i8042", .order = DEVICE_ORDER_NORMAL, .create = create, .destroy = destroy);
