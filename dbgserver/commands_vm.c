/* Commands about one VM. */
#include "dbgserver/commands_parts.h"
#include "dbgserver/format.h"
#include "vmm/trace.h"

#include <string.h>

static void run_on_vm(struct shell *shell, const char *what, enum debug_operation operation, const char *argument)
{
    struct debug_process vm;

    if (!find_vm(shell, argument, &vm))
        return;
    const struct debug_vm request = { .vm = vm.number };
    report(shell, what, debug_call(operation, &request, NULL));
}

void run_create(struct shell *shell, unsigned count, char *const *word)
{
    (void)count;
    run_on_vm(shell, "create", DEBUG_CREATE, word[0]);
}

void run_kill(struct shell *shell, unsigned count, char *const *word)
{
    struct debug_process service;

    (void)count;
    if (!find_service(word[0], &service)) {
        run_on_vm(shell, "kill", DEBUG_KILL, word[0]);
        return;
    }
    const struct debug_service request = { .service = service.number };
    report(shell, "kill", debug_call(DEBUG_RESTART, &request, NULL));
}

void run_reboot(struct shell *shell, unsigned count, char *const *word)
{
    (void)count;
    if (strcmp(word[0], "host") == 0)
        report(shell, "reboot", debug_call(DEBUG_RESET, NULL, NULL));
    else
        run_on_vm(shell, "reboot", DEBUG_REBOOT, word[0]);
}

void run_pause(struct shell *shell, unsigned count, char *const *word)
{
    (void)count;
    run_on_vm(shell, "pause", DEBUG_PAUSE, word[0]);
}

void run_resume(struct shell *shell, unsigned count, char *const *word)
{
    (void)count;
    run_on_vm(shell, "resume", DEBUG_RESUME, word[0]);
}

void run_dump(struct shell *shell, unsigned count, char *const *word)
{
    (void)count;
    run_on_vm(shell, "dump", DEBUG_DUMP, word[0]);
}

/* Said before it is done: what comes afterwards is kept until the terminal is back. */
void run_console(struct shell *shell, unsigned count, char *const *word)
{
    struct debug_process vm;

    (void)count;
    if (!find_vm(shell, word[0], &vm))
        return;
    print(shell, "console of VM %lu \"%s\"%s; Ctrl-] leads back\r\n", vm.number, vm.name,
          vm.state == DEBUG_OFF ? ", which is off" : "");
    const struct debug_vm request = { .vm = vm.number };
    enum hypervisor_status status = debug_call(DEBUG_CONSOLE, &request, NULL);
    if (status != HV_OK)
        report(shell, "console", status);
}

void run_mode(struct shell *shell, unsigned count, char *const *word)
{
    static const char *const name[DEBUG_CHOICES] = {
        [DEBUG_AUTO] = "auto", [DEBUG_VTX] = "vtx", [DEBUG_SVM] = "svm", [DEBUG_PV] = "pv",
        [DEBUG_EPT_LARGE] = "ept-large", [DEBUG_EPT_SMALL] = "ept-small",
    };
    struct debug_process vm;

    (void)count;
    if (!find_vm(shell, word[0], &vm))
        return;
    for (unsigned i = 0; i < DEBUG_CHOICES; i++) {
        if (strcmp(name[i], word[1]) != 0)
            continue;
        const struct debug_mode request = { .vm = vm.number, .choice = i };
        enum hypervisor_status status = debug_call(DEBUG_MODE, &request, NULL);
        if (status == HV_OK && vm.state != DEBUG_OFF)
            print(shell, "mode: done, from its next start on\r\n");
        else
            report(shell, "mode", status);
        return;
    }
    print(shell, "there is no mode \"%s\"; auto, vtx, svm, pv, ept-large, ept-small\r\n", word[1]);
}

static bool read_cpu(const char *text, uint64_t *cpu)
{
    *cpu = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || *cpu > 63)
            return false;
        *cpu = *cpu * 10 + (uint64_t)(*c - '0');
    }
    return *cpu < 64;
}

void run_affinity(struct shell *shell, unsigned count, char *const *word)
{
    struct debug_affinity request = { .cpus = 0 };
    struct debug_process vm;
    uint64_t cpu;

    for (unsigned i = 1; i < count; i++) {
        if (!read_cpu(word[i], &cpu)) {
            print(shell, "\"%s\" is no CPU; they are counted from 0\r\n", word[i]);
            return;
        }
        request.cpus |= UINT64_C(1) << cpu;
    }
    if (!find_vm(shell, word[0], &vm))
        return;
    request.vm = vm.number;
    report(shell, "affinity", debug_call(DEBUG_AFFINITY, &request, NULL));
}

static uint64_t microseconds(const struct shell *shell, uint64_t ticks)
{
    return shell->tsc_hz >= 1000000 ? ticks / (shell->tsc_hz / 1000000) : 0;
}

void run_stats(struct shell *shell, unsigned count, char *const *word)
{
    struct debug_statistics statistics;
    struct debug_process vm;

    (void)count;
    if (!find_vm(shell, word[0], &vm))
        return;
    const struct debug_index request = { .n = vm.number };
    enum hypervisor_status status = debug_call(DEBUG_STATISTICS, &request, &statistics);
    if (status != HV_OK) {
        report(shell, "stats", status);
        return;
    }
    print(shell, "%-18s %12s %7s %12s %10s\r\n", "exits by reason", "count", "share", "time in us", "ticks each");
    for (unsigned kind = 0; kind < TRACE_KINDS; kind++) {
        uint64_t number = statistics.by_kind[kind];

        if (number == 0)
            continue;
        print(shell, "%-18s %12lu %5lu %% %12lu %10lu\r\n", vcpu_exit_name((enum vcpu_exit_kind)kind), number,
              statistics.seen != 0 ? number * 100 / statistics.seen : 0, microseconds(shell, statistics.ticks[kind]),
              statistics.ticks[kind] / number);
    }
    print(shell, "%-18s %12lu\r\n", "all", statistics.seen);
}

static void print_line(void *context, const char *text)
{
    print(context, "%s\r\n", text);
}

/* The record is put together as the monitor has it, and shown as the monitor would. */
void run_trace(struct shell *shell, unsigned count, char *const *word)
{
    struct exit_trace trace = { .seen = 0 };
    struct debug_process vm;
    struct debug_trace part;

    (void)count;
    if (!find_vm(shell, word[0], &vm))
        return;
    for (unsigned from = 0; from < TRACE_RECORDS; from += DEBUG_RECORDS) {
        const struct debug_range request = { .n = vm.number, .from = from };
        enum hypervisor_status status = debug_call(DEBUG_TRACE, &request, &part);

        if (status != HV_OK) {
            report(shell, "trace", status);
            return;
        }
        if (from == 0)
            trace.seen = part.seen;
        memcpy(&trace.record[from], part.records, sizeof part.records);
    }
    trace_write_exits(&trace, print_line, shell);
}
