#include "tests/monitor/virtio.h"

#include "ipc/virtio.h"
#include "runtime/runtime.h"

#include <stdbool.h>

#define SERVER        SLOT_VM_VIRTIO_CALL
#define FIRST_FRAME   1024u /* slots of the monitor's that are surely free */
#define DIRECTORY     1023u
#define SMALL_FRAME   1022u
#define FRAME_COPY    1021u
#define RING_ADDRESS  SERVICE_WINDOW
#define RING_BYTES_ALL 0x10000u

/* VIRTIO 1.2, 4.2.2. */
enum { DRIVER_FEATURES = 0x20, DRIVER_FEATURES_SEL = 0x24, QUEUE_SIZE = 0x38, QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50,
       STATUS = 0x70, DESCRIPTORS = 0x80, AVAILABLE = 0x90, USED = 0xa0 };

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void expect(bool holds, const char *what)
{
    if (!holds)
        panic("%s", what);
}

static seL4_Word label_of_call(seL4_Word label, unsigned capabilities, unsigned words)
{
    return seL4_MessageInfo_get_label(seL4_Call(SERVER, seL4_MessageInfo_new(label, 0, capabilities, words)));
}

static void babble(const struct startup *startup)
{
    static const seL4_CPtr capability[] = { SLOT_TCB, SLOT_VSPACE, SLOT_STATIC_CNODE, SLOT_HYPERVISOR, SERVER,
                                            SLOT_NULL, SLOT_VM_UNTYPED, SMALL_FRAME, SLOT_VM_EPT_ROOT };

    (void)startup;
    for (unsigned i = 0; i < 2000; i++) {
        seL4_Word label = i % 4 ? VIRTIO_SHARE + next_random() % 3 : next_random();
        unsigned capabilities = (unsigned)(next_random() % 4);
        unsigned words = (unsigned)(next_random() % (seL4_MsgMaxLength + 1));

        for (int word = 0; word < seL4_MsgMaxLength; word++)
            seL4_SetMR(word, next_random() >> next_random() % 64);
        for (int c = 0; c < 3; c++)
            seL4_SetCap(c, capability[next_random() % (sizeof capability / sizeof capability[0])]);
        label_of_call(label, capabilities, words);
    }
}

static void make(const struct startup *startup, unsigned untyped, seL4_Word type, unsigned slot, unsigned count)
{
    expect(seL4_Untyped_Retype(startup->vm.untyped[untyped].slot, type, 0, SLOT_ROOT_CNODE, 0, 32, slot, count) ==
           seL4_NoError, "the test's objects cannot be made");
}

/* The guest's RAM, of which the test maps the first page for itself. */
static unsigned make_memory(const struct startup *startup)
{
    unsigned frames = (unsigned)(startup->vm.config->memory_bytes >> seL4_LargePageBits);
    unsigned last = startup->vm.untyped_count - 1;

    for (unsigned i = 0; i < frames; i++) {
        expect(startup->vm.untyped[i].size_bits == seL4_LargePageBits, "RAM in pieces of a page");
        make(startup, i, seL4_X86_LargePageObject, FIRST_FRAME + i, 1);
    }
    make(startup, last, seL4_X86_PageDirectoryObject, DIRECTORY, 1);
    make(startup, last, seL4_X86_4K, SMALL_FRAME, 1);
    expect(seL4_X86_PageDirectory_Map(DIRECTORY, SLOT_VSPACE, RING_ADDRESS, seL4_X86_WriteBack) == seL4_NoError &&
           seL4_CNode_Copy(SLOT_STATIC_CNODE, FRAME_COPY, 32, SLOT_STATIC_CNODE, FIRST_FRAME, 32, seL4_AllRights) ==
           seL4_NoError &&
           seL4_X86_Page_Map(FRAME_COPY, SLOT_VSPACE, RING_ADDRESS, seL4_ReadWrite, seL4_X86_WriteBack) ==
           seL4_NoError, "the test's memory cannot be mapped");
    return frames;
}

static void share_memory(const struct startup *startup, unsigned frames)
{
    uint64_t value;

    (void)startup;
    for (unsigned i = 0; i < frames; i++) {
        expect(virtio_read(SERVER, 0, 4, &value) == VIRTIO_DENIED, "the device is there without memory");
        expect(virtio_share(SERVER, SMALL_FRAME) == VIRTIO_INVALID, "a small frame was taken for a large one");
        expect(virtio_share(SERVER, SLOT_TCB) == VIRTIO_INVALID, "a thread was taken for a frame");
        expect(label_of_call(VIRTIO_SHARE, 0, 0) == VIRTIO_INVALID, "nothing was taken for a frame");
        expect(virtio_share(SERVER, FIRST_FRAME + i) == VIRTIO_OK, "a frame was not taken");
    }
    expect(virtio_share(SERVER, FIRST_FRAME) == VIRTIO_INVALID, "a frame too many was taken");
    expect(virtio_read(SERVER, 0, 4, &value) == VIRTIO_OK && value == 0x74726976, "the device is not there");
    expect(virtio_read(SERVER, 0, 3, &value) == VIRTIO_INVALID, "an access of three bytes was taken");
}

static void set(unsigned offset, uint64_t value)
{
    expect(virtio_write(SERVER, offset, 4, value) == VIRTIO_OK, "a register was not taken");
}

static void start_device(void)
{
    set(STATUS, 0);
    set(STATUS, 3);
    set(DRIVER_FEATURES_SEL, 1);
    set(DRIVER_FEATURES, 1);
    set(DRIVER_FEATURES_SEL, 0);
    set(DRIVER_FEATURES, next_random() % 4 << 28);
    set(STATUS, 0xb);
    set(QUEUE_SIZE, 128);
    set(DESCRIPTORS, 0);
    set(AVAILABLE, 0x1000);
    set(USED, 0x2000);
    set(QUEUE_READY, 1);
    set(STATUS, 0xf);
}

static void fill_with_nonsense(void)
{
    volatile uint64_t *word = (volatile uint64_t *)RING_ADDRESS;
    volatile uint16_t *available = (volatile uint16_t *)(RING_ADDRESS + 0x1000);

    for (unsigned i = 0; i < RING_BYTES_ALL / sizeof *word; i++)
        word[i] = next_random() >> (next_random() % 8) * 8;
    for (unsigned i = 0; i < 128; i++) { /* descriptors that mean something now and then */
        word[2 * i] = next_random() % 0x1000000;
        word[2 * i + 1] = next_random() % 0x4000 | (next_random() % 8) << 32 | (next_random() % 130) << 48;
    }
    available[1] = (uint16_t)(next_random() % 4 ? next_random() % 128 : next_random());
    for (unsigned i = 0; i < 128; i++)
        available[2 + i] = (uint16_t)(next_random() % 129);
}

void torment_virtio(const struct startup *startup)
{
    unsigned frames = make_memory(startup);
    uint64_t value;

    babble(startup);
    share_memory(startup, frames);
    babble(startup);
    for (unsigned round = 0; round < 300; round++) {
        start_device();
        fill_with_nonsense();
        seL4_Signal(SLOT_VM_VIRTIO_NOTIFY);
        set(QUEUE_NOTIFY, 0);
        for (unsigned i = 0; i < 20; i++)
            virtio_write(SERVER, next_random() % 0x1100, 1u << next_random() % 4, next_random());
        expect(virtio_read(SERVER, 0, 4, &value) == VIRTIO_OK && value == 0x74726976, "the device is gone");
    }
    log_printf("virtio tormented");
}

void take_memory_back(const struct startup *startup)
{
    share_memory(startup, make_memory(startup));
    start_device();
    seL4_CNode_Revoke(SLOT_STATIC_CNODE, SLOT_VM_UNTYPED, 32);
    seL4_Signal(SLOT_VM_VIRTIO_NOTIFY);
    virtio_read(SERVER, 0, 4, &(uint64_t) { 0 });
    seL4_Wait(SLOT_NOTIFICATION, NULL);
}
