#include <arch/x86_64/context.h>

#include <lib/string.h>

void context_init(struct context *context)
{
    memset(context, 0, sizeof *context);
    context->entry = ENTRY_NONE;
    context->cs = SELECTOR_USER_CODE;
    context->ss = SELECTOR_USER_DATA;
    context->rflags = RFLAGS_FIXED | RFLAGS_IF;
}
