/* The compiled configuration, checked again: it comes from a file that a user may have made by other means. Pure. */
#pragma once

#include "ipc/vm_config.h"

#include <stddef.h>

/* Whether LENGTH bytes at BYTES are a configuration of this build. NULL: it is, and CONFIG points into them; else what
 * is wrong with it as a whole. Single machines may still be refused by config_check_vm. */
const char *config_open(const struct system_config **config, const void *bytes, size_t length);

/* NULL when every field of VM is within its bounds and every text ends; else the field that is not, and why. */
const char *config_check_vm(const struct vm_config *vm);
