/* The ways in which a PC is reset, one after the other. */
#include "beaml4-init/init.h"

#define RESET_CONTROL_PORT 0xcf9u /* of Intel's south bridges since the PIIX3 */
#define RESET_HARD         0x02u
#define RESET_NOW          0x06u
#define KEYBOARD_COMMAND   0x64u
#define KEYBOARD_PULSE     0xfeu /* the controller's output that is wired to the processor's reset */

static bool open_port(const struct machine *machine, unsigned port, seL4_CPtr *slot)
{
    return !resources_take_slot(machine->resources, slot) &&
           seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, port, port, INIT_CNODE, *slot, INIT_DEPTH) ==
               seL4_NoError;
}

void machine_reset(const struct machine *machine)
{
    seL4_CPtr slot;

    if (open_port(machine, RESET_CONTROL_PORT, &slot)) {
        seL4_X86_IOPort_Out8(slot, RESET_CONTROL_PORT, RESET_HARD);
        seL4_X86_IOPort_Out8(slot, RESET_CONTROL_PORT, RESET_NOW);
    }
    if (open_port(machine, KEYBOARD_COMMAND, &slot))
        seL4_X86_IOPort_Out8(slot, KEYBOARD_COMMAND, KEYBOARD_PULSE);
}
