/* musl has no <sys/cdefs.h>, and the C library's own of the build machine is not for it; <bsd/sys/tree.h> asks for one. */
#pragma once

#define __BEGIN_DECLS
#define __END_DECLS
