/* User programs of a few instructions. */
#include "guests/tour/tour.h"

struct user program;
volatile uint8_t *program_text, *program_data;

static void *user_page(uint64_t root, uint64_t address, uint64_t flags)
{
    void *page = page_new();

    if (!page) {
        print("Bail out! no memory\n");
        power_off();
    }
    map_page(root, address, PHYSICAL(page), flags | PTE_USER);
    return page;
}

void make_program(struct user *user, const char *start, const char *end)
{
    memset(user, 0, sizeof *user);
    user->root = space_new();
    user_page(user->root, USER_TEXT, 0);
    user_page(user->root, USER_DATA, PTE_WRITE | no_execute);
    user_page(user->root, USER_STACK - PAGE, PTE_WRITE | no_execute);
    load_program(user, start, end);
}

void load_program(struct user *user, const char *start, const char *end)
{
    void *text = VIRTUAL(*find_entry(user->root, USER_TEXT, 1) & PTE_ADDRESS);

    memset(&user->frame, 0, sizeof user->frame);
    memset(text, 0xcc, PAGE);
    memcpy(text, start, (size_t)(end - start));
    user->frame.rip = USER_TEXT;
    user->frame.rsp = USER_STACK;
    user->frame.rsi = USER_DATA;
    user->frame.cs = SELECTOR_USER_CODE;
    user->frame.ss = SELECTOR_USER_DATA;
    user->frame.rflags = RFLAGS_FIXED | RFLAGS_IF;
}

uint64_t run_code(const char *start, const char *end)
{
    if (!program.root) {
        make_program(&program, start, end);
        program_text = VIRTUAL(*find_entry(program.root, USER_TEXT, 1) & PTE_ADDRESS);
        program_data = VIRTUAL(*find_entry(program.root, USER_DATA, 1) & PTE_ADDRESS);
    } else {
        load_program(&program, start, end);
    }
    return run_user(&program);
}

static void say_frame(const struct frame *frame)
{
    print("# vector %lu, error %lx, rip %lx, rflags %lx, rax %lx, cr2 %lx\n", frame->vector, frame->error, frame->rip,
          frame->rflags, frame->rax, READ_CR(2));
}

void check_user_fault(uint64_t vector, uint64_t error, uint64_t offset, const char *name)
{
    const struct frame *frame = &program.frame;
    bool passed = frame->vector == vector && frame->error == error && frame->rip == USER_TEXT + offset &&
                  frame->cs == SELECTOR_USER_CODE && frame->ss == SELECTOR_USER_DATA;

    if (!passed)
        say_frame(frame);
    check(passed, name);
}

/* That the program ended itself by SYSCALL, with this in rax. */
void check_user_call(uint64_t rax, const char *name)
{
    const struct frame *frame = &program.frame;
    bool passed = frame->vector == VECTOR_SYSCALL && frame->rax == rax;

    if (!passed)
        say_frame(frame);
    check(passed, name);
}
