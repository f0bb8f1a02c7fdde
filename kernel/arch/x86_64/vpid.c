/* Which VCPU has which VPID. */
#include <arch/x86_64/vmx.h>

#include <object/vcpu_object.h>
#include <lib/string.h>

/* 0 is the host's (SDM 3C 29.1), and "none" in a capability. */
#define VPID_FIRST 1u

/* The tags are the processors'. */
static struct vcpu *owners[CONFIG_MAX_VPIDS];

/* Where to look next: a number is used again as late as possible, because I/O port capabilities may still bear it. */
static unsigned next = VPID_FIRST;

static unsigned advance(void)
{
    unsigned vpid = next;

    next = next + 1 < CONFIG_MAX_VPIDS ? next + 1 : VPID_FIRST;
    return vpid;
}

/* A free one; otherwise the next one in turn. */
static unsigned choose(void)
{
    for (unsigned tries = VPID_FIRST; tries < CONFIG_MAX_VPIDS; tries++) {
        unsigned vpid = advance();
        if (!owners[vpid])
            return vpid;
    }
    return advance();
}

void vpid_assign(struct vcpu *vcpu)
{
    if (vcpu->vpid)
        return;

    unsigned vpid = choose();
    if (owners[vpid])
        vpid_release(owners[vpid]);
    vmx_discard_vpid(vpid);
    owners[vpid] = vcpu;
    vcpu->vpid = vpid;
}

void vpid_release(struct vcpu *vcpu)
{
    if (!vcpu->vpid)
        return;
    owners[vcpu->vpid] = NULL;
    vcpu->vpid = 0;
    /* Nothing leads from a capability to this bitmap any more. */
    memset(vcpu->io_bitmap, 0xff, sizeof vcpu->io_bitmap);
}

struct vcpu *vpid_owner(unsigned vpid)
{
    return vpid < CONFIG_MAX_VPIDS ? owners[vpid] : NULL;
}
