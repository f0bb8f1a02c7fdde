#include "screenserver/keyboard.h"

#include <string.h>

#define ESCAPE 0x1bu

/* Keys without a character of their own. */
enum key { KEY_NONE = 0x80, KEY_LEFT_SHIFT, KEY_RIGHT_SHIFT, KEY_CONTROL, KEY_ALT, KEY_CAPS_LOCK, KEY_UP, KEY_DOWN,
           KEY_LEFT, KEY_RIGHT, KEY_HOME, KEY_END, KEY_DELETE, KEY_INSERT, KEY_PAGE_UP, KEY_PAGE_DOWN };

/* Codes of set 1, of set 2, and what the key gives, alone and with Shift (IBM's Personal System/2 Hardware Interface
 * Technical Reference, Keyboards: scan code sets). */
struct key_code {
    uint8_t set1, set2, plain, shifted;
};

static const struct key_code keys[] = {
    { 0x01, 0x76, 0x1b, 0x1b }, { 0x02, 0x16, '1', '!' }, { 0x03, 0x1e, '2', '@' }, { 0x04, 0x26, '3', '#' },
    { 0x05, 0x25, '4', '$' },   { 0x06, 0x2e, '5', '%' }, { 0x07, 0x36, '6', '^' }, { 0x08, 0x3d, '7', '&' },
    { 0x09, 0x3e, '8', '*' },   { 0x0a, 0x46, '9', '(' }, { 0x0b, 0x45, '0', ')' }, { 0x0c, 0x4e, '-', '_' },
    { 0x0d, 0x55, '=', '+' },   { 0x0e, 0x66, 0x7f, 0x7f }, { 0x0f, 0x0d, '\t', '\t' }, { 0x10, 0x15, 'q', 'Q' },
    { 0x11, 0x1d, 'w', 'W' },   { 0x12, 0x24, 'e', 'E' }, { 0x13, 0x2d, 'r', 'R' }, { 0x14, 0x2c, 't', 'T' },
    { 0x15, 0x35, 'y', 'Y' },   { 0x16, 0x3c, 'u', 'U' }, { 0x17, 0x43, 'i', 'I' }, { 0x18, 0x44, 'o', 'O' },
    { 0x19, 0x4d, 'p', 'P' },   { 0x1a, 0x54, '[', '{' }, { 0x1b, 0x5b, ']', '}' }, { 0x1c, 0x5a, '\r', '\r' },
    { 0x1d, 0x14, KEY_CONTROL, KEY_CONTROL }, { 0x1e, 0x1c, 'a', 'A' }, { 0x1f, 0x1b, 's', 'S' },
    { 0x20, 0x23, 'd', 'D' },   { 0x21, 0x2b, 'f', 'F' }, { 0x22, 0x34, 'g', 'G' }, { 0x23, 0x33, 'h', 'H' },
    { 0x24, 0x3b, 'j', 'J' },   { 0x25, 0x42, 'k', 'K' }, { 0x26, 0x4b, 'l', 'L' }, { 0x27, 0x4c, ';', ':' },
    { 0x28, 0x52, '\'', '"' },  { 0x29, 0x0e, '`', '~' }, { 0x2a, 0x12, KEY_LEFT_SHIFT, KEY_LEFT_SHIFT },
    { 0x2b, 0x5d, '\\', '|' },  { 0x2c, 0x1a, 'z', 'Z' }, { 0x2d, 0x22, 'x', 'X' }, { 0x2e, 0x21, 'c', 'C' },
    { 0x2f, 0x2a, 'v', 'V' },   { 0x30, 0x32, 'b', 'B' }, { 0x31, 0x31, 'n', 'N' }, { 0x32, 0x3a, 'm', 'M' },
    { 0x33, 0x41, ',', '<' },   { 0x34, 0x49, '.', '>' }, { 0x35, 0x4a, '/', '?' },
    { 0x36, 0x59, KEY_RIGHT_SHIFT, KEY_RIGHT_SHIFT }, { 0x37, 0x7c, '*', '*' }, { 0x38, 0x11, KEY_ALT, KEY_ALT },
    { 0x39, 0x29, ' ', ' ' },   { 0x3a, 0x58, KEY_CAPS_LOCK, KEY_CAPS_LOCK }, { 0x47, 0x6c, '7', KEY_HOME },
    { 0x48, 0x75, '8', KEY_UP }, { 0x49, 0x7d, '9', KEY_PAGE_UP }, { 0x4a, 0x7b, '-', '-' },
    { 0x4b, 0x6b, '4', KEY_LEFT }, { 0x4c, 0x73, '5', '5' }, { 0x4d, 0x74, '6', KEY_RIGHT }, { 0x4e, 0x79, '+', '+' },
    { 0x4f, 0x69, '1', KEY_END }, { 0x50, 0x72, '2', KEY_DOWN }, { 0x51, 0x7a, '3', KEY_PAGE_DOWN },
    { 0x52, 0x70, '0', KEY_INSERT }, { 0x53, 0x71, '.', KEY_DELETE }, { 0x56, 0x61, '\\', '|' },
};

/* Behind E0: what is not on the keypad has its own key there. */
static const struct key_code extended_keys[] = {
    { 0x1c, 0x5a, '\r', '\r' }, { 0x1d, 0x14, KEY_CONTROL, KEY_CONTROL }, { 0x35, 0x4a, '/', '/' },
    { 0x38, 0x11, KEY_ALT, KEY_ALT }, { 0x47, 0x6c, KEY_HOME, KEY_HOME }, { 0x48, 0x75, KEY_UP, KEY_UP },
    { 0x49, 0x7d, KEY_PAGE_UP, KEY_PAGE_UP }, { 0x4b, 0x6b, KEY_LEFT, KEY_LEFT }, { 0x4d, 0x74, KEY_RIGHT, KEY_RIGHT },
    { 0x4f, 0x69, KEY_END, KEY_END }, { 0x50, 0x72, KEY_DOWN, KEY_DOWN },
    { 0x51, 0x7a, KEY_PAGE_DOWN, KEY_PAGE_DOWN }, { 0x52, 0x70, KEY_INSERT, KEY_INSERT },
    { 0x53, 0x71, KEY_DELETE, KEY_DELETE },
};

static const struct key_code *find(const struct keyboard *keyboard, uint8_t code)
{
    const struct key_code *list = keyboard->extended ? extended_keys : keys;
    size_t count = keyboard->extended ? sizeof extended_keys / sizeof *list : sizeof keys / sizeof *list;

    for (size_t i = 0; i < count; i++)
        if ((keyboard->set2 ? list[i].set2 : list[i].set1) == code)
            return &list[i];
    return NULL;
}

static size_t put_text(uint8_t typed[KEYBOARD_BYTES], const char *text)
{
    size_t length = strlen(text);

    memcpy(typed, text, length);
    return length;
}

static size_t put_character(const struct keyboard *keyboard, uint8_t c, uint8_t typed[KEYBOARD_BYTES])
{
    bool shift = keyboard->shift[0] || keyboard->shift[1];
    size_t count = 0;

    if (keyboard->caps_lock && c >= 'a' && c <= 'z' && !shift)
        c = (uint8_t)(c - 'a' + 'A');
    else if (keyboard->caps_lock && c >= 'A' && c <= 'Z' && shift)
        c = (uint8_t)(c - 'A' + 'a');
    if (keyboard->control[0] || keyboard->control[1]) {
        if ((c >= '@' && c <= '_') || (c >= 'a' && c <= 'z'))
            c &= 0x1f;
        else if (c == ' ')
            c = 0;
    }
    if (keyboard->alt[0] || keyboard->alt[1])
        typed[count++] = ESCAPE;
    typed[count++] = c;
    return count;
}

static size_t press(struct keyboard *keyboard, enum key key, bool right, bool down, uint8_t typed[KEYBOARD_BYTES])
{
    switch (key) {
    case KEY_LEFT_SHIFT:
        keyboard->shift[0] = down;
        return 0;
    case KEY_RIGHT_SHIFT:
        keyboard->shift[1] = down;
        return 0;
    case KEY_CONTROL:
        keyboard->control[right] = down;
        return 0;
    case KEY_ALT:
        keyboard->alt[right] = down;
        return 0;
    default:
        break;
    }
    if (!down)
        return 0;
    switch (key) {
    case KEY_CAPS_LOCK:
        keyboard->caps_lock = !keyboard->caps_lock;
        return 0;
    case KEY_UP:
        return put_text(typed, "\033[A");
    case KEY_DOWN:
        return put_text(typed, "\033[B");
    case KEY_RIGHT:
        return put_text(typed, "\033[C");
    case KEY_LEFT:
        return put_text(typed, "\033[D");
    case KEY_HOME:
        return put_text(typed, "\033[H");
    case KEY_END:
        return put_text(typed, "\033[F");
    case KEY_INSERT:
        return put_text(typed, "\033[2~");
    case KEY_DELETE:
        return put_text(typed, "\033[3~");
    case KEY_PAGE_UP:
        return put_text(typed, "\033[5~");
    case KEY_PAGE_DOWN:
        return put_text(typed, "\033[6~");
    default:
        return put_character(keyboard, (uint8_t)key, typed);
    }
}

size_t keyboard_code(struct keyboard *keyboard, uint8_t code, uint8_t typed[KEYBOARD_BYTES])
{
    if (keyboard->skip > 0) {
        keyboard->skip--;
        return 0;
    }
    switch (code) {
    case 0xe0:
        keyboard->extended = true;
        return 0;
    case 0xe1: /* Pause is a long sequence, with no release: 1D 45 E1 9D C5, or 14 77 E1 F0 14 F0 77 */
        keyboard->skip = keyboard->set2 ? 7 : 5;
        return 0;
    case 0xf0:
        if (!keyboard->set2)
            break;
        keyboard->released = true;
        return 0;
    default:
        break;
    }
    bool down = keyboard->set2 ? !keyboard->released : !(code & 0x80);
    const struct key_code *found = find(keyboard, keyboard->set2 ? code : code & 0x7f);
    bool right = keyboard->extended, shift = keyboard->shift[0] || keyboard->shift[1];

    keyboard->extended = keyboard->released = false;
    if (!found)
        return 0;
    return press(keyboard, (enum key)(shift ? found->shifted : found->plain), right, down, typed);
}
