/* How a protocol is described: once, by macros from which its structures, its table of shapes and its page in
 * docs/ipc.md come.
 *
 * A message's fields are a list  #define NAME(FIELD) FIELD(type, name, array, "what it is") …  in which everything is a
 * uint64_t, or an array of a multiple of 8 bytes; IPC_STRUCT makes struct NAME of it, which is the message registers in
 * their order. A protocol is a list  OPERATION(NAME, number, request, reply, capabilities, "what it does") …  of its
 * operations, each with the structures of its request and its reply and the most capabilities that may come with it. A
 * request's label is the operation; the label of a reply is a status, and only with status 0 come the reply's words.
 *
 * A server looks a request up with ipc_shape before it does anything, and so knows that every word of it is there, and
 * no more.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define IPC_FIELD(type, name, array, text) type name array;
#define IPC_STRUCT(fields)                                                                               \
    struct fields {                                                                                      \
        fields(IPC_FIELD)                                                                                \
    };                                                                                                   \
    _Static_assert(sizeof(struct fields) % sizeof(uint64_t) == 0, #fields " is whole words");

/* Fields of a message without words. */
#define ipc_nothing(FIELD)
IPC_STRUCT(ipc_nothing)

#define IPC_NUMBER(name, number, request, reply, capabilities, text) name = number,

#define IPC_WORDS(type) (sizeof(type) / sizeof(uint64_t))

struct ipc_shape {
    uint64_t operation;
    uint8_t request_words, reply_words, capabilities;
};

#define IPC_SHAPE(name, number, request, reply, caps, text) \
    { number, IPC_WORDS(struct request), IPC_WORDS(struct reply), caps },

/* The shape of OPERATION out of COUNT shapes; NULL when there is none, or a request has not WORDS words or may not have
 * CAPABILITIES capabilities. */
static inline const struct ipc_shape *ipc_shape(const struct ipc_shape *shapes, size_t count, uint64_t operation,
                                                uint64_t words, uint64_t capabilities)
{
    for (size_t i = 0; i < count; i++)
        if (shapes[i].operation == operation)
            return words == shapes[i].request_words && capabilities <= shapes[i].capabilities ? &shapes[i] : NULL;
    return NULL;
}
