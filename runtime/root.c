/* Start-up of a root task. */
#include "runtime/runtime.h"
#include "runtime/tls.h"

#include <stdint.h>

#define TLS_AREA_BYTES 2048u

_Noreturn void root_start(const seL4_BootInfo *bootinfo);

extern const char __image_start[], __stack_guard[];

static uint8_t tls_area[TLS_AREA_BYTES];

/* The frames of the image are in the order of their addresses, one capability a page. */
static void unmap_stack_guard(const seL4_BootInfo *bootinfo)
{
    seL4_Word page = (seL4_Word)(__stack_guard - __image_start) >> seL4_PageBits;
    seL4_CPtr frame = bootinfo->userImageFrames.start + page;

    if (frame >= bootinfo->userImageFrames.end || seL4_X86_Page_Unmap(frame) != seL4_NoError)
        panic("no capability of the guard page below the stack");
}

_Noreturn void root_start(const seL4_BootInfo *bootinfo)
{
    if (tls_bytes() > sizeof tls_area)
        __builtin_trap();
    tls_use(tls_prepare(tls_area));
    seL4_SetIPCBuffer(bootinfo->ipcBuffer);
    log_use("root", NULL, seL4_CapNull);
    unmap_stack_guard(bootinfo);
    root_main(bootinfo);
    panic("root_main returned");
}
