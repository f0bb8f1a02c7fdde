#include "dbgserver/commands.h"

#include "dbgserver/format.h"
#include "ipc/debug.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 256u
#define WORDS_MAX      3u
/* More than there can be; an end to asking, whatever init answers. */
#define PROCESSES_MAX  64u

struct words {
    unsigned count; /* WORDS_MAX + 1: more than that */
    char text[LINE_MAX_BYTES];
    char *word[WORDS_MAX];
};

struct command {
    const char *name, *argument, *help; /* ARGUMENT: NULL, or what it takes one of */
    void (*run)(struct shell *shell, const char *argument);
};

static void print(struct shell *shell, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print(struct shell *shell, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0)
        shell->put(shell->context, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

static void report(struct shell *shell, const char *what, enum hypervisor_status status)
{
    static const char *const text[] = {
        [HV_OK] = "done", [HV_DENIED] = "init does not allow it", [HV_INVALID] = "init does not know this request",
        [HV_NO_MEMORY] = "there is not enough memory", [HV_NO_SUCH] = "there is no such VM",
        [HV_WRONG_STATE] = "not in the state that it is in; see ps", [HV_FAILED] = "it failed; the log says why",
    };

    print(shell, "%s: %s\r\n", what, (unsigned)status < sizeof text / sizeof text[0] ? text[status] : "unknown answer");
}

static bool next_process(unsigned n, struct debug_process *process)
{
    if (n >= PROCESSES_MAX || debug_call(DEBUG_PROCESS, n, process) != HV_OK)
        return false;
    process->name[sizeof process->name - 1] = '\0';
    return true;
}

/* A VM by its name, or by its number; false after saying that there is none. */
static bool find_vm(struct shell *shell, const char *argument, struct debug_process *vm)
{
    char number[24];

    for (unsigned n = 0; next_process(n, vm); n++) {
        snprintf(number, sizeof number, "%lu", vm->number);
        if (!vm->is_service && (strcmp(vm->name, argument) == 0 || strcmp(number, argument) == 0))
            return true;
    }
    print(shell, "there is no VM \"%s\"; ps shows names and numbers\r\n", argument);
    return false;
}

static void run_ps(struct shell *shell, const char *argument)
{
    static const char *const state[DEBUG_STATES] = { "off", "starting", "running", "paused" };
    static const char *const mode[] = { "auto", "vtx", "svm", "pv" };
    struct debug_process p;
    uint64_t now = shell->now();

    (void)argument;
    print(shell, " # %-20s %-9s %-5s %9s %9s %9s %9s\r\n", "name", "state", "mode", "memory", "own", "restarts",
          "uptime");
    for (unsigned n = 0; next_process(n, &p); n++) {
        char number[24] = "-", memory[24] = "-", own[24] = "-", uptime[40] = "-";

        if (!p.is_service) {
            snprintf(number, sizeof number, "%lu", p.number);
            format_bytes(memory, sizeof memory, p.memory_bytes);
        }
        if (p.own_bytes != 0)
            format_bytes(own, sizeof own, p.own_bytes);
        if (p.started_tsc != 0 && shell->tsc_hz != 0 && now >= p.started_tsc)
            format_duration(uptime, sizeof uptime, (now - p.started_tsc) / shell->tsc_hz);
        print(shell, "%2s %-20s %-9s %-5s %9s %9s %9lu %9s\r\n", number, p.name,
              p.state < DEBUG_STATES ? state[p.state] : "?",
              p.is_service ? "-" : p.mode < sizeof mode / sizeof mode[0] ? mode[p.mode] : "?", memory, own,
              p.starts > 0 ? p.starts - 1 : 0, uptime);
    }
}

static void run_mem(struct shell *shell, const char *argument)
{
    struct debug_memory m;
    enum hypervisor_status status = debug_call(DEBUG_MEMORY, 0, &m);
    char all[24], left[24], largest[24];

    (void)argument;
    if (status != HV_OK) {
        report(shell, "mem", status);
        return;
    }
    format_bytes(all, sizeof all, m.bytes);
    format_bytes(left, sizeof left, m.free_bytes);
    format_bytes(largest, sizeof largest, m.largest_free_bytes);
    print(shell, "memory: %s, %s free (%lu bytes), largest free piece %s\r\n", all, left, m.free_bytes, largest);
    print(shell, "capability slots: %lu, %lu free\r\n", m.slots, m.free_slots);
}

static void run_time(struct shell *shell, const char *argument)
{
    uint64_t now = shell->now();
    char date[40];

    (void)argument;
    if (shell->wall_clock_seconds == 0 || shell->tsc_hz == 0 || now < shell->wall_clock_tsc) {
        print(shell, "the time is not known: the machine's clock could not be read\r\n");
        return;
    }
    format_date(date, sizeof date, shell->wall_clock_seconds + (now - shell->wall_clock_tsc) / shell->tsc_hz);
    print(shell, "%s\r\n", date);
}

static void run_on_vm(struct shell *shell, const char *what, enum debug_operation operation, const char *argument)
{
    struct debug_process vm;

    if (find_vm(shell, argument, &vm))
        report(shell, what, debug_call(operation, vm.number, NULL));
}

static void run_create(struct shell *shell, const char *argument)
{
    run_on_vm(shell, "create", DEBUG_CREATE, argument);
}

/* A service by its name; false: there is none, of which nothing is said. */
static bool find_service(const char *argument, struct debug_process *service)
{
    for (unsigned n = 0; next_process(n, service); n++)
        if (service->is_service && strcmp(service->name, argument) == 0)
            return true;
    return false;
}

static void run_kill(struct shell *shell, const char *argument)
{
    struct debug_process service;

    if (find_service(argument, &service))
        report(shell, "kill", debug_call(DEBUG_RESTART, service.number, NULL));
    else
        run_on_vm(shell, "kill", DEBUG_KILL, argument);
}

static void run_reboot(struct shell *shell, const char *argument)
{
    run_on_vm(shell, "reboot", DEBUG_REBOOT, argument);
}

static void run_pause(struct shell *shell, const char *argument)
{
    run_on_vm(shell, "pause", DEBUG_PAUSE, argument);
}

static void run_resume(struct shell *shell, const char *argument)
{
    run_on_vm(shell, "resume", DEBUG_RESUME, argument);
}

/* Said before it is done: what comes afterwards is kept until the terminal is back. */
static void run_console(struct shell *shell, const char *argument)
{
    struct debug_process vm;

    if (!find_vm(shell, argument, &vm))
        return;
    print(shell, "console of VM %lu \"%s\"%s; Ctrl-] leads back\r\n", vm.number, vm.name,
          vm.state == DEBUG_OFF ? ", which is off" : "");
    enum hypervisor_status status = debug_call(DEBUG_CONSOLE, vm.number, NULL);
    if (status != HV_OK)
        report(shell, "console", status);
}

static void run_log(struct shell *shell, const char *argument)
{
    enum hypervisor_status status = debug_call(DEBUG_LOG, 0, NULL);

    (void)argument;
    if (status != HV_OK)
        report(shell, "log", status);
}

static void run_halt(struct shell *shell, const char *argument)
{
    (void)argument;
    report(shell, "halt", debug_call(DEBUG_HALT, 0, NULL));
}

static void run_help(struct shell *shell, const char *argument);

static const struct command commands[COMMAND_COUNT] = {
    { "console", "VM", "show its console and what it has printed; Ctrl-] leads back", run_console },
    { "create", "VM", "start one that is off", run_create },
    { "halt", NULL, "end all VMs and stop the machine, until it is reset", run_halt },
    { "help", "COMMAND", "say what a command does; alone, what there is", run_help },
    { "kill", "VM", "end it at once; its guest is not asked. A service starts again", run_kill },
    { "log", NULL, "show the last lines of the system's log again", run_log },
    { "mem", NULL, "free memory and capability slots", run_mem },
    { "pause", "VM", "stop it where it is; to its guest, time goes on", run_pause },
    { "ps", NULL, "VMs and services: `own` is what each takes of the machine's memory", run_ps },
    { "reboot", "VM", "end it at once and start it anew", run_reboot },
    { "resume", "VM", "let one that is paused go on", run_resume },
    { "time", NULL, "date and time", run_time },
};

const char *const command_names[COMMAND_COUNT] = { "console", "create", "halt", "help", "kill", "log", "mem", "pause",
                                                   "ps", "reboot", "resume", "time" };

static const struct command *find_command(const char *name)
{
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void explain(struct shell *shell, const struct command *command)
{
    char usage[32];

    snprintf(usage, sizeof usage, "%s %s", command->name, command->argument ? command->argument : "");
    print(shell, "%-13s %s\r\n", usage, command->help);
}

static void run_help(struct shell *shell, const char *argument)
{
    const struct command *command;

    if (argument) {
        if ((command = find_command(argument)))
            explain(shell, command);
        else
            print(shell, "there is no command \"%s\"; help shows all\r\n", argument);
        return;
    }
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        explain(shell, &commands[i]);
    print(shell, "VM is a name or a number, as ps shows them.\r\n");
}

/* Words between blanks. */
static void split(struct words *words, const char *line)
{
    char *c = words->text;

    snprintf(words->text, sizeof words->text, "%s", line);
    words->count = 0;
    for (;;) {
        while (*c == ' ')
            *c++ = '\0';
        if (!*c)
            return;
        if (words->count == WORDS_MAX) {
            words->count++;
            return;
        }
        words->word[words->count++] = c;
        while (*c && *c != ' ')
            c++;
    }
}

void command_run(struct shell *shell, const char *line)
{
    struct words words;

    split(&words, line);
    if (words.count == 0)
        return;
    const struct command *command = find_command(words.word[0]);
    if (!command) {
        print(shell, "there is no command \"%s\"; try help\r\n", words.word[0]);
        return;
    }
    bool may_be_alone = !command->argument || command->run == run_help;
    unsigned most = command->argument ? 2 : 1;
    if (words.count > most || (words.count == 1 && !may_be_alone)) {
        print(shell, "%s takes %s%s\r\n", command->name, command->argument ? "one " : "nothing behind it",
              command->argument ? command->argument : "");
        return;
    }
    command->run(shell, words.count == 2 ? words.word[1] : NULL);
}
