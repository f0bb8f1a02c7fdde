/* A fuzzing engine for any compiler: calls the target with N random inputs that follow from a seed, or with the files
 * that are named. An input that breaks the target is left in NAME.crash.
 *
 * usage: NAME [-runs=N] [-seed=S] [-max_len=BYTES] [FILE…]
 */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#define LENGTH_LIMIT 65536u

/* Of the call that is under way. Handlers of signals and of the sanitizers have no argument for them. */
static uint8_t input[LENGTH_LIMIT];
static size_t input_length;
static char crash_file[512];

void __sanitizer_set_death_callback(void (*callback)(void));

static void save_input(void)
{
    FILE *file = fopen(crash_file, "wb");

    if (file) {
        fwrite(input, 1, input_length, file);
        fclose(file);
        fprintf(stderr, "the input is in %s\n", crash_file);
    }
}

static void aborted(int number)
{
    save_input();
    _exit(128 + number);
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random bytes with runs of one value and of small ones, so that long scripts of few operations come about as well. */
static void invent(uint64_t *state, size_t limit)
{
    uint64_t style = next(state);

    input_length = next(state) % (style & 1 ? limit : 128 < limit ? 128 : limit) + 1;
    for (size_t i = 0; i < input_length; i++) {
        uint64_t bits = next(state);

        input[i] = (uint8_t)(bits >> 8);
        if ((style & 2) && (bits & 3) == 0 && i > 0)
            input[i] = input[i - 1];
        if ((style & 4) && (bits & 12) == 0)
            input[i] &= 7;
    }
}

static bool run_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        return false;
    }
    input_length = fread(input, 1, sizeof input, file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, input_length);
    return true;
}

int main(int argc, char **argv)
{
    uint64_t runs = 1000, seed = 1, limit = 4096;
    bool files = false;

    snprintf(crash_file, sizeof crash_file, "%s.crash", argv[0]);
    __sanitizer_set_death_callback(save_input);
    signal(SIGABRT, aborted);
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "-runs=%" SCNu64, &runs) == 1 || sscanf(argv[i], "-seed=%" SCNu64, &seed) == 1
            || sscanf(argv[i], "-max_len=%" SCNu64, &limit) == 1 || argv[i][0] == '-')
            continue;
        files = true;
        if (!run_file(argv[i]))
            return 1;
    }
    if (files)
        return 0;
    limit = limit < 1 ? 1 : limit > LENGTH_LIMIT ? LENGTH_LIMIT : limit;
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (uint64_t run = 0; run < runs; run++) {
        invent(&state, limit);
        LLVMFuzzerTestOneInput(input, input_length);
    }
    fprintf(stderr, "Done %" PRIu64 " runs\n", runs);
    return 0;
}
