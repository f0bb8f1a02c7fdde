#include "tests/kernel/spaces.h"

struct prober new_prober(struct env *e)
{
    seL4_CPtr endpoint = new_object(e, seL4_EndpointObject, 0);

    return (struct prober) { .thread = new_thread(e, endpoint), .endpoint = endpoint };
}

static void access_memory(struct env *e, struct thread *t, seL4_Word address)
{
    volatile seL4_Word *word = (volatile seL4_Word *)address;

    (void)e;
    switch ((enum probe)t->result[0]) {
    case PROBE_READ:
        t->result[1] = *word;
        break;
    case PROBE_WRITE:
        *word = address;
        break;
    case PROBE_CALL:
        t->result[1] = ((seL4_Word(*)(void))address)();
        break;
    }
}

bool can(struct env *e, struct prober *prober, enum probe probe, seL4_Word address)
{
    seL4_Word badge;

    prober->thread->result[0] = probe;
    start(prober->thread, access_memory, address, ABOVE_ROOT);
    if (prober->thread->finished) {
        prober->value = prober->thread->result[1];
        return true;
    }
    seL4_MessageInfo_t info = seL4_NBRecv(prober->endpoint, &badge);
    EXPECT_EQ(seL4_MessageInfo_get_label(info), seL4_Fault_VMFault);
    prober->fault_address = seL4_GetMR(seL4_VMFault_Addr);
    prober->fault_is_prefetch = seL4_GetMR(seL4_VMFault_PrefetchFault);
    prober->fault_status = seL4_GetMR(seL4_VMFault_FSR);
    return false;
}

seL4_CPtr new_vspace(struct env *e)
{
    seL4_CPtr root = new_object(e, seL4_X64_PML4Object, 0);

    EXPECT_OK(seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root));
    return root;
}

seL4_CPtr device_untyped(struct env *e, seL4_Word size_bits)
{
    const seL4_BootInfo *info = e->bootinfo;

    for (seL4_Word i = 0; i < info->untyped.end - info->untyped.start; i++)
        if (info->untypedList[i].isDevice && info->untypedList[i].sizeBits >= size_bits)
            return info->untyped.start + i;
    return 0;
}

extern const char __image_start[];

void map_image(struct env *e, seL4_CPtr vspace)
{
    seL4_SlotRegion frames = e->bootinfo->userImageFrames;
    seL4_Word address = (seL4_Word)__image_start;

    map_structures(e, vspace, address, seL4_PageBits);
    for (seL4_CPtr frame = frames.start; frame < frames.end; frame++, address += 1u << seL4_PageBits) {
        if (address % (1u << seL4_LargePageBits) == 0 && frame > frames.start) {
            seL4_CPtr table = new_object(e, seL4_X86_PageTableObject, 0);
            EXPECT_OK(seL4_X86_PageTable_Map(table, vspace, address, seL4_X86_Default_VMAttributes));
        }
        EXPECT_OK(seL4_X86_Page_Map(copy_of(e, frame, seL4_AllRights), vspace, address, seL4_AllRights,
                                    seL4_X86_Default_VMAttributes));
    }
}
