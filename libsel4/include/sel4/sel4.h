/* All of the seL4 API for user programs. */
#pragma once

#include <sel4/bootinfo.h>
#include <sel4/constants.h>
#include <sel4/invocations.h>
#include <sel4/syscalls.h>
#include <sel4/types.h>
