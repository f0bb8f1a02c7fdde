#include "vmm/device.h"

/* The linker gathers what DEVICE(...) defines, in no order to rely on. Weak: a program may be linked without any. */
extern const struct device_type __start_device_types[] __attribute__((weak));
extern const struct device_type __stop_device_types[] __attribute__((weak));

#define DEVICES_MAX (sizeof((struct machine *)0)->device / sizeof(void *))

/* The types by ascending order, equal ones as they are linked; how many there are, or DEVICES_MAX + 1: too many. */
static unsigned sorted_types(const struct device_type *sorted[DEVICES_MAX])
{
    unsigned count = 0;

    for (const struct device_type *type = __start_device_types; type < __stop_device_types; type++) {
        if (count == DEVICES_MAX)
            return DEVICES_MAX + 1;
        unsigned place = count++;
        for (; place > 0 && sorted[place - 1]->order > type->order; place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = type;
    }
    return count;
}

bool devices_create(struct machine *machine, const char **name)
{
    const struct device_type *sorted[DEVICES_MAX];
    unsigned count = sorted_types(sorted);

    machine->device_count = 0;
    if (count > DEVICES_MAX) {
        *name = "one more than a machine can have";
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        machine->device[i] = NULL;
        if (!sorted[i]->create(machine, &machine->device[i])) {
            *name = sorted[i]->name;
            devices_destroy(machine);
            return false;
        }
        machine->device_count++;
    }
    return true;
}

void devices_destroy(struct machine *machine)
{
    const struct device_type *sorted[DEVICES_MAX];

    if (sorted_types(sorted) > DEVICES_MAX)
        return;
    while (machine->device_count > 0) {
        unsigned i = --machine->device_count;

        if (machine->device[i])
            sorted[i]->destroy(machine, machine->device[i]);
        machine->device[i] = NULL;
    }
}
