/* The prompt and its commands. */
#include "guests/shell/shell.h"

#define COM1             0x3f8
#define INTERRUPT_ENABLE (COM1 + 1)
#define FIFO_CONTROL     (COM1 + 2)
#define MODEM_CONTROL    (COM1 + 4)
#define RECEIVER_INTERRUPT 1
#define OUT2 8
#define SERIAL_PIN 4
#define LINE_MAX  80u
#define INPUT_MAX 256u

static volatile char input_ring[INPUT_MAX];
static volatile unsigned input_head, input_tail;
static uint64_t started;

static void take_input(void)
{
    while (input_ready()) {
        char c = input();

        if (input_head - input_tail < INPUT_MAX)
            input_ring[input_head++ % INPUT_MAX] = c;
    }
}

bool next_input(char *c)
{
    if (input_head == input_tail)
        return false;
    *c = input_ring[input_tail++ % INPUT_MAX];
    return true;
}

bool take_interrupt(uint64_t vector)
{
    if (vector < 32 || vector > 255)
        return false;
    if (vector == VECTOR_TIMER)
        now++;
    if (vector == VECTOR_SERIAL)
        take_input();
    apic_write(APIC_EOI, 0);
    return true;
}

static void take(struct frame *frame)
{
    if (take_interrupt(frame->vector))
        return;
    print("the kernel has failed: exception %lu, error %lx, at %lx, cr2 %lx\n", frame->vector, frame->error, frame->rip,
          READ_CR(2));
    power_off();
}

static void help(void)
{
    print("help          this list\n"
          "ps            the processes\n"
          "mem           memory, in KiB\n"
          "spawn NAME    starts a program:\n");
    for (unsigned i = 0; i < program_count; i++)
        print("    %-8s  %s\n", programs[i].name, programs[i].what);
    print("kill NUMBER   ends a process\n"
          "uptime        since the system started\n"
          "bench         what things cost\n"
          "poweroff, reboot\n");
}

static void ps(void)
{
    print("number  name      state    seconds  system calls\n");
    for (unsigned i = 0; i < PROCESSES; i++) {
        const struct process *p = &process[i];

        if (p->state != PROCESS_NONE)
            print("%6u  %-8s  %-7s %5lu.%02lu  %12lu\n", i, p->name, p->state == PROCESS_READY ? "ready" : "sleeps",
                  p->ticks / TICKS_PER_SECOND, p->ticks % TICKS_PER_SECOND * 100 / TICKS_PER_SECOND, p->calls);
    }
}

static void spawn(const char *name)
{
    unsigned slot = 0;

    while (slot < PROCESSES && process[slot].state != PROCESS_NONE)
        slot++;
    for (unsigned i = 0; i < program_count; i++) {
        if (!same_text(name, programs[i].name))
            continue;
        if (slot == PROCESSES || !process_load(&process[slot], programs[i].name, programs[i].start, programs[i].end))
            print("spawn: no room for another process\n");
        else
            print("[%u] %s\n", slot, name);
        return;
    }
    print("spawn: no program '%s'; help lists them\n", name);
}

static void kill(const char *text)
{
    unsigned number = 0;

    if (!*text)
        number = PROCESSES;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number >= PROCESSES) {
            number = PROCESSES;
            break;
        }
        number = number * 10 + (unsigned)(*text - '0');
    }
    if (number >= PROCESSES || process[number].state == PROCESS_NONE) {
        print("kill: no such process; ps lists them\n");
        return;
    }
    process_end(&process[number]);
    print("[%u] %s is ended\n", number, process[number].name);
}

static void uptime(void)
{
    uint64_t milliseconds = (rdtsc() - started) / (tsc_hz / 1000);

    print("%lu.%03lu seconds, %lu timer interrupts; time-stamp counter %lu kHz\n", milliseconds / 1000,
          milliseconds % 1000, now,
          tsc_hz / 1000);
}

static void command(const char *line)
{
    if (same_text(line, "help"))
        help();
    else if (same_text(line, "ps"))
        ps();
    else if (same_text(line, "mem"))
        print("%lu total, %lu free\n", memory.total / KIB, memory.free * PAGE / KIB);
    else if (starts_with(line, "spawn "))
        spawn(line + 6);
    else if (starts_with(line, "kill "))
        kill(line + 5);
    else if (same_text(line, "uptime"))
        uptime();
    else if (same_text(line, "bench")) {
        bench();
        time_start();
    } else if (same_text(line, "poweroff"))
        power_off();
    else if (same_text(line, "reboot"))
        reset();
    else if (*line)
        print("unknown command '%s'; help lists them\n", line);
}

static void read_commands(void)
{
    static char line[LINE_MAX + 1];
    static unsigned length;
    char c;

    while (next_input(&c)) {
        if (c == '\r' || c == '\n') {
            print("\n");
            line[length] = '\0';
            length = 0;
            command(line);
            print("> ");
        } else if (c == '\b' || c == 0x7f) {
            if (length > 0) {
                length--;
                print("\b \b");
            }
        } else if (c >= ' ' && length < LINE_MAX) {
            line[length++] = c;
            put(c);
        }
    }
}

void kernel_main(const char *cmdline)
{
    started = rdtsc();
    trap_handler = take;
    apic_init();
    apic_use_x2apic();
    time_init();
    if (starts_with(cmdline, "bench")) {
        bench();
        power_off();
    }
    out8(FIFO_CONTROL, 1);
    out8(MODEM_CONTROL, OUT2);
    out8(INTERRUPT_ENABLE, RECEIVER_INTERRUPT);
    route_pin(SERIAL_PIN, VECTOR_SERIAL, false);
    time_start();
    print("beaml4's small guest is up: %lu KiB of memory. Try: help, spawn primes, ps, bench, poweroff.\n> ",
          memory.total / KIB);
    take_input();
    for (;;) {
        read_commands();
        process_schedule();
    }
}
