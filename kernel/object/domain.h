/* Scheduling domains: in this configuration there is one, which always runs. */
#pragma once

#include <api/invocation.h>

void domain_invoke(struct invocation *call);
