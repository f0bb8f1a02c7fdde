/* The debug shell's commands against a stand-in for init. */
#include "algorithms/vcpu.h"
#include "dbgserver/commands.h"
#include "dbgserver/format.h"
#include "ipc/debug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TSC_HZ 1000000000u

/* What debug_call answers, and what it was asked. */
static struct {
    struct debug_process process[4];
    unsigned count;
    bool endless;
    enum hypervisor_status status;
    unsigned calls; /* but for DEBUG_PROCESS */
    enum debug_operation operation;
    uint64_t words[4];
    unsigned asked[SHELL_PEERS];
    struct debug_statistics statistics;
    struct debug_trace trace;
    struct debug_capabilities capabilities[2]; /* what is answered first, and from then on */
} world;

static char output[65536];

enum hypervisor_status debug_call(enum debug_operation operation, const void *request, void *reply)
{
    const struct ipc_shape *shape = debug_shape(operation);
    uint64_t argument = shape->request_words > 0 ? *(const uint64_t *)request : 0;

    if (operation == DEBUG_PROCESS) {
        if (argument >= world.count && !world.endless)
            return HV_NO_SUCH;
        *(struct debug_process *)reply = world.process[argument % 4];
        return HV_OK;
    }
    world.calls++;
    world.operation = operation;
    memset(world.words, 0, sizeof world.words);
    if (shape->request_words > 0)
        memcpy(world.words, request, shape->request_words * sizeof(uint64_t));
    if (world.status != HV_OK)
        return world.status;
    if (operation == DEBUG_MEMORY)
        *(struct debug_memory *)reply = (struct debug_memory) {
            .bytes = 1 << 30, .free_bytes = 300 << 20, .largest_free_bytes = 64 << 20, .slots = 65000,
            .free_slots = 64000, .pieces = { [12] = 3, [26] = 4 },
        };
    else if (operation == DEBUG_STATISTICS)
        *(struct debug_statistics *)reply = world.statistics;
    else if (operation == DEBUG_TRACE)
        *(struct debug_trace *)reply = world.trace;
    else if (operation == DEBUG_CAPABILITIES_OF)
        *(struct debug_capabilities *)reply = world.capabilities[world.calls > 1];
    return HV_OK;
}

static void put(void *context, const char *bytes, size_t length)
{
    (void)context;
    assert_true(strlen(output) + length < sizeof output);
    strncat(output, bytes, length);
}

static uint64_t time_now;

static uint64_t now(void)
{
    return time_now;
}

static void ask(unsigned whom)
{
    assert_true(whom < SHELL_PEERS);
    world.asked[whom]++;
}

static struct shell shell;

static const char *run(const char *line)
{

    output[0] = '\0';
    world.calls = 0;
    command_run(&shell, line);
    return output;
}

static void expect(const char *line, const char *text)
{
    assert_string_equal(run(line), text);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    shell = (struct shell) {
        .put = put, .now = now, .ask = ask, .tsc_hz = TSC_HZ,
        .wall_clock_seconds = 1795576904, .wall_clock_tsc = UINT64_C(60) * TSC_HZ,
    };
    time_now = UINT64_C(100) * TSC_HZ;
    world.count = 4;
    world.process[0] = (struct debug_process) {
        .number = 0, .state = DEBUG_RUNNING, .mode = VM_MODE_SVM, .memory_bytes = 128 << 20, .own_bytes = 130 << 20,
        .starts = 3, .started_tsc = UINT64_C(40) * TSC_HZ, .exits = 6000, .waited = UINT64_C(45) * TSC_HZ, .client = 16,
        .name = "linux",
    };
    world.process[1] = (struct debug_process) { .number = 7, .memory_bytes = 16 << 20, .name = "spare" };
    world.process[2] = (struct debug_process) {
        .kind = DEBUG_SERVICE, .number = 2, .client = 2, .state = DEBUG_RUNNING, .own_bytes = 192 << 10, .starts = 1, .started_tsc = 1,
        .name = "logserver",
    };
    world.process[3] = (struct debug_process) {
        .kind = DEBUG_DEVICE, .client = DEBUG_LOG_OF_ALL, .state = DEBUG_RUNNING, .own_bytes = 512 << 10, .starts = 1,
        .started_tsc = UINT64_C(40) * TSC_HZ, .name = "virtio0.0",
    };
    return 0;
}

static void test_ps_shows_what_there_is(void **state)
{
    (void)state;
    expect("ps",
           " # name         state    mode   memory      own  cpu exits/s restarts    uptime\r\n"
           " 0 linux        running  svm   128 MiB  130 MiB  24%     100        2   0:01:00\r\n"
           " 7 spare        off      auto   16 MiB        -    -       -        0         -\r\n"
           " - logserver    running  -           -  192 KiB    -       -        0   0:01:39\r\n"
           " - virtio0.0    running  -           -  512 KiB    -       -        0   0:01:00\r\n");
    time_now += TSC_HZ; /* in the second since then */
    world.process[0].exits += 250;
    world.process[0].waited += TSC_HZ / 10;
    assert_non_null(strstr(run("ps"), " 0 linux        running  svm   128 MiB  130 MiB  89%     250"));
    world.process[0].started_tsc = time_now - TSC_HZ; /* another one */
    world.process[0].exits = 10;
    world.process[0].waited = TSC_HZ;
    assert_non_null(strstr(run("ps"), "   0%      10"));
}

static void test_a_vm_is_a_name_or_a_number(void **state)
{
    (void)state;
    expect("kill linux", "kill: done\r\n");
    assert_int_equal(world.operation, DEBUG_KILL);
    assert_int_equal(world.words[0], 0);
    expect("  create   7  ", "create: done\r\n");
    assert_int_equal(world.operation, DEBUG_CREATE);
    assert_int_equal(world.words[0], 7);
    expect("kill 1", "there is no VM \"1\"; ps shows names and numbers\r\n");
    expect("reboot logserver", "there is no VM \"logserver\"; ps shows names and numbers\r\n");
    assert_int_equal(world.calls, 0);
}

static void test_each_command_asks_for_its_own(void **state)
{
    static const struct {
        const char *line;
        enum debug_operation operation;
    } command[] = {
        { "kill logserver", DEBUG_RESTART },
        { "create spare", DEBUG_CREATE }, { "kill spare", DEBUG_KILL },       { "reboot spare", DEBUG_REBOOT },
        { "pause spare", DEBUG_PAUSE },   { "resume spare", DEBUG_RESUME },   { "console spare", DEBUG_CONSOLE },
        { "mem", DEBUG_MEMORY },          { "log", DEBUG_LOG },               { "halt", DEBUG_HALT },
        { "dump spare", DEBUG_DUMP },     { "stats spare", DEBUG_STATISTICS },
        { "mode spare pv", DEBUG_MODE },  { "affinity spare", DEBUG_AFFINITY }, { "reboot host", DEBUG_RESET },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof command / sizeof command[0]; i++) {
        run(command[i].line);
        assert_int_equal(world.calls, 1);
        assert_int_equal(world.operation, command[i].operation);
    }
}

static void test_what_init_refuses_is_said(void **state)
{
    (void)state;
    world.status = HV_WRONG_STATE;
    expect("resume linux", "resume: not in the state that it is in; see ps\r\n");
    world.status = HV_FAILED;
    expect("create spare", "create: it failed; the log says why\r\n");
    world.status = (enum hypervisor_status)1000;
    expect("kill linux", "kill: unknown answer\r\n");
    world.status = HV_DENIED;
    expect("mem", "mem: init does not allow it\r\n");
    expect("console spare", "console of VM 7 \"spare\", which is off; Ctrl-] leads back\r\n"
                            "console: init does not allow it\r\n");
}

static void test_wrong_lines_are_explained(void **state)
{
    (void)state;
    expect("", "");
    expect("   ", "");
    expect("frob", "there is no command \"frob\"; try help\r\n");
    expect("kill", "kill takes VM|SERVICE\r\n");
    expect("kill a b", "kill takes VM|SERVICE\r\n");
    expect("kill a b c d e f", "kill takes VM|SERVICE\r\n");
    expect("log linux spare", "log takes [-f] [PROCESS]\r\n");
    expect("mode linux fast", "there is no mode \"fast\"; auto, vtx, svm, pv, ept-large, ept-small\r\n");
    expect("affinity linux 1 x", "\"x\" is no CPU; they are counted from 0\r\n");
    expect("affinity linux 64", "\"64\" is no CPU; they are counted from 0\r\n");
    expect("caps nobody", "there is no process \"nobody\"; ps shows names and numbers\r\n");
    expect("ps now", "ps takes nothing behind it\r\n");
    expect("help frob", "there is no command \"frob\"; help shows all\r\n");
    assert_int_equal(world.calls, 0);
}

static void test_help_knows_every_command(void **state)
{
    (void)state;
    run("help");
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        char line[32], at_line_start[32];

        snprintf(at_line_start, sizeof at_line_start, "%s%s ", i == 0 ? "" : "\r\n", command_names[i]);
        assert_non_null(strstr(output, at_line_start));
        snprintf(line, sizeof line, "help %s", command_names[i]);
        char all[sizeof output];
        strcpy(all, output);
        assert_non_null(strstr(all, run(line)));
        strcpy(output, all);
    }
    /* One line of a terminal each. */
    for (const char *line = output; line; line = strstr(line, "\r\n") ? strstr(line, "\r\n") + 2 : NULL)
        assert_true(strcspn(line, "\r") <= 82);
}

static void test_mem_and_time(void **state)
{
    (void)state;
    expect("mem", "memory: 1 GiB, 300 MiB free (314572800 bytes), largest free piece 64 MiB\r\n"
                  "free untypeds: 3 of 4 KiB 4 of 64 MiB\r\n"
                  "capability slots: 65000, 64000 free\r\n");
    expect("time", "2026-11-25 03:22:24 UTC\r\n"); /* `date -u -d @1795576944` */
}

static void test_what_is_asked_for_is_passed_on(void **state)
{
    (void)state;
    run("mode linux ept-small");
    assert_int_equal(world.words[1], DEBUG_EPT_SMALL);
    run("affinity linux 0 3");
    assert_int_equal(world.words[1], 9);
    run("log linux");
    assert_int_equal(world.words[0], 16);
    assert_int_equal(world.words[1], DEBUG_SHOW_ONCE);
    assert_false(shell.following);
    run("log -f");
    assert_int_equal(world.words[0], DEBUG_LOG_OF_ALL);
    assert_int_equal(world.words[1], DEBUG_FOLLOW);
    assert_true(shell.following);
    command_stop(&shell);
    assert_int_equal(world.words[1], DEBUG_FOLLOW_NO_MORE);
    assert_false(shell.following);
    run("ipcbench");
    for (unsigned peer = 0; peer < SHELL_PEERS; peer++)
        assert_int_equal(world.asked[peer], 1000);
}

static void test_stats_and_trace_show_exits_in_words(void **state)
{
    (void)state;
    world.statistics.seen = 1000;
    world.statistics.by_kind[VCPU_EXIT_CPUID] = 250;
    world.statistics.ticks[VCPU_EXIT_CPUID] = 250000;
    world.statistics.by_kind[TRACE_KINDS - 1] = 750; /* none that is known */
    expect("stats linux", "exits by reason           count   share   time in us ticks each\r\n"
                          "cpuid                       250    25 %          250       1000\r\n"
                          "?                           750    75 %            0          0\r\n"
                          "all                        1000\r\n");
    struct exit_record record = { .rip = 0x1000, .qualification = 0x3f80000, .raw_reason = 30, .kind = VCPU_EXIT_IO };
    for (unsigned i = 0; i < DEBUG_RECORDS; i++)
        memcpy(&world.trace.records[i * DEBUG_RECORD_WORDS], &record, sizeof record);
    world.trace.seen = UINT64_C(1) << 40;
    expect("trace linux", "  port (30) at 1000, qualification 3f80000, 64 times\r\n");
    for (unsigned i = 0; i < DEBUG_RECORDS * DEBUG_RECORD_WORDS; i++)
        world.trace.records[i] = UINT64_C(0x9e3779b97f4a7c15) * (i + 1); /* nonsense */
    run("trace linux");
}

static void test_capabilities_are_shown_in_runs(void **state)
{
    (void)state;
    world.capabilities[0] = (struct debug_capabilities) { .next = 64, .count = 3,
        .found = { UINT64_C(12) << 32 | 1, UINT64_C(2) << 32 | 62, UINT64_C(2) << 32 | 63 } };
    world.capabilities[1] = (struct debug_capabilities) { .next = 0, .count = 2,
        .found = { UINT64_C(2) << 32 | 64, UINT64_C(99) << 32 | 70 } };
    expect("caps linux", "    1        TCB\r\n   62-64     untyped, 3 of them\r\n   70        ?\r\n");
    world.capabilities[1].next = 64; /* an answer that leads nowhere */
    run("caps virtio0.0");
    world.capabilities[1].count = UINT64_MAX;
    run("caps logserver");
}

static void test_an_endless_list_of_processes_ends(void **state)
{
    (void)state;
    world.endless = true;
    run("ps");
    expect("kill nobody", "there is no VM \"nobody\"; ps shows names and numbers\r\n");
    memset(world.process[0].name, 'n', sizeof world.process[0].name); /* without an end */
    run("ps");
}

static void test_figures(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } size[] = {
        { 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1 KiB" }, { 9999, "9999 B" }, { 10001, "9 KiB" },
        { 1536 << 10, "1536 KiB" }, { UINT64_C(3) << 30, "3 GiB" }, { UINT64_MAX, "16777215 TiB" },
    };
    static const struct {
        uint64_t seconds;
        const char *text;
    } date[] = { /* as date -u has them */
        { 0, "1970-01-01 00:00:00 UTC" }, { 951782400, "2000-02-29 00:00:00 UTC" },
        { 951868799, "2000-02-29 23:59:59 UTC" }, { 951868800, "2000-03-01 00:00:00 UTC" },
        { 1735689599, "2024-12-31 23:59:59 UTC" }, { 4107542400, "2100-03-01 00:00:00 UTC" },
        { 1709164800, "2024-02-29 00:00:00 UTC" }, { 13569465600, "2400-01-01 00:00:00 UTC" },
    };
    char text[64];

    (void)state;
    for (unsigned i = 0; i < sizeof size / sizeof size[0]; i++) {
        format_bytes(text, sizeof text, size[i].bytes);
        assert_string_equal(text, size[i].text);
    }
    for (unsigned i = 0; i < sizeof date / sizeof date[0]; i++) {
        format_date(text, sizeof text, date[i].seconds);
        assert_string_equal(text, date[i].text);
    }
    format_duration(text, sizeof text, 59);
    assert_string_equal(text, "0:00:59");
    format_duration(text, sizeof text, 86400 + 3723);
    assert_string_equal(text, "1 day 1:02:03");
    format_duration(text, sizeof text, 10 * 86400);
    assert_string_equal(text, "10 days 0:00:00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_ps_shows_what_there_is, set_up),
        cmocka_unit_test_setup(test_a_vm_is_a_name_or_a_number, set_up),
        cmocka_unit_test_setup(test_each_command_asks_for_its_own, set_up),
        cmocka_unit_test_setup(test_what_init_refuses_is_said, set_up),
        cmocka_unit_test_setup(test_wrong_lines_are_explained, set_up),
        cmocka_unit_test_setup(test_help_knows_every_command, set_up),
        cmocka_unit_test_setup(test_mem_and_time, set_up),
        cmocka_unit_test_setup(test_what_is_asked_for_is_passed_on, set_up),
        cmocka_unit_test_setup(test_stats_and_trace_show_exits_in_words, set_up),
        cmocka_unit_test_setup(test_capabilities_are_shown_in_runs, set_up),
        cmocka_unit_test_setup(test_an_endless_list_of_processes_ends, set_up),
        cmocka_unit_test_setup(test_figures, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
