/* Prints docs/ipc.md: all protocols, out of the same lists that programs are compiled from (ipc/protocol.h). */
#include "ipc/debug.h"
#include "ipc/hypervisor.h"
#include "ipc/time.h"
#include "ipc/virtio.h"

#include <stdio.h>
#include <string.h>

/* A field as "`name[n]`: what it is". SIZE is that of the whole field. */
static void field(unsigned *count, const char *type, const char *name, size_t size, const char *text)
{
    printf("%s`%s", (*count)++ ? "; " : "", name);
    if (strcmp(type, "char") == 0)
        printf("` (%zu bytes of text)", size);
    else if (size > sizeof(uint64_t))
        printf("[%zu]`", size / sizeof(uint64_t));
    else
        printf("`");
    printf("%s%s", text[0] ? " " : "", text);
}

#define FIELD(type, name, array, text) field(&count, #type, #name, sizeof(type array), text);

#define FIELDS(fields)                              \
    static void print_##fields(void)                \
    {                                               \
        unsigned count = 0;                         \
        fields(FIELD)                               \
        if (count == 0)                             \
            printf("-");                            \
    }

FIELDS(ipc_nothing)
FIELDS(hypervisor_page)
FIELDS(time_arm_request)
FIELDS(time_start_request)
FIELDS(time_token)
FIELDS(time_signal_request)
FIELDS(virtio_read_request)
FIELDS(virtio_value)
FIELDS(virtio_write_request)
FIELDS(debug_index)
FIELDS(debug_vm)
FIELDS(debug_service)
FIELDS(debug_mode)
FIELDS(debug_affinity)
FIELDS(debug_log)
FIELDS(debug_range)
FIELDS(debug_process)
FIELDS(debug_memory)
FIELDS(debug_statistics)
FIELDS(debug_trace)
FIELDS(debug_capabilities)

#define OPERATION(name, number, request, reply, capabilities, text) \
    printf("| `%s` %#x | %s | ", #name, number, text);              \
    print_##request();                                              \
    if ((capabilities) > 0)                                         \
        printf("; and %d capability", capabilities);                \
    printf(" | ");                                                  \
    print_##reply();                                                \
    printf(" |\n");

static void heading(const char *title, const char *text)
{
    printf("\n## %s\n\n%s\n\n| operation | does | request | reply |\n| --- | --- | --- | --- |\n", title, text);
}

int main(void)
{
    printf("# Protocols\n\n"
           "Made by `make docs` out of the lists in `ipc/`, of which programs get their structures and servers their "
           "checks;\n`tests/tools/test_ipc_page.py` fails where this page is another. `ipc/protocol.h` says how such a "
           "list is written.\n\n"
           "Every request is an `seL4_Call`. Its label is the operation, its message registers are the fields in their "
           "order,\none word each where nothing else is said. The label of the reply is a status; the reply's fields come "
           "only with status 0.\nA request with more words or fewer, or with a capability too many, is refused before "
           "anything is done.\n");
    heading("timeserver (`ipc/time.h`)", "Clients are told apart by their badges.");
    TIME_PROTOCOL(OPERATION)
    heading("init, for monitors (`ipc/hypervisor.h`)", "A monitor speaks of its own VM, as its badge says.");
    HYPERVISOR_PROTOCOL(OPERATION)
    heading("init, for dbgserver (`ipc/debug.h`)", "By dbgserver's badge alone.");
    DEBUG_PROTOCOL(OPERATION)
    heading("virtioserver (`ipc/virtio.h`)", "Its one client is the monitor of its VM.");
    VIRTIO_PROTOCOL(OPERATION)
    return 0;
}
