#include "vmmserver/console.h"

#include <string.h>

/* A system call and logserver's work for each byte would cost more than the byte. A line is announced when it ends;
 * what is not a line, after this part of a second, or when the guest has nothing to do. */
#define FLUSHES_PER_SECOND 100u

void console_flush(struct console *console)
{
    if (!console->unannounced)
        return;
    console->unannounced = false;
    timer_cancel(&console->machine->timers, &console->flush_task.timer);
    seL4_Signal(SLOT_LOG_NOTIFY);
}

static void flush(struct task *task)
{
    console_flush(task->context);
}

static size_t write_bytes(void *context, const uint8_t *bytes, size_t length)
{
    struct console *console = context;
    size_t taken = ring_offer(console->output, bytes, length);

    if (taken > 0 && !console->unannounced) {
        console->unannounced = true;
        task_sleep(&console->flush_task, console->machine->now() + console->machine->tsc_hz / FLUSHES_PER_SECOND);
    }
    if (taken < length || memchr(bytes, '\n', taken) || ring_waiting(console->output) > RING_BYTES / 2)
        console_flush(console);
    return taken;
}

static size_t read_bytes(void *context, uint8_t *bytes, size_t length)
{
    struct console *console = context;

    return ring_read(console->input, bytes, length);
}

static void input_arrived(struct task *task)
{
    struct console *console = task->context;

    if (console->machine->console_input)
        console->machine->console_input(console->machine->console_device);
}

void console_init(struct console *console, struct runtime *runtime, const struct startup *startup)
{
    struct machine *machine = &runtime->monitor->machine;

    console->output = startup->console_output;
    console->input = startup->console_input;
    console->machine = machine;
    machine->console = console;
    machine->console_write = write_bytes;
    machine->console_read = read_bytes;
    task_init(&console->flush_task, runtime, "console output", flush, console);
    task_init(&console->input_task, runtime, "console input", input_arrived, console);
    task_wait_notification(&console->input_task, NOTIFY_CONSOLE_INPUT);
}
