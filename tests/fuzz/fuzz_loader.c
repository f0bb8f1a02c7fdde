/* The guest loader on kernel images that are damaged in any way: it writes to nothing but guest RAM, reads nothing but
 * the images, and either says why it refuses or leaves a state in which every address is RAM.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/guest_images.h"

#define LOW_BYTES    (8 * MIB)
#define HIGH_BYTES   (1 * MIB)
#define INITRD_BYTES (8 * MIB)

static struct image choose_image(uint8_t how)
{
    switch (how & 3) {
    case 0:
        return elf_kernel(0);
    case 1:
        return bzimage_kernel();
    default:
        return elf_kernel(0x100850);
    }
}

static void damage_part(struct script *script, struct image *image, uint64_t offset, uint64_t length)
{
    if (offset < image->length)
        script_damage(script, image->bytes + offset, length < image->length - offset ? length : image->length - offset);
}

/* Mostly where the headers are; the rest is code that nobody looks into. */
static void damage(struct script *script, struct image *image, uint8_t how)
{
    switch (how >> 2 & 7) {
    case 0: /* a sound one, now and then */
        break;
    case 1:
        damage_part(script, image, 0, image->length);
        break;
    case 2: /* the notes */
        damage_part(script, image, 0x2f00, 0x100);
        break;
    default:
        if ((how & 3) == 1)
            damage_part(script, image, 0x1f0, 0x80); /* the setup header */
        else
            damage_part(script, image, 0, sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr));
        break;
    }
}

static void check_state(const struct guest_memory *memory, const struct boot_state *state)
{
    REQUIRE(state->protocol == BOOT_PVH || state->protocol == BOOT_LINUX64);
    REQUIRE(guest_memory_at(memory, state->entry, 1) != NULL);
    REQUIRE(guest_memory_at(memory, state->information, 56) != NULL);
    if (state->protocol == BOOT_LINUX64) {
        REQUIRE(guest_memory_at(memory, state->page_tables, 4096) != NULL && state->page_tables % 4096 == 0);
        REQUIRE(guest_memory_at(memory, state->gdt, state->gdt_limit + 1) != NULL);
    }
}

/* Large blocks are made once for all runs. What lies behind each is out of bounds for the address sanitizer. */
static uint8_t *large_block(uint8_t **block, uint64_t length)
{
    if (!*block)
        *block = calloc(1, length);
    REQUIRE(*block != NULL);
    return *block;
}

static struct guest_memory choose_memory(struct script *script, uint8_t how)
{
    static uint8_t *low, *high;
    uint64_t length = how & 1 ? LOW_BYTES : (script_byte(script) % 5 + 1) * MIB;

    return (struct guest_memory) {
        .count = how & 2 ? 2 : 1,
        .region = {
            { 0, length, large_block(&low, LOW_BYTES) + LOW_BYTES - length },
            { HIGH_BASE, HIGH_BYTES, large_block(&high, HIGH_BYTES) },
        },
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static uint8_t *initrd;
    struct script script = { bytes, length };
    uint8_t how = script_byte(&script), more = script_byte(&script);
    struct guest_memory memory = choose_memory(&script, more);
    struct image kernel = choose_image(how);
    struct boot_request request;
    struct boot_state state;
    char message[160], cmdline[4096];

    if (more & 4)
        image_cut(&kernel, script_take(&script, 2) % kernel.length + 1);
    request = request_of(&kernel);
    request.choice = (enum boot_choice)(more >> 4 & 3) % 3;
    if (more & 8) {
        request.initrd_bytes = script_take(&script, 3) % INITRD_BYTES + 1;
        request.initrd = large_block(&initrd, INITRD_BYTES) + INITRD_BYTES - request.initrd_bytes;
    }
    if (more & 0x40) {
        size_t text = script_take(&script, 2) % sizeof cmdline;

        memset(cmdline, 'x', text);
        cmdline[text] = '\0';
        request.cmdline = cmdline;
    }
    damage(&script, &kernel, how);
    const char *refusal = loader_load(&memory, &request, &state, message);
    if (refusal)
        REQUIRE(refusal[0] != '\0' && strlen(refusal) < 400);
    else
        check_state(&memory, &state);
    free(kernel.bytes);
    return 0;
}
