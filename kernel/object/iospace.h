/* Address spaces of devices behind an IOMMU. */
#pragma once

#include <api/invocation.h>

/* Invocations of CAP_IO_SPACE and CAP_IO_PAGE_TABLE. */
void iospace_invoke(struct invocation *call);
