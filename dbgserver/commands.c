#include "dbgserver/commands_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 256u
#define WORDS_MAX      5u

struct words {
    unsigned count; /* WORDS_MAX + 1: more than that */
    char text[LINE_MAX_BYTES];
    char *word[WORDS_MAX];
};

struct command {
    const char *name, *arguments, *help;
    unsigned least, most; /* how many arguments it takes */
    command_function *run;
};

void print(struct shell *shell, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0)
        shell->put(shell->context, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

void report(struct shell *shell, const char *what, enum hypervisor_status status)
{
    static const char *const text[] = {
        [HV_OK] = "done", [HV_DENIED] = "init does not allow it", [HV_INVALID] = "init does not know this request",
        [HV_NO_MEMORY] = "there is not enough memory", [HV_NO_SUCH] = "there is no such VM",
        [HV_WRONG_STATE] = "not in the state that it is in; see ps", [HV_FAILED] = "it failed; the log says why",
    };

    print(shell, "%s: %s\r\n", what, (unsigned)status < sizeof text / sizeof text[0] ? text[status] : "unknown answer");
}

bool read_process(unsigned n, struct debug_process *process)
{
    const struct debug_index index = { .n = n };

    if (n >= PROCESSES_MAX || debug_call(DEBUG_PROCESS, &index, process) != HV_OK)
        return false;
    process->name[sizeof process->name - 1] = '\0';
    return true;
}

static bool is_called(const struct debug_process *process, const char *argument)
{
    char number[24];

    snprintf(number, sizeof number, "%lu", process->number);
    return strcmp(process->name, argument) == 0 || (process->kind == DEBUG_VM && strcmp(number, argument) == 0);
}

bool find_vm(struct shell *shell, const char *argument, struct debug_process *vm)
{
    for (unsigned n = 0; read_process(n, vm); n++)
        if (vm->kind == DEBUG_VM && is_called(vm, argument))
            return true;
    print(shell, "there is no VM \"%s\"; ps shows names and numbers\r\n", argument);
    return false;
}

bool find_process(struct shell *shell, const char *argument, struct debug_process *process, unsigned *n)
{
    for (*n = 0; read_process(*n, process); ++*n)
        if (is_called(process, argument))
            return true;
    print(shell, "there is no process \"%s\"; ps shows names and numbers\r\n", argument);
    return false;
}

bool find_service(const char *argument, struct debug_process *service)
{
    for (unsigned n = 0; read_process(n, service); n++)
        if (service->kind == DEBUG_SERVICE && strcmp(service->name, argument) == 0)
            return true;
    return false;
}

static command_function run_help;

static const struct command commands[COMMAND_COUNT] = {
    { "affinity", "VM [CPU...]", "which CPUs it may run on, counted from 0; none: any", 1, 4, run_affinity },
    { "caps", "PROCESS", "what it holds: its capability slots", 1, 1, run_caps },
    { "console", "VM", "show its console and what it has printed; Ctrl-] leads back", 1, 1, run_console },
    { "create", "VM", "start one that is off", 1, 1, run_create },
    { "dump", "VM", "its guest's registers and stack, into the log", 1, 1, run_dump },
    { "halt", "", "end all VMs and stop the machine, until it is reset", 0, 0, run_halt },
    { "help", "[COMMAND]", "say what a command does; alone, what there is", 0, 1, run_help },
    { "ipcbench", "", "ticks of a round trip to init and to the servers", 0, 0, run_ipcbench },
    { "kill", "VM|SERVICE", "end it at once, unasked. A service starts again", 1, 1, run_kill },
    { "log", "[-f] [PROCESS]", "last lines of the log; -f: its new ones alone, until a key", 0, 2, run_log },
    { "mem", "", "free memory and capability slots", 0, 0, run_mem },
    { "mode", "VM MODE", "auto vtx svm pv ept-large ept-small, from its next start on", 2, 2, run_mode },
    { "pause", "VM", "stop it where it is; to its guest, time goes on", 1, 1, run_pause },
    { "ps", "", "VMs and services; cpu and exits/s since the last ps", 0, 0, run_ps },
    { "reboot", "VM|host", "end it at once and start it anew; the machine as well", 1, 1, run_reboot },
    { "resume", "VM", "let one that is paused go on", 1, 1, run_resume },
    { "stats", "VM", "exits of its guest by reason, with count and time", 1, 1, run_stats },
    { "time", "", "date and time", 0, 0, run_time },
    { "trace", "VM", "the last exits of its guest", 1, 1, run_trace },
};

const char *const command_names[COMMAND_COUNT] = { "affinity", "caps", "console", "create", "dump", "halt", "help",
                                                   "ipcbench", "kill", "log", "mem", "mode", "pause", "ps", "reboot",
                                                   "resume", "stats", "time", "trace" };

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

    snprintf(usage, sizeof usage, "%s %s", command->name, command->arguments);
    print(shell, "%-18s %s\r\n", usage, command->help);
}

static void run_help(struct shell *shell, unsigned count, char *const *word)
{
    const struct command *command;

    if (count > 0) {
        if ((command = find_command(word[0])))
            explain(shell, command);
        else
            print(shell, "there is no command \"%s\"; help shows all\r\n", word[0]);
        return;
    }
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        explain(shell, &commands[i]);
    print(shell, "VM is a name or a number, as ps shows them; PROCESS that or another name.\r\n");
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
    unsigned count = words.count - 1;
    if (count < command->least || count > command->most)
        print(shell, "%s takes %s%s\r\n", command->name, command->most > 0 ? "" : "nothing behind it",
              command->arguments);
    else
        command->run(shell, count, &words.word[1]);
}
