/* The software TLB against a processor without one, which looks at the guest's tables at each access: over random
 * tables and random sequences of what guests do, it allows nothing else, ends by allowing all of it, and leaves the
 * same accessed and dirty flags behind. */
#include "algorithms/vcpu.h"
#include "tests/unit/fake_mmu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define P  UINT64_C(1)
#define RW UINT64_C(2)
#define US UINT64_C(4)
#define A  UINT64_C(0x20)
#define D  UINT64_C(0x40)
#define PS UINT64_C(0x80)
#define NX (UINT64_C(1) << 63)
#define ADDRESS UINT64_C(0x000ffffffffff000)

#define LOW_BYTES  UINT64_C(0x800000)
#define HIGH_START UINT64_C(0x2000000000)
#define HIGH_BYTES UINT64_C(0x4000)
#define TABLES     24u /* frames from the first one on in which tables are, and a few that never are */
#define INDEXES    6u
#define WORKING_SET 32u
#define PHYSICAL_BITS 40u

#define ERROR_P 1u
#define ERROR_W 2u
#define ERROR_U 4u
#define ERROR_R 8u
#define ERROR_I 16u

enum access { READ, WRITE, FETCH };

struct machine {
    uint8_t *low, *high;       /* RAM */
    uint8_t *model;            /* what the first TABLES frames must hold */
    struct guest_memory memory;
    struct fake_mmu mmu;
    struct shadow *shadow;
    void *bookkeeping;
    struct shadow_state state;
    struct { bool known; uint64_t cr3; bool user; } root[MMU_ROOTS];
    bool code[(LOW_BYTES + HIGH_BYTES) >> 12];
    bool released; /* a table has been given up: until the next invalidation a TLB is allowed */
    uint64_t address[WORKING_SET];
    uint64_t random;
};

static const uint16_t indexes[INDEXES] = { 0, 1, 2, 255, 256, 511 };

static uint32_t random_number(struct machine *machine, uint32_t limit)
{
    machine->random = machine->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((machine->random >> 33) % limit);
}

static bool chance(struct machine *machine, unsigned in)
{
    return random_number(machine, in) == 0;
}

/* Mostly of a few pages, which change now and then. */
static uint64_t random_linear(struct machine *machine)
{
    uint64_t *place = &machine->address[random_number(machine, WORKING_SET)];

    if (!chance(machine, 10))
        return *place + 8 * random_number(machine, 512);
    uint64_t address = 0;

    for (unsigned level = 0; level < 4; level++)
        address |= (uint64_t)indexes[random_number(machine, INDEXES)] << (12 + 9 * level);
    *place = (uint64_t)((int64_t)(address << 16) >> 16);
    return *place + 8 * random_number(machine, 512);
}

static uint64_t random_entry(struct machine *machine)
{
    if (chance(machine, 100)) /* garbage */
        return (uint64_t)random_number(machine, UINT32_MAX) << 32 | random_number(machine, UINT32_MAX);
    if (chance(machine, 12))
        return 0;
    uint64_t entry = P | (chance(machine, 8) ? 0 : RW) | (chance(machine, 8) ? 0 : US);
    if (chance(machine, 2))
        entry |= A;
    if (chance(machine, 2))
        entry |= D;
    if (chance(machine, 24))
        entry |= NX;
    if (chance(machine, 10)) /* a large page, if it is at such a level */
        return entry | PS | (uint64_t)random_number(machine, 5) << 21 | (chance(machine, 10) ? 0x2000 : 0);
    switch (random_number(machine, 24)) {
    case 0:
        return entry | (HIGH_START + ((uint64_t)random_number(machine, HIGH_BYTES >> 12) << 12));
    case 1:
        return entry | UINT64_C(0xfee00000);
    case 2:
        return entry | (uint64_t)random_number(machine, LOW_BYTES >> 12) << 12;
    default:
        return entry | (uint64_t)random_number(machine, TABLES) << 12;
    }
}

static bool is_ram(uint64_t physical)
{
    return physical < LOW_BYTES || (physical >= HIGH_START && physical - HIGH_START < HIGH_BYTES);
}

static bool *code_of(struct machine *machine, uint64_t physical)
{
    return &machine->code[physical < LOW_BYTES ? physical >> 12 : (LOW_BYTES + physical - HIGH_START) >> 12];
}

/* The model's RAM: its own for the frames with tables, else what the guest has. */
static uint64_t *model_word(struct machine *machine, uint64_t physical)
{
    if (!is_ram(physical))
        return NULL;
    if (physical < TABLES << 12)
        return (uint64_t *)(machine->model + physical);
    return (uint64_t *)(physical < LOW_BYTES ? machine->low + physical : machine->high + (physical - HIGH_START));
}

struct verdict {
    bool allowed;
    uint32_t error;
    uint64_t physical;
    bool accessed, dirty, writable, executable; /* all levels accessed; … */
};

/* The processor without a TLB. SET: leaves its flags. */
static struct verdict walk(struct machine *machine, uint64_t cr3, bool user, uint64_t address, enum access access,
                           bool set)
{
    bool nxe = machine->state.efer & EFER_NXE, wp = machine->state.cr0 & CR0_WP;
    uint32_t error = (access == WRITE ? ERROR_W : 0) | (user ? ERROR_U : 0) | (access == FETCH && nxe ? ERROR_I : 0);
    bool rw = true, us = true, nx = false, accessed = true;
    uint64_t table = cr3 & ADDRESS;

    for (int level = 3; level >= 0; level--) {
        unsigned shift = 12 + 9 * (unsigned)level;
        uint64_t *word = model_word(machine, table + (address >> shift & 511) * 8);
        uint64_t entry = word ? *word : ~UINT64_C(0);
        bool leaf = level == 0 || (entry & PS);
        uint64_t reserved = ADDRESS & ~((UINT64_C(1) << PHYSICAL_BITS) - 1);

        if (!(entry & P))
            return (struct verdict) { .error = error };
        if (!nxe)
            reserved |= NX;
        if (level == 3)
            reserved |= PS;
        if (level == 2 && leaf)
            reserved |= UINT64_C(0x3fffe000);
        if (level == 1 && leaf)
            reserved |= UINT64_C(0x001fe000);
        if (entry & reserved)
            return (struct verdict) { .error = error | ERROR_P | ERROR_R };
        rw = rw && (entry & RW);
        us = us && (entry & US);
        nx = nx || (entry & NX);
        accessed = accessed && (entry & A);
        if (!leaf) {
            if (set && word)
                *word |= A;
            table = entry & ADDRESS;
            continue;
        }
        bool writable = rw || (!user && !wp);
        if ((user && !us) || (access == WRITE && !writable) || (access == FETCH && nx))
            return (struct verdict) { .error = error | ERROR_P };
        if (set && word)
            *word |= access == WRITE ? A | D : A;
        uint64_t mask = (UINT64_C(1) << shift) - 1;
        return (struct verdict) {
            .allowed = true, .physical = (entry & ADDRESS & ~mask) | (address & mask),
            .accessed = accessed, .dirty = entry & D, .writable = writable, .executable = !nx,
        };
    }
    abort();
}

/* Everything that is mapped is what the tables say now. */
static void check_mappings(struct machine *machine)
{
    for (unsigned i = 0; i < MMU_PAGES; i++) {
        const struct mmu_page *page = &machine->mmu.page[i];

        if (!page->mapped)
            continue;
        uint64_t size = page->flags & SHADOW_LARGE ? UINT64_C(0x200000) : 4096;
        assert_true(machine->root[page->root].known);
        bool user = machine->root[page->root].user;
        for (uint64_t offset = 0; offset < size; offset += 4096) {
            struct verdict verdict =
                walk(machine, machine->root[page->root].cr3, user, page->address + offset, READ, false);
            bool code;

            assert_true(is_ram(page->physical + offset));
            code = *code_of(machine, page->physical + offset);
            if (page->flags & SHADOW_WRITE)
                assert_false(code);
            if (!(page->flags & SHADOW_NO_EXECUTE) && !user)
                assert_true(code);
            if (machine->released)
                continue;
            assert_true(verdict.allowed);
            assert_int_equal(verdict.physical, page->physical + offset);
            assert_true(verdict.accessed);
            if (page->flags & SHADOW_WRITE)
                assert_true(verdict.writable && verdict.dirty);
            if (!(page->flags & SHADOW_NO_EXECUTE))
                assert_true(verdict.executable);
        }
    }
}

static void check_flags(struct machine *machine)
{
    if (machine->released)
        memcpy(machine->model, machine->low, TABLES << 12);
    assert_memory_equal(machine->model, machine->low, TABLES << 12);
}

/* A store reaches RAM, and the model's. */
static void store(struct machine *machine, uint64_t physical, uint64_t value)
{
    *model_word(machine, physical) = value;
    if (physical < TABLES << 12)
        *(uint64_t *)(machine->low + physical) = value;
    *code_of(machine, physical) = false;
}

static unsigned select_root(struct machine *machine)
{
    unsigned root = 0;

    assert_true(shadow_select(machine->shadow, &machine->state, &root));
    machine->root[root].known = true;
    machine->root[root].cr3 = machine->state.cr3;
    machine->root[root].user = machine->state.user;
    return root;
}

/* The guest accesses 8 bytes; a write is of VALUE. */
static void access_memory(struct machine *machine, uint64_t address, enum access access, uint64_t value)
{
    bool user = machine->state.user, ends = false;
    struct verdict expected;

    if (machine->released)
        memcpy(machine->model, machine->low, TABLES << 12);
    unsigned root = select_root(machine);
    expected = walk(machine, machine->state.cr3, user, address, access, true);
    for (unsigned tries = 0; !ends; tries++) {
        const struct mmu_page *page = fake_mmu_find(&machine->mmu, root, address);
        struct shadow_answer answer = { 0 };

        assert_true(tries < 8);
        if (page && !(access == WRITE && !(page->flags & SHADOW_WRITE)) &&
            !(access == FETCH && (page->flags & SHADOW_NO_EXECUTE))) {
            uint64_t physical = page->physical + address % (page->flags & SHADOW_LARGE ? 0x200000 : 4096);
            if (!machine->released) {
                assert_true(expected.allowed);
                assert_int_equal(physical, expected.physical);
            }
            if (access == WRITE)
                store(machine, physical, value);
            break;
        }
        uint32_t error =
            (page ? ERROR_P : 0) | ERROR_U | (access == WRITE ? ERROR_W : 0) | (access == FETCH ? ERROR_I : 0);
        switch (shadow_fault(machine->shadow, &machine->state, address, error, &answer)) {
        case SHADOW_DONE:
            break;
        case SHADOW_PAGE_FAULT:
            assert_false(expected.allowed);
            assert_int_equal(answer.error, expected.error);
            ends = true;
            break;
        case SHADOW_DEVICE:
            assert_true(expected.allowed && answer.physical == expected.physical && !is_ram(answer.physical));
            ends = true;
            break;
        case SHADOW_WRITE_TABLE:
        case SHADOW_WRITE_CODE:
            assert_true(expected.allowed && answer.physical == expected.physical && access == WRITE);
            if (chance(machine, 60)) {
                shadow_release_table(machine->shadow, answer.physical);
                shadow_release_code(machine->shadow, answer.physical);
                *code_of(machine, answer.physical) = false;
                shadow_written(machine->shadow, answer.physical, 1); /* not open either: code is checked above */
                machine->released = true;
                break;
            }
            store(machine, answer.physical, value);
            shadow_written(machine->shadow, answer.physical, 8);
            ends = true;
            break;
        case SHADOW_EXECUTE:
            assert_true(expected.allowed && answer.physical == expected.physical && access == FETCH && !user);
            shadow_set_code(machine->shadow, answer.physical);
            *code_of(machine, answer.physical) = true;
            break;
        default:
            fail();
        }
    }
}

static void load_cr3(struct machine *machine)
{
    machine->state.cr3 = chance(machine, 100) ? UINT64_C(0xabcdef000) : (uint64_t)random_number(machine, 6) << 12;
    shadow_load_cr3(machine->shadow);
    machine->released = false;
}

static void step(struct machine *machine)
{
    uint64_t physical, address = random_linear(machine);

    switch (random_number(machine, 32)) {
    case 0: /* by the monitor, or a device */
        physical = (uint64_t)random_number(machine, TABLES) << 12 | indexes[random_number(machine, INDEXES)] * 8u;
        store(machine, physical, random_entry(machine));
        shadow_written(machine->shadow, physical + random_number(machine, 8), 1);
        break;
    case 1:
        shadow_invalidate_page(machine->shadow, machine->state.cr3, address);
        machine->released = false;
        break;
    case 2:
        if (chance(machine, 3))
            load_cr3(machine);
        break;
    case 4:
        if (chance(machine, 8))
            machine->state.cr0 ^= CR0_WP;
        break;
    case 5:
        if (chance(machine, 32))
            machine->state.efer ^= EFER_NXE;
        break;
    case 6:
        if (chance(machine, 16)) {
            shadow_flush(machine->shadow);
            machine->released = false;
        }
        break;
    case 7:
        if (chance(machine, 4)) {
            shadow_invalidate_range(machine->shadow, machine->state.cr3, address, random_number(machine, UINT32_MAX));
            machine->released = false;
        }
        break;
    case 8:
        if (chance(machine, 4))
            shadow_unmap_memory(machine->shadow, (uint64_t)random_number(machine, 64) << 12,
                                4096 * random_number(machine, 4));
        break;
    case 9:
        machine->state.user = !machine->state.user;
        break;
    case 10:
    case 11:
    case 12:
    case 13:
        access_memory(machine, address, FETCH, 0);
        machine->state.rip = address;
        break;
    case 3:
    case 14:
    case 15:
    case 16:
    case 17:
    case 18:
        access_memory(machine, (address & ~UINT64_C(4095)) | indexes[random_number(machine, INDEXES)] * 8u, WRITE,
                      random_entry(machine));
        break;
    case 19:
        access_memory(machine, machine->state.rip, WRITE, random_entry(machine));
        break;
    default:
        access_memory(machine, address, READ, 0);
    }
}

static void *allocate(uint64_t bytes)
{
    return calloc(1, bytes);
}

static struct machine *create(uint64_t seed, struct shadow_limits limits, unsigned around, bool large)
{
    struct machine *machine = calloc(1, sizeof *machine);
    const char *reason;

    machine->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    machine->low = calloc(1, LOW_BYTES);
    machine->high = calloc(1, HIGH_BYTES);
    machine->model = calloc(TABLES, 4096);
    machine->memory = (struct guest_memory) {
        .count = 2, .region = { { 0, LOW_BYTES, machine->low }, { HIGH_START, HIGH_BYTES, machine->high } },
    };
    fake_mmu_init(&machine->mmu);
    machine->mmu.large = large;
    machine->shadow = shadow_create(&(struct shadow_configuration) {
        .limits = limits, .memory = &machine->memory, .operations = &fake_mmu_operations, .context = &machine->mmu,
        .allocate = allocate, .physical_bits = PHYSICAL_BITS, .no_execute = true,
        .unreachable_first = 1, .unreachable_last = 0, .around = around,
    }, &reason);
    assert_non_null(machine->shadow);
    machine->state =
        (struct shadow_state) { .cr0 = CR0_PG | CR0_WP | CR0_PE, .cr4 = CR4_PAE, .efer = EFER_LMA | EFER_NXE };
    for (unsigned frame = 0; frame < TABLES; frame++)
        for (unsigned i = 0; i < INDEXES; i++)
            store(machine, frame << 12 | indexes[i] * 8u, random_entry(machine));
    return machine;
}

static void destroy(struct machine *machine)
{
    free(machine->shadow);
    free(machine->low);
    free(machine->high);
    free(machine->model);
    free(machine);
}

static void run(uint64_t seed, struct shadow_limits limits, unsigned around, bool large, unsigned steps)
{
    struct machine *machine = create(seed, limits, around, large);

    for (unsigned i = 0; i < steps; i++) {
        step(machine);
        select_root(machine); /* tells of changed control registers */
        if (i % 4 == 0)
            check_mappings(machine);
        if (i % 16 == 0)
            check_flags(machine);
    }
    const struct shadow_counts *counts = shadow_counts(machine->shadow);
    assert_true(counts->filled > steps / 100 && counts->table_writes > steps / 500);
    destroy(machine);
}

static const struct shadow_limits least = { SHADOW_LEAST_ROOTS, SHADOW_LEAST_TABLES, SHADOW_LEAST_TABLES,
                                            SHADOW_LEAST_TABLES, SHADOW_LEAST_TABLES };
static const struct shadow_limits ample = { 12, MMU_TABLES, MMU_TABLES, MMU_TABLES, 512 };

static void test_ample_pools(void **state)
{
    (void)state;
    run(1, ample, 1, false, 200000);
    run(2, ample, 8, true, 200000);
}

static void test_the_smallest_pools(void **state)
{
    (void)state;
    run(3, least, 1, true, 200000);
    run(4, least, 16, false, 200000);
}

static void test_many_beginnings(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 60; seed++)
        run(seed, seed % 2 ? least : ample, 1u << seed % 5, seed % 3, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ample_pools),
        cmocka_unit_test(test_the_smallest_pools),
        cmocka_unit_test(test_many_beginnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
