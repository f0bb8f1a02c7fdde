/* IdAlloc, against a plain array. */
#include "algorithms/idalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned nodes_left; /* how many more nodes may be made */
static void *made[100000];
static unsigned made_count;

static void *make_node(uint64_t bytes)
{
    if (nodes_left == 0)
        return NULL;
    nodes_left--;
    return made[made_count++] = calloc(1, bytes);
}

static int forget_nodes(void **state)
{
    (void)state;
    while (made_count > 0)
        free(made[--made_count]);
    nodes_left = 100000;
    return 0;
}

static void ids_come_out_smallest_first(void **state)
{
    (void)state;
    struct idalloc ids;
    uint64_t id;

    assert_int_equal(idalloc_init(&ids, 100, 200, make_node), IDALLOC_OK);
    for (uint64_t expected = 100; expected < 300; expected++) {
        assert_int_equal(idalloc_alloc(&ids, &id), IDALLOC_OK);
        assert_int_equal(id, expected);
    }
    assert_int_equal(idalloc_alloc(&ids, &id), IDALLOC_EXHAUSTED);
    assert_int_equal(idalloc_free(&ids, 177), IDALLOC_OK);
    assert_int_equal(idalloc_free(&ids, 290), IDALLOC_OK);
    assert_int_equal(idalloc_alloc(&ids, &id), IDALLOC_OK);
    assert_int_equal(id, 177);
}

static void depth_is_the_least_that_holds_the_range(void **state)
{
    (void)state;
    static const struct {
        uint64_t limit;
        unsigned depth;
    } cases[] = { { 1, 2 }, { 4096, 2 }, { 4097, 3 }, { 262144, 3 }, { 262145, 4 }, { 16777216, 4 } };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct idalloc ids;

        assert_int_equal(idalloc_init(&ids, 0, cases[i].limit, make_node), IDALLOC_OK);
        assert_int_equal(ids.depth, cases[i].depth);
        assert_int_equal(idalloc_free_count(&ids), cases[i].limit);
        assert_int_equal(idalloc_take(&ids, cases[i].limit - 1), IDALLOC_OK);
        assert_true(idalloc_contains(&ids, cases[i].limit - 1));
        assert_int_equal(idalloc_take(&ids, cases[i].limit), IDALLOC_OUT_OF_RANGE);
    }
}

static void a_range_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct idalloc ids;

    assert_int_equal(idalloc_init(&ids, 0, 0, make_node), IDALLOC_OUT_OF_RANGE);
    assert_int_equal(idalloc_init(&ids, 0, 16777217, make_node), IDALLOC_OUT_OF_RANGE);
    assert_int_equal(idalloc_init(&ids, UINT64_MAX - 5, 10, make_node), IDALLOC_OUT_OF_RANGE);
    nodes_left = 0;
    assert_int_equal(idalloc_init(&ids, 0, 10, make_node), IDALLOC_NO_MEMORY);
}

static void wrong_frees_and_takes_are_told(void **state)
{
    (void)state;
    struct idalloc ids;

    assert_int_equal(idalloc_init(&ids, 10, 100, make_node), IDALLOC_OK);
    assert_int_equal(idalloc_free(&ids, 10), IDALLOC_NOT_TAKEN);
    assert_int_equal(idalloc_free(&ids, 9), IDALLOC_OUT_OF_RANGE);
    assert_int_equal(idalloc_free(&ids, 110), IDALLOC_OUT_OF_RANGE);
    assert_int_equal(idalloc_take(&ids, 50), IDALLOC_OK);
    assert_int_equal(idalloc_take(&ids, 50), IDALLOC_TAKEN);
    assert_false(idalloc_contains(&ids, 9));
}

static void a_run_lies_in_one_group_of_64(void **state)
{
    (void)state;
    struct idalloc ids;
    uint64_t first;

    assert_int_equal(idalloc_init(&ids, 1000, 192, make_node), IDALLOC_OK);
    assert_int_equal(idalloc_take(&ids, 1001), IDALLOC_OK);
    assert_int_equal(idalloc_alloc_run(&ids, 2, &first), IDALLOC_OK);
    assert_int_equal(first, 1002);
    assert_int_equal(idalloc_alloc_run(&ids, 64, &first), IDALLOC_OK);
    assert_int_equal(first, 1064);
    assert_int_equal(idalloc_alloc_run(&ids, 64, &first), IDALLOC_OK);
    assert_int_equal(first, 1128);
    assert_int_equal(idalloc_alloc_run(&ids, 64, &first), IDALLOC_EXHAUSTED);
    assert_int_equal(idalloc_alloc(&ids, &first), IDALLOC_OK);
    assert_int_equal(first, 1000);
}

static void no_memory_for_a_node_changes_nothing(void **state)
{
    (void)state;
    struct idalloc ids;
    uint64_t id;

    nodes_left = 1;
    assert_int_equal(idalloc_init(&ids, 0, 262144, make_node), IDALLOC_OK);
    assert_int_equal(idalloc_alloc(&ids, &id), IDALLOC_NO_MEMORY);
    assert_int_equal(idalloc_free_count(&ids), 262144);
    nodes_left = 1;
    assert_int_equal(idalloc_alloc(&ids, &id), IDALLOC_OK);
    assert_int_equal(id, 0);
}

static void random_use_agrees_with_an_array(void **state)
{
    (void)state;
    static const uint64_t limits[] = { 3, 64, 4096, 5000, 262144 };
    static bool taken[262144];

    srand(4711);
    for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++) {
        struct idalloc ids;
        uint64_t limit = limits[l], count = 0, least_free = 0;

        memset(taken, 0, sizeof taken);
        assert_int_equal(idalloc_init(&ids, 7, limit, make_node), IDALLOC_OK);
        for (unsigned step = 0; step < 100000; step++) {
            uint64_t id, other = (uint64_t)rand() % limit;

            if (step / 10000 % 3 == 2 || rand() % 3 == 0) {
                assert_int_equal(idalloc_free(&ids, 7 + other), taken[other] ? IDALLOC_OK : IDALLOC_NOT_TAKEN);
                count -= taken[other];
                taken[other] = false;
                if (other < least_free)
                    least_free = other;
            } else {
                while (least_free < limit && taken[least_free])
                    least_free++;
                assert_int_equal(idalloc_alloc(&ids, &id), least_free < limit ? IDALLOC_OK : IDALLOC_EXHAUSTED);
                if (least_free < limit) {
                    assert_int_equal(id, 7 + least_free);
                    taken[least_free] = true;
                    count++;
                }
            }
            assert_int_equal(idalloc_contains(&ids, 7 + other), taken[other]);
            assert_int_equal(idalloc_free_count(&ids), limit - count);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_come_out_smallest_first, forget_nodes, forget_nodes),
        cmocka_unit_test_setup_teardown(depth_is_the_least_that_holds_the_range, forget_nodes, forget_nodes),
        cmocka_unit_test_setup_teardown(a_range_that_cannot_be_is_refused, forget_nodes, forget_nodes),
        cmocka_unit_test_setup_teardown(wrong_frees_and_takes_are_told, forget_nodes, forget_nodes),
        cmocka_unit_test_setup_teardown(a_run_lies_in_one_group_of_64, forget_nodes, forget_nodes),
        cmocka_unit_test_setup_teardown(no_memory_for_a_node_changes_nothing, forget_nodes, forget_nodes),
        cmocka_unit_test_setup_teardown(random_use_agrees_with_an_array, forget_nodes, forget_nodes),
    };

    return cmocka_run_group_tests_name("IdAlloc", tests, NULL, NULL);
}
