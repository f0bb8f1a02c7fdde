/* What fuzz targets share. A target is one file tests/fuzz/fuzz_X.c with the function below; it reads its input as a
 * script that never ends (zeroes follow), so that whatever bytes the engine has invented mean something.
 *
 * A target aborts where something is wrong that the sanitizers cannot see.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The engine's entry point, by the name that libFuzzer gives it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct script {
    const uint8_t *bytes;
    size_t left;
};

static inline uint64_t script_take(struct script *script, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && script->left > 0; i++, script->left--)
        value |= (uint64_t)*script->bytes++ << i * 8;
    return value;
}

static inline uint8_t script_byte(struct script *script)
{
    return (uint8_t)script_take(script, 1);
}

/* Overwrites places of BYTES as the script says, until its end, with values that matter or any. */
static inline void script_damage(struct script *script, uint8_t *bytes, size_t length)
{
    static const uint64_t values[] = {
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000, 0xfffffffffffff000,
        INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX, UINT64_MAX - 15,
    };

    while (script->left > 0 && length > 0) {
        uint8_t how = script_byte(script);
        size_t offset = script_take(script, 2) % length, size = (size_t)1 << (how & 3);
        uint64_t value = how & 4 ? script_take(script, (unsigned)size) : values[how >> 4];

        memcpy(bytes + offset, &value, size < length - offset ? size : length - offset);
    }
}

#define REQUIRE(condition)                                                                                 \
    do {                                                                                                   \
        if (!(condition)) {                                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                 \
            abort();                                                                                       \
        }                                                                                                  \
    } while (0)
