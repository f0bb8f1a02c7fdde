/* Start-up of a service. */
#include "runtime/runtime.h"
#include "runtime/tls.h"

#include <stdint.h>

#define TLS_AREA_BYTES 2048u

_Noreturn void service_start(const struct startup *startup);

static uint8_t tls_area[TLS_AREA_BYTES];

_Noreturn void service_start(const struct startup *startup)
{
    if (startup->magic != STARTUP_MAGIC || tls_bytes() > sizeof tls_area)
        __builtin_trap(); /* without thread-local storage there is no way to say more */
    tls_use(tls_prepare(tls_area));
    seL4_SetIPCBuffer((seL4_IPCBuffer *)SERVICE_IPC_BUFFER);
    log_use(startup->name, startup->log, SLOT_LOG_NOTIFY);
    heap_use((void *)SERVICE_HEAP, startup->heap_bytes);
    service_main(startup);
    panic("service_main returned");
}
