/* The kernel drives no IOMMU. Like upstream on a machine without one, it hands out no capability to an address space of
 * a device, so that an I/O page table is never mapped. */
#include <object/iospace.h>

void iospace_invoke(struct invocation *call)
{
    if (call->cap.type != CAP_IO_PAGE_TABLE || (call->label != X86IOPageTableMap && call->label != X86IOPageTableUnmap))
        fail(call, seL4_IllegalOperation);
    else if (call->label == X86IOPageTableMap && (call->length < 1 || !has_extra(call, 1)))
        fail(call, seL4_TruncatedMessage);
    else if (call->label == X86IOPageTableMap)
        fail_capability(call, 0);
}
