/* Figures as people read them. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* "512 B", "128 MiB": in the largest unit that leaves a whole number below 10,000, rounded down. */
void format_bytes(char *text, size_t size, uint64_t bytes);

/* "0:01:23", and with days "2 days 0:01:23". */
void format_duration(char *text, size_t size, uint64_t seconds);

/* "2026-11-25 03:22:09 UTC", for SECONDS since 1970. */
void format_date(char *text, size_t size, uint64_t seconds);
