/* The invocations of a thread that are about its registers. */
#pragma once

#include <api/invocation.h>

void tcb_read_registers(struct invocation *call, struct tcb *thread);
void tcb_write_registers(struct invocation *call, struct tcb *thread);
void tcb_copy_registers(struct invocation *call, struct tcb *thread);
void tcb_set_tls_base(struct invocation *call, struct tcb *thread);
