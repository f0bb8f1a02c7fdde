/* What a monitor can do to the virtioserver of its VM's first disk. */
#pragma once

#include "ipc/startup.h"

/* Requests that make no sense, before and after the guest's RAM is shared; then a guest's worst, with rings of nonsense
 * in that RAM. */
void torment_virtio(const struct startup *startup);

/* Takes the guest's RAM back while the device is using it. */
void take_memory_back(const struct startup *startup);
