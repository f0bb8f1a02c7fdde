/* dbgserver: the debug shell. Its console is a pair of rings as a guest's is; what it does, it asks init for. */
#include "dbgserver/commands.h"
#include "dbgserver/line_editor.h"
#include "logserver/terminal.h"
#include "runtime/runtime.h"

#define READ_SIZE 64u

/* The server's state is too large for the stack. */
static struct dbgserver {
    const struct startup *startup;
    struct line_editor editor;
    struct shell shell;
} the_server;

static const char end_of_following[] = "\r(any key ends this)\r\n";

static uint64_t read_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

/* A request that changes nothing; what logserver looks for is not there. */
static void ask(unsigned whom)
{
    switch (whom) {
    case SHELL_INIT:
        seL4_Call(SLOT_HYPERVISOR, seL4_MessageInfo_new(0, 0, 0, 0));
        break;
    case SHELL_TIMESERVER:
        time_cancel(SLOT_TIME);
        break;
    default:
        seL4_Signal(SLOT_LOG_NOTIFY);
        break;
    }
}

static void put(void *context, const char *bytes, size_t length)
{
    struct dbgserver *server = context;
    size_t written = ring_offer(server->startup->console_output, bytes, length);

    if (written == length)
        return;
    /* logserver runs at once and makes room, unless the terminal is slower than this by two full rings: then the rest
     * is lost. */
    seL4_Signal(SLOT_LOG_NOTIFY);
    ring_write(server->startup->console_output, bytes + written, length - written);
}

static void type(struct dbgserver *server, uint8_t byte)
{
    if (server->shell.following) {
        command_stop(&server->shell);
        line_editor_show(&server->editor);
        return;
    }
    if (byte == TERMINAL_ESCAPE) { /* the terminal has become ours */
        line_editor_show(&server->editor);
        return;
    }
    if (!line_editor_type(&server->editor, byte))
        return;
    command_run(&server->shell, server->editor.text);
    line_editor_next(&server->editor);
    if (server->shell.following)
        put(server, end_of_following, sizeof end_of_following - 1);
}

void service_main(const struct startup *startup)
{
    static const char greeting[] = "debug shell; help shows the commands\r\n";
    struct dbgserver *server = &the_server;
    uint8_t bytes[READ_SIZE];
    size_t count;

    server->startup = startup;
    server->editor = (struct line_editor) {
        .prompt = "beaml4> ", .words = command_names, .word_count = COMMAND_COUNT, .put = put, .context = server,
    };
    server->shell = (struct shell) {
        .put = put, .context = server, .now = read_tsc, .ask = ask, .tsc_hz = startup->tsc_hz,
        .wall_clock_seconds = startup->wall_clock_seconds, .wall_clock_tsc = startup->wall_clock_tsc,
    };
    put(server, greeting, sizeof greeting - 1);
    line_editor_show(&server->editor);
    for (;;) {
        seL4_Word badge;

        seL4_Signal(SLOT_LOG_NOTIFY);
        seL4_Wait(SLOT_NOTIFICATION, &badge);
        while ((count = ring_read(startup->console_input, bytes, sizeof bytes)) > 0)
            for (size_t i = 0; i < count; i++)
                type(server, bytes[i]);
    }
}
