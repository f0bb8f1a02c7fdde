/* How the devices of a machine come and go. The types of this test are all that are linked. */
#include "tests/unit/fake_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char story[64]; /* a capital letter: created; a small one: destroyed */
static bool last_fails;

static void tell(char event)
{
    story[strlen(story)] = event;
}

static bool create_first(struct machine *machine, void **device)
{
    (void)machine;
    tell('F');
    *device = story;
    return true;
}

static void destroy_first(struct machine *machine, void *device)
{
    (void)machine;
    assert_ptr_equal(device, story);
    tell('f');
}

/* A machine may be one that does not have it. */
static bool create_absent(struct machine *machine, void **device)
{
    (void)machine;
    assert_null(*device);
    tell('A');
    return true;
}

static void destroy_absent(struct machine *machine, void *device)
{
    (void)machine;
    (void)device;
    tell('a');
}

static bool create_last(struct machine *machine, void **device)
{
    (void)machine;
    tell('L');
    *device = &last_fails;
    return !last_fails;
}

static void destroy_last(struct machine *machine, void *device)
{
    (void)machine;
    assert_ptr_equal(device, &last_fails);
    tell('l');
}

DEVICE(type_last, .name = "last", .order = 200, .create = create_last, .destroy = destroy_last);
DEVICE(type_first, .name = "first", .order = 1, .create = create_first, .destroy = destroy_first);
DEVICE(type_absent, .name = "absent", .order = 100, .create = create_absent, .destroy = destroy_absent);

static struct fake_machine *new_machine(void)
{
    memset(story, 0, sizeof story);
    return fake_machine_bare(FAKE_TSC_HZ, 0);
}

static void test_devices_are_created_in_order_and_destroyed_in_the_other(void **state)
{
    struct fake_machine *fake = new_machine();
    const char *name;

    (void)state;
    last_fails = false;
    assert_true(devices_create(&fake->machine, &name));
    assert_int_equal(fake->machine.device_count, 3);
    assert_string_equal(story, "FAL");
    devices_destroy(&fake->machine);
    assert_string_equal(story, "FALlf"); /* what is not there is not destroyed */
    devices_destroy(&fake->machine);
    assert_string_equal(story, "FALlf");
    fake_machine_destroy(fake);
}

static void test_when_one_fails_the_others_go_and_it_is_named(void **state)
{
    struct fake_machine *fake = new_machine();
    const char *name = NULL;

    (void)state;
    last_fails = true;
    assert_false(devices_create(&fake->machine, &name));
    assert_string_equal(name, "last");
    assert_string_equal(story, "FALf");
    assert_int_equal(fake->machine.device_count, 0);
    fake_machine_destroy(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices_are_created_in_order_and_destroyed_in_the_other),
        cmocka_unit_test(test_when_one_fails_the_others_go_and_it_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
