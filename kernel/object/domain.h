/* Domains as the API knows them. There is one (CONFIG_NUM_DOMAINS), to which every thread belongs. */
#pragma once

#include <api/invocation.h>

void domain_invoke(struct invocation *call);
