/* screenserver: the machine's own console, a VGA screen and a PS/2 keyboard. logserver gives what is to be shown by one
 * ring and takes what is typed from another; a screen that is slow, or a server that is dead, holds nobody up. */
#include "runtime/runtime.h"
#include "screenserver/keyboard.h"
#include "screenserver/screen.h"

#include <string.h>

#define READ_SIZE 512u

/* The keyboard controller (8042), and how often it is asked before it counts as absent. */
#define KEYBOARD_DATA    0x60u
#define KEYBOARD_COMMAND 0x64u
#define COMMAND_READ_CONFIGURATION 0x20u
#define COMMAND_ENABLE   0xaeu
#define STATUS_OUTPUT    0x01u
#define STATUS_INPUT     0x02u
#define STATUS_MOUSE     0x20u
#define CONFIGURATION_INTERRUPT 0x01u
#define CONFIGURATION_DISABLED  0x10u
#define CONFIGURATION_TRANSLATE 0x40u
#define COMMAND_WRITE_CONFIGURATION 0x60u
#define CONTROLLER_TRIES 10000u

/* VGA: the graphics controller says where the memory is, and whether it holds text; the CRT controller has the cursor. */
#define GRAPHICS_INDEX   0x3ceu
#define GRAPHICS_DATA    0x3cfu
#define GRAPHICS_MISCELLANEOUS 0x06u
#define MISCELLANEOUS_GRAPHICS 0x01u
#define MISCELLANEOUS_MAP      0x0cu /* both bits: 0xb8000 */
#define CRTC_INDEX       0x3d4u
#define CRTC_DATA        0x3d5u
#define CRTC_START_HIGH  0x0cu
#define CRTC_START_LOW   0x0du
#define CRTC_CURSOR_HIGH 0x0eu
#define CRTC_CURSOR_LOW  0x0fu

/* The server's state is too large for the stack. */
static struct screenserver {
    const struct startup *startup;
    struct screen screen;
    uint16_t shown[SCREEN_CELLS]; /* what the hardware has: writing there is slow */
    volatile uint16_t *vga;       /* NULL: there is no text screen */
    struct keyboard keyboard;
    bool has_keyboard;
} the_server;

static uint8_t in(seL4_CPtr ports, uint16_t port)
{
    seL4_X86_IOPort_In8_t answer = seL4_X86_IOPort_In8(ports, port);
    return answer.error == seL4_NoError ? answer.result : 0xff;
}

static void out(seL4_CPtr ports, uint16_t port, uint8_t value)
{
    seL4_X86_IOPort_Out8(ports, port, value);
}

static void write_crtc(uint8_t index, uint8_t value)
{
    out(SLOT_SCREEN_VGA_PORTS, CRTC_INDEX, index);
    out(SLOT_SCREEN_VGA_PORTS, CRTC_DATA, value);
}

static bool open_screen(struct screenserver *server)
{
    out(SLOT_SCREEN_VGA_PORTS, GRAPHICS_INDEX, GRAPHICS_MISCELLANEOUS);
    uint8_t mode = in(SLOT_SCREEN_VGA_PORTS, GRAPHICS_DATA);

    screen_init(&server->screen);
    if (!server->startup->screenserver.vga || (mode & MISCELLANEOUS_GRAPHICS) ||
        (mode & MISCELLANEOUS_MAP) != MISCELLANEOUS_MAP)
        return false;
    server->vga = server->startup->screenserver.vga;
    write_crtc(CRTC_START_HIGH, 0);
    write_crtc(CRTC_START_LOW, 0);
    return true;
}

/* Whether the controller has what MASK of its status says; false when it does not come. */
static bool wait_for(uint8_t mask, uint8_t value)
{
    for (unsigned i = 0; i < CONTROLLER_TRIES; i++)
        if ((in(SLOT_SCREEN_KEYBOARD_COMMAND, KEYBOARD_COMMAND) & mask) == value)
            return true;
    return false;
}

static bool command(uint8_t value)
{
    if (!wait_for(STATUS_INPUT, 0))
        return false;
    out(SLOT_SCREEN_KEYBOARD_COMMAND, KEYBOARD_COMMAND, value);
    return true;
}

/* Takes over what the firmware has set up, and switches the interrupt on. */
static bool open_keyboard(struct screenserver *server)
{
    for (unsigned i = 0; i < 32 && (in(SLOT_SCREEN_KEYBOARD_COMMAND, KEYBOARD_COMMAND) & STATUS_OUTPUT); i++)
        in(SLOT_SCREEN_KEYBOARD_DATA, KEYBOARD_DATA);
    if (!command(COMMAND_READ_CONFIGURATION) || !wait_for(STATUS_OUTPUT, STATUS_OUTPUT))
        return false;
    uint8_t configuration = in(SLOT_SCREEN_KEYBOARD_DATA, KEYBOARD_DATA);
    server->keyboard.set2 = !(configuration & CONFIGURATION_TRANSLATE);
    configuration = (uint8_t)((configuration | CONFIGURATION_INTERRUPT) & ~CONFIGURATION_DISABLED);
    if (!command(COMMAND_WRITE_CONFIGURATION) || !wait_for(STATUS_INPUT, 0))
        return false;
    out(SLOT_SCREEN_KEYBOARD_DATA, KEYBOARD_DATA, configuration);
    return command(COMMAND_ENABLE);
}

static void show(struct screenserver *server)
{
    unsigned cursor = screen_cursor(&server->screen);

    if (!server->vga)
        return;
    for (unsigned i = 0; i < SCREEN_CELLS; i++) {
        if (server->shown[i] == server->screen.cell[i])
            continue;
        server->shown[i] = server->screen.cell[i];
        server->vga[i] = server->shown[i];
    }
    write_crtc(CRTC_CURSOR_HIGH, (uint8_t)(cursor >> 8));
    write_crtc(CRTC_CURSOR_LOW, (uint8_t)cursor);
}

/* All that has come, and the screen once: a line that is scrolled away at once is never drawn. */
static void draw(struct screenserver *server)
{
    uint8_t bytes[READ_SIZE];
    size_t count;
    bool changed = false;

    while ((count = ring_read(server->startup->console_input, bytes, sizeof bytes)) > 0) {
        screen_put(&server->screen, bytes, count);
        changed = true;
        seL4_Signal(SLOT_LOG_NOTIFY); /* there is room again */
    }
    if (changed)
        show(server);
}

static void read_keys(struct screenserver *server)
{
    uint8_t typed[KEYBOARD_BYTES];
    bool any = false;

    if (!server->has_keyboard)
        return;
    for (;;) {
        uint8_t status = in(SLOT_SCREEN_KEYBOARD_COMMAND, KEYBOARD_COMMAND);
        if (!(status & STATUS_OUTPUT) || status == 0xff)
            break;
        uint8_t code = in(SLOT_SCREEN_KEYBOARD_DATA, KEYBOARD_DATA);
        if (status & STATUS_MOUSE)
            continue;
        size_t count = keyboard_code(&server->keyboard, code, typed);
        if (count > 0)
            any |= ring_write(server->startup->console_output, typed, count) > 0;
    }
    if (any)
        seL4_Signal(SLOT_LOG_NOTIFY);
}

void service_main(const struct startup *startup)
{
    struct screenserver *server = &the_server;

    server->startup = startup;
    bool screen = open_screen(server);
    server->has_keyboard = open_keyboard(server);
    log_printf("%s, %s", screen ? "a VGA screen of 80 by 25" : "no VGA screen in text mode",
               server->has_keyboard ? server->keyboard.set2 ? "a keyboard of scan code set 2" : "a keyboard" : "no keyboard");
    memset(server->shown, 0xff, sizeof server->shown);
    show(server);
    seL4_IRQHandler_Ack(SLOT_SCREEN_KEYBOARD_IRQ);
    for (;;) {
        seL4_Word badge;

        draw(server);
        read_keys(server);
        seL4_Wait(SLOT_NOTIFICATION, &badge);
        /* Acknowledged before the controller is looked at: an edge that comes while the interrupt is masked is lost. */
        if (badge & NOTIFY_IRQ)
            seL4_IRQHandler_Ack(SLOT_SCREEN_KEYBOARD_IRQ);
    }
}
