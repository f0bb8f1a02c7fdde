/* Processes: their address spaces, their turns, what they ask of the kernel. */
#include "guests/shell/shell.h"

struct process process[PROCESSES];

static void *user_page(uint64_t root, uint64_t address, uint64_t flags)
{
    void *page = page_new();

    if (page)
        map_page(root, address, PHYSICAL(page), flags | PTE_USER);
    return page;
}

bool process_load(struct process *p, const char *name, const char *start, const char *end)
{
    void *text, *data, *stack;

    memset(p, 0, sizeof *p);
    p->fpu = page_new();
    p->user.root = p->fpu ? space_new() : 0;
    if (!p->user.root)
        return false;
    text = user_page(p->user.root, USER_TEXT, 0);
    data = user_page(p->user.root, USER_DATA, PTE_WRITE | no_execute);
    stack = user_page(p->user.root, USER_STACK - PAGE, PTE_WRITE | no_execute);
    if (!text || !data || !stack) {
        process_end(p);
        return false;
    }
    memcpy(text, start, (size_t)(end - start));
    /* The initial state, as FXRSTOR and XRSTOR take it. (SDM 1 10.5.1, 13.4) */
    *(uint16_t *)p->fpu = 0x37f;
    *(uint32_t *)(p->fpu + 24) = 0x1f80;
    p->user.frame.rip = USER_TEXT;
    p->user.frame.rsi = USER_DATA;
    p->user.frame.rsp = USER_STACK - 16;
    p->user.frame.cs = SELECTOR_USER_CODE;
    p->user.frame.ss = SELECTOR_USER_DATA;
    p->user.frame.rflags = RFLAGS_FIXED | RFLAGS_IF;
    p->name = name;
    p->state = PROCESS_READY;
    return true;
}

void process_end(struct process *p)
{
    WRITE_CR(3, kernel_root);
    space_free(p->user.root);
    page_free(p->fpu);
    p->state = PROCESS_NONE;
}

bool process_fresh_page(struct process *p)
{
    uint64_t address = READ_CR(2);

    return address >= USER_FRESH && address < USER_FRESH_END && !(p->user.frame.error & PF_PRESENT)
           && user_page(p->user.root, address & ~(PAGE - 1), PTE_WRITE | no_execute);
}

static void save_fpu(uint8_t *area)
{
    if (READ_CR(4) & CR4_OSXSAVE)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static void restore_fpu(const uint8_t *area)
{
    if (READ_CR(4) & CR4_OSXSAVE)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static void carry_out(struct process *p)
{
    struct frame *frame = &p->user.frame;

    p->calls++;
    p->user.by_sysret = true;
    switch (frame->rax) {
    case CALL_EXIT:
        print("[%lu] %s has ended\n", (uint64_t)(p - process), p->name);
        process_end(p);
        break;
    case CALL_PUT:
        put((char)frame->rdi);
        break;
    case CALL_NUMBER:
        print("[%lu] %s: %lu\n", (uint64_t)(p - process), p->name, frame->rdi);
        break;
    case CALL_SLEEP:
        p->wake = now + frame->rdi;
        p->state = PROCESS_SLEEPS;
        break;
    default:
        break;
    }
}

static void run(struct process *p)
{
    uint64_t before = now, vector;

    restore_fpu(p->fpu);
    vector = run_user(&p->user);
    save_fpu(p->fpu);
    p->user.by_sysret = false;
    if (vector == VECTOR_SYSCALL) {
        carry_out(p);
    } else if (take_interrupt(vector)) {
        p->ticks += now - before;
    } else if (vector != VECTOR_PF || !process_fresh_page(p)) {
        print("[%lu] %s ended by exception %lu, error %lx, at %lx\n", (uint64_t)(p - process), p->name, vector,
              p->user.frame.error, p->user.frame.rip);
        process_end(p);
    }
}

void process_schedule(void)
{
    static unsigned last;

    for (unsigned i = 0; i < PROCESSES; i++)
        if (process[i].state == PROCESS_SLEEPS && now >= process[i].wake)
            process[i].state = PROCESS_READY;
    for (unsigned i = 1; i <= PROCESSES; i++) {
        struct process *p = &process[(last + i) % PROCESSES];

        if (p->state == PROCESS_READY) {
            last = (unsigned)(p - process);
            run(p);
            return;
        }
    }
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
