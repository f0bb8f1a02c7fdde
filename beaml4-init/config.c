#include "beaml4-init/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MEMORY_STEP    (UINT64_C(2) << 20)
#define MEMORY_MAXIMUM (UINT64_C(256) << 30)
#define PRIORITY_MAXIMUM 200u

const char *config_open(const struct system_config **config, const void *bytes, size_t length)
{
    const struct system_config *found = bytes;

    if ((uintptr_t)bytes % _Alignof(struct system_config))
        return "it does not lie at a multiple of 8 bytes";
    if (length < sizeof *found || found->magic != CONFIG_MAGIC)
        return "it is not a compiled configuration";
    if (found->record_bytes != sizeof(struct vm_config))
        return "it was compiled for another version of the system; compile it again";
    if (found->vm_count > CONFIG_MAX_VMS)
        return "it describes more machines than the system can run";
    if (length - sizeof *found < found->vm_count * sizeof(struct vm_config))
        return "it is cut off";
    *config = found;
    return NULL;
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool name_is_plain(const char *name)
{
    for (; *name; name++)
        if (*name <= ' ' || *name > '~' || *name == '"')
            return false;
    return true;
}

const char *config_check_vm(const struct vm_config *vm)
{
    if (!ends(vm->name, sizeof vm->name) || vm->name[0] == '\0' || !name_is_plain(vm->name))
        return "its name is empty, too long or not plain text";
    if (!ends(vm->kernel, sizeof vm->kernel) || vm->kernel[0] == '\0')
        return "it names no kernel";
    if (!ends(vm->initrd, sizeof vm->initrd))
        return "the name of its initrd is too long";
    if (!ends(vm->cmdline, sizeof vm->cmdline))
        return "its command line is too long";
    for (unsigned i = 0; i < VM_DISKS_MAX; i++)
        if (!ends(vm->disk[i], sizeof vm->disk[i]))
            return "the name of one of its disks is too long";
    if (vm->memory_bytes == 0 || vm->memory_bytes % MEMORY_STEP || vm->memory_bytes > MEMORY_MAXIMUM)
        return "its memory is not a multiple of 2 MiB up to 256 GiB";
    if (vm->mode > VM_MODE_PV)
        return "its mode is unknown";
    if (vm->pages > VM_PAGES_SMALL)
        return "its page size is unknown";
    if (vm->rtc > VM_RTC_PASSTHROUGH)
        return "its kind of clock is unknown";
    if (vm->boot > VM_BOOT_LINUX64)
        return "its boot protocol is unknown";
    if (vm->restart > VM_RESTART_COUNT)
        return "its restart policy is unknown";
    if (vm->priority > PRIORITY_MAXIMUM)
        return "its priority is above 200";
    if (vm->autostart > 1)
        return "its autostart is neither 0 nor 1";
    return NULL;
}
