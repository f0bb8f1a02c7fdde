#include "dbgserver/line_editor.h"

#include <stdio.h>
#include <string.h>

enum { CTRL_A = 0x01, CTRL_C = 0x03, CTRL_E = 0x05, CTRL_H = 0x08, TAB = 0x09, LINE_FEED = 0x0a, CTRL_K = 0x0b,
       RETURN = 0x0d, CTRL_U = 0x15, ESCAPE = 0x1b, DELETE = 0x7f };

#define PARAMETER_DELETE 3u

static void put(struct line_editor *editor, const char *text)
{
    editor->put(editor->context, text, strlen(text));
}

void line_editor_show(struct line_editor *editor)
{
    char left[16];

    put(editor, "\r");
    put(editor, editor->prompt);
    put(editor, editor->text);
    put(editor, "\033[K");
    if (editor->cursor < editor->length) {
        snprintf(left, sizeof left, "\033[%uD", (unsigned)(editor->length - editor->cursor));
        put(editor, left);
    }
}

/* Takes COUNT characters out at PLACE. */
static void cut(struct line_editor *editor, size_t place, size_t count)
{
    if (count == 0)
        return;
    memmove(editor->text + place, editor->text + place + count, editor->length - place - count + 1);
    editor->length -= count;
    editor->cursor = place;
    line_editor_show(editor);
}

static void insert(struct line_editor *editor, char c)
{
    if (editor->length == LINE_BYTES - 1)
        return;
    memmove(editor->text + editor->cursor + 1, editor->text + editor->cursor, editor->length - editor->cursor + 1);
    editor->text[editor->cursor++] = c;
    editor->length++;
    if (editor->cursor == editor->length)
        editor->put(editor->context, &c, 1);
    else
        line_editor_show(editor);
}

static void move_to(struct line_editor *editor, size_t place)
{
    if (place == editor->cursor || place > editor->length)
        return;
    editor->cursor = place;
    line_editor_show(editor);
}

static void replace(struct line_editor *editor, const char *text)
{
    editor->length = editor->cursor = strlen(text);
    memmove(editor->text, text, editor->length + 1);
    line_editor_show(editor);
}

static void browse(struct line_editor *editor, unsigned back)
{
    unsigned kept = editor->lines < LINE_HISTORY ? editor->lines : LINE_HISTORY;

    if (back > kept)
        return;
    if (editor->back == 0)
        memcpy(editor->typed, editor->text, sizeof editor->typed);
    editor->back = back;
    replace(editor, back == 0 ? editor->typed : editor->history[(editor->lines - back) % LINE_HISTORY]);
}

static void sequence_ended(struct line_editor *editor, uint8_t byte)
{
    switch (byte) {
    case 'A':
        browse(editor, editor->back + 1);
        break;
    case 'B':
        if (editor->back > 0)
            browse(editor, editor->back - 1);
        break;
    case 'C':
        move_to(editor, editor->cursor + 1);
        break;
    case 'D':
        if (editor->cursor > 0)
            move_to(editor, editor->cursor - 1);
        break;
    case 'H':
        move_to(editor, 0);
        break;
    case 'F':
        move_to(editor, editor->length);
        break;
    case '~':
        if (editor->parameter == PARAMETER_DELETE && editor->cursor < editor->length)
            cut(editor, editor->cursor, 1);
        break;
    default:
        break;
    }
}

/* ESC [ (or ESC O), digits, a final byte. */
static void escape_byte(struct line_editor *editor, uint8_t byte)
{
    if (editor->state == LINE_ESCAPE) {
        editor->state = byte == '[' || byte == 'O' ? LINE_SEQUENCE : LINE_PLAIN;
        editor->parameter = 0;
    } else if (byte >= '0' && byte <= '9') {
        editor->parameter = (editor->parameter * 10 + (byte - '0')) % 1000;
    } else if (byte >= '@' && byte <= '~') {
        editor->state = LINE_PLAIN;
        sequence_ended(editor, byte);
    } else if (byte < ' ' || byte > '~') {
        editor->state = LINE_PLAIN;
    }
}

/* How many bytes all words that begin as the LENGTH bytes at START have in common, and how many words that are. */
static size_t common_start(const struct line_editor *editor, const char *start, size_t length, const char **word,
                           unsigned *count)
{
    size_t common = 0;

    *count = 0;
    for (unsigned i = 0; i < editor->word_count; i++) {
        const char *candidate = editor->words[i];
        if (strncmp(candidate, start, length) != 0)
            continue;
        if ((*count)++ == 0) {
            *word = candidate;
            common = strlen(candidate);
        }
        while (strncmp(candidate, *word, common) != 0)
            common--;
    }
    return common;
}

static void list(struct line_editor *editor, const char *start, size_t length)
{
    put(editor, "\r\n");
    for (unsigned i = 0; i < editor->word_count; i++) {
        if (strncmp(editor->words[i], start, length) != 0)
            continue;
        put(editor, editor->words[i]);
        put(editor, "  ");
    }
    put(editor, "\r\n");
    line_editor_show(editor);
}

static void complete(struct line_editor *editor)
{
    static const char help[] = "help ";
    const char *word, *start = editor->text;
    unsigned count;

    if (editor->cursor >= sizeof help - 1 && strncmp(start, help, sizeof help - 1) == 0)
        start += sizeof help - 1;
    size_t length = (size_t)(editor->text + editor->cursor - start);
    size_t common = common_start(editor, start, length, &word, &count);
    if (count == 0)
        return;
    if (count > 1 && common == length) {
        list(editor, start, length);
        return;
    }
    for (size_t i = length; i < common; i++)
        insert(editor, word[i]);
    if (count == 1)
        insert(editor, ' ');
}

bool line_editor_type(struct line_editor *editor, uint8_t byte)
{
    bool was_return = editor->after_return;

    editor->after_return = byte == RETURN;
    if (byte == ESCAPE) {
        editor->state = LINE_ESCAPE;
        return false;
    }
    if (editor->state != LINE_PLAIN && byte != RETURN) {
        escape_byte(editor, byte);
        return false;
    }
    editor->state = LINE_PLAIN;
    switch (byte) {
    case LINE_FEED:
    case RETURN:
        if (byte == LINE_FEED && was_return)
            return false;
        put(editor, "\r\n");
        return true;
    case CTRL_A:
        move_to(editor, 0);
        return false;
    case CTRL_C:
        put(editor, "^C\r\n");
        replace(editor, "");
        editor->back = 0;
        return false;
    case CTRL_E:
        move_to(editor, editor->length);
        return false;
    case CTRL_H:
    case DELETE:
        if (editor->cursor > 0)
            cut(editor, editor->cursor - 1, 1);
        return false;
    case TAB:
        complete(editor);
        return false;
    case CTRL_K:
        cut(editor, editor->cursor, editor->length - editor->cursor);
        return false;
    case CTRL_U:
        cut(editor, 0, editor->cursor);
        return false;
    default:
        if (byte >= ' ' && byte < DELETE)
            insert(editor, (char)byte);
        return false;
    }
}

void line_editor_next(struct line_editor *editor)
{
    const char *last = editor->history[(editor->lines - 1) % LINE_HISTORY];

    if (editor->length > 0 && (editor->lines == 0 || strcmp(last, editor->text) != 0)) {
        memcpy(editor->history[editor->lines % LINE_HISTORY], editor->text, sizeof editor->text);
        editor->lines++;
    }
    editor->back = 0;
    replace(editor, "");
}
