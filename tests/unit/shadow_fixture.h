/* A guest with memory and page tables of its own, on the software TLB over page tables that are a model. */
#pragma once

#include "algorithms/vcpu.h"
#include "tests/unit/fake_mmu.h"

#define P  UINT64_C(1)
#define RW UINT64_C(2)
#define US UINT64_C(4)
#define A  UINT64_C(0x20)
#define D  UINT64_C(0x40)
#define PS UINT64_C(0x80)
#define NX (UINT64_C(1) << 63)

#define KERNEL UINT64_C(0xffffffff80000000)
#define USER   UINT64_C(0x400000)

/* RAM from 0 and from there. */
#define LOW_BYTES  UINT64_C(0x1000000)
#define HIGH_START UINT64_C(0x2000000000)
#define HIGH_BYTES UINT64_C(0x203000) /* one whole 2 MiB, and three pages */
#define DATA       UINT64_C(0x800000) /* the tests' own, in large pages as well */

enum access { READ, WRITE, FETCH };

struct shadow_fixture {
    uint8_t *low, *high;
    struct guest_memory memory;
    struct shadow_configuration configuration;
    struct fake_mmu mmu;
    struct shadow *shadow;
    struct shadow_state state;
    struct shadow_answer answer;
    uint64_t next_table; /* guest physical, where the next one of the guest's tables goes */
};

/* With limits that never matter here; a test can change the configuration and ask for another shadow. */
struct shadow_fixture *shadow_fixture_create(void);
void shadow_fixture_restart(struct shadow_fixture *guest);
void shadow_fixture_destroy(struct shadow_fixture *guest);

uint64_t new_table(struct shadow_fixture *guest); /* a zeroed page */
uint64_t *word_at(struct shadow_fixture *guest, uint64_t physical);
/* The guest's entry of LEVEL for ADDRESS below CR3, with tables as needed (that allow everything). */
uint64_t entry_place(struct shadow_fixture *guest, uint64_t cr3, uint64_t address, unsigned level);
/* Sets it, without a word to the shadow; returns where it is. */
uint64_t set_entry(struct shadow_fixture *guest, uint64_t address, unsigned level, uint64_t entry);
/* The guest's store of 8 bytes, as the caller of shadow_written carries it out. */
void write_entry(struct shadow_fixture *guest, uint64_t place, uint64_t entry);

/* One access, as often as it takes. SHADOW_DONE: it got through, to answer.physical. */
enum shadow_result try_access(struct shadow_fixture *guest, uint64_t address, enum access access);
/* One real fault. */
enum shadow_result fault(struct shadow_fixture *guest, uint64_t address, enum access access);
/* Whether it gets through without a fault. */
bool is_mapped(struct shadow_fixture *guest, uint64_t address, enum access access);
const struct mmu_page *mapping_of(struct shadow_fixture *guest, uint64_t address);

void assert_access(struct shadow_fixture *guest, uint64_t address, enum access access, uint64_t physical);
void assert_refused(struct shadow_fixture *guest, uint64_t address, enum access access, uint32_t error);
