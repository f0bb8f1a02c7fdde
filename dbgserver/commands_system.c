/* Commands about the machine and all of its processes. */
#include "dbgserver/commands_parts.h"
#include "dbgserver/format.h"

#include <stdio.h>
#include <string.h>

/* What share of the time since ps was asked last, or since its start, a guest was not waiting, in hundredths, and how
 * many exits a second there were. */
static void rates(struct shell *shell, unsigned n, const struct debug_process *p, uint64_t now, uint64_t *share,
                  uint64_t *exits)
{
    uint64_t tsc = p->started_tsc, seen = 0, waited = 0;

    if (n < SHELL_RATES && shell->last[n].started_tsc == p->started_tsc && shell->last[n].tsc < now &&
        shell->last[n].tsc > tsc) {
        tsc = shell->last[n].tsc;
        seen = shell->last[n].exits;
        waited = shell->last[n].waited;
    }
    uint64_t elapsed = now > tsc ? now - tsc : 1, idle = p->waited - waited;
    *share = idle < elapsed ? (elapsed - idle) / (elapsed / 100 + 1) : 0;
    /* In tenths of a second, so that no product overflows in the life of a machine. */
    *exits = (p->exits - seen) * 10 / (elapsed / (shell->tsc_hz / 10 + 1) + 1);
    if (n < SHELL_RATES) {
        shell->last[n].tsc = now;
        shell->last[n].started_tsc = p->started_tsc;
        shell->last[n].exits = p->exits;
        shell->last[n].waited = p->waited;
    }
}

static void show_process(struct shell *shell, unsigned n, const struct debug_process *p, uint64_t now)
{
    static const char *const state[DEBUG_STATES] = { "off", "starting", "running", "paused" };
    static const char *const mode[] = { "auto", "vtx", "svm", "pv" };
    char number[24] = "-", memory[24] = "-", own[24] = "-", uptime[40] = "-", share[24] = "-", exits[24] = "-";
    bool is_vm = p->kind == DEBUG_VM, runs = p->started_tsc != 0 && shell->tsc_hz != 0 && now >= p->started_tsc;
    uint64_t hundredths, a_second;

    if (is_vm) {
        snprintf(number, sizeof number, "%lu", p->number);
        format_bytes(memory, sizeof memory, p->memory_bytes);
    }
    if (p->own_bytes != 0)
        format_bytes(own, sizeof own, p->own_bytes);
    if (runs)
        format_duration(uptime, sizeof uptime, (now - p->started_tsc) / shell->tsc_hz);
    if (runs && is_vm) {
        rates(shell, n, p, now, &hundredths, &a_second);
        snprintf(share, sizeof share, "%lu%%", hundredths);
        snprintf(exits, sizeof exits, "%lu", a_second);
    }
    print(shell, "%2s %-12s %-8s %-4s %8s %8s %4s %7s %8lu %9s\r\n", number, p->name,
          p->state < DEBUG_STATES ? state[p->state] : "?",
          !is_vm ? "-" : p->mode < sizeof mode / sizeof mode[0] ? mode[p->mode] : "?", memory, own, share, exits,
          p->starts > 0 ? p->starts - 1 : 0, uptime);
}

void run_ps(struct shell *shell, unsigned count, char *const *word)
{
    struct debug_process p;
    uint64_t now = shell->now();

    (void)count;
    (void)word;
    print(shell, " # %-12s %-8s %-4s %8s %8s %4s %7s %8s %9s\r\n", "name", "state", "mode", "memory", "own", "cpu",
          "exits/s", "restarts", "uptime");
    for (unsigned n = 0; read_process(n, &p); n++)
        show_process(shell, n, &p, now);
}

void run_mem(struct shell *shell, unsigned count, char *const *word)
{
    struct debug_memory m;
    enum hypervisor_status status = debug_call(DEBUG_MEMORY, NULL, &m);
    char all[24], left[24], largest[24];

    (void)count;
    (void)word;
    if (status != HV_OK) {
        report(shell, "mem", status);
        return;
    }
    format_bytes(all, sizeof all, m.bytes);
    format_bytes(left, sizeof left, m.free_bytes);
    format_bytes(largest, sizeof largest, m.largest_free_bytes);
    print(shell, "memory: %s, %s free (%lu bytes), largest free piece %s\r\n", all, left, m.free_bytes, largest);
    print(shell, "free untypeds:");
    for (unsigned bits = 0; bits < DEBUG_SIZES; bits++) {
        if (m.pieces[bits] == 0)
            continue;
        format_bytes(all, sizeof all, UINT64_C(1) << bits);
        print(shell, " %lu of %s", m.pieces[bits], all);
    }
    print(shell, "\r\ncapability slots: %lu, %lu free\r\n", m.slots, m.free_slots);
}

void run_time(struct shell *shell, unsigned count, char *const *word)
{
    uint64_t now = shell->now();
    char date[40];

    (void)count;
    (void)word;
    if (shell->wall_clock_seconds == 0 || shell->tsc_hz == 0 || now < shell->wall_clock_tsc) {
        print(shell, "the time is not known: the machine's clock could not be read\r\n");
        return;
    }
    format_date(date, sizeof date, shell->wall_clock_seconds + (now - shell->wall_clock_tsc) / shell->tsc_hz);
    print(shell, "%s\r\n", date);
}

void run_log(struct shell *shell, unsigned count, char *const *word)
{
    bool follow = count > 0 && strcmp(word[0], "-f") == 0;
    struct debug_log request = { .client = DEBUG_LOG_OF_ALL, .follow = follow ? DEBUG_FOLLOW : DEBUG_SHOW_ONCE };
    struct debug_process process;
    unsigned n;

    if (count > 1 && !follow) {
        print(shell, "log takes [-f] [PROCESS]\r\n");
        return;
    }
    if (count > follow) {
        if (!find_process(shell, word[follow], &process, &n))
            return;
        request.client = process.client;
    }
    enum hypervisor_status status = debug_call(DEBUG_LOG, &request, NULL);
    if (status != HV_OK)
        report(shell, "log", status);
    else
        shell->following = follow;
}

void command_stop(struct shell *shell)
{
    const struct debug_log request = { .client = DEBUG_LOG_OF_ALL, .follow = DEBUG_FOLLOW_NO_MORE };

    shell->following = false;
    debug_call(DEBUG_LOG, &request, NULL);
}

/* Names of the kernel's numbers, which are the same in upstream's (structures.bf). */
static const char *type_name(uint64_t type)
{
    static const char *const name[] = {
        [1] = "frame", [2] = "untyped", [3] = "page table", [4] = "endpoint", [5] = "page directory",
        [6] = "notification", [7] = "PDPT", [8] = "reply", [9] = "PML4", [10] = "CNode", [11] = "ASID control",
        [12] = "TCB", [13] = "ASID pool", [14] = "IRQ control", [16] = "IRQ handler", [19] = "I/O ports",
        [21] = "VCPU", [23] = "EPT page table", [25] = "EPT page directory", [27] = "EPT PDPT", [29] = "EPT PML4",
        [31] = "I/O port control",
    };

    return type < sizeof name / sizeof name[0] && name[type] ? name[type] : "?";
}

/* A run of slots with capabilities of one type. */
static void show_run(struct shell *shell, uint64_t first, uint64_t count, uint64_t type)
{
    if (count == 1)
        print(shell, "%5lu        %s\r\n", first, type_name(type));
    else if (count > 1)
        print(shell, "%5lu-%-5lu  %s, %lu of them\r\n", first, first + count - 1, type_name(type), count);
}

void run_caps(struct shell *shell, unsigned count, char *const *word)
{
    uint64_t first = 0, length = 0, type = 0;
    struct debug_capabilities part;
    struct debug_process process;
    struct debug_range request;
    unsigned n;

    (void)count;
    if (!find_process(shell, word[0], &process, &n))
        return;
    request = (struct debug_range) { .n = n };
    do {
        enum hypervisor_status status = debug_call(DEBUG_CAPABILITIES_OF, &request, &part);

        if (status != HV_OK) {
            report(shell, "caps", status);
            return;
        }
        for (uint64_t i = 0; i < part.count && i < DEBUG_CAPABILITIES; i++) {
            uint64_t slot = part.found[i] & UINT32_MAX, found = part.found[i] >> 32;

            if (length == 0 || found != type || slot != first + length) {
                show_run(shell, first, length, type);
                first = slot;
                length = 0;
                type = found;
            }
            length++;
        }
        if (part.next <= request.from) /* init goes forward; an end in any case */
            break;
        request.from = part.next;
    } while (part.next != 0);
    show_run(shell, first, length, type);
}

#define ROUNDS 1000u

void run_ipcbench(struct shell *shell, unsigned count, char *const *word)
{
    static const char *const name[SHELL_PEERS] = {
        [SHELL_INIT] = "call to init and reply", [SHELL_TIMESERVER] = "call to timeserver and reply",
        [SHELL_LOGSERVER] = "signal to logserver, which looks for work",
    };

    (void)count;
    (void)word;
    for (unsigned peer = 0; peer < SHELL_PEERS; peer++) {
        uint64_t begin = shell->now();

        for (unsigned i = 0; i < ROUNDS; i++)
            shell->ask(peer);
        print(shell, "%-42s %6lu ticks\r\n", name[peer], (shell->now() - begin) / ROUNDS);
    }
}

void run_halt(struct shell *shell, unsigned count, char *const *word)
{
    (void)count;
    (void)word;
    report(shell, "halt", debug_call(DEBUG_HALT, NULL, NULL));
}
