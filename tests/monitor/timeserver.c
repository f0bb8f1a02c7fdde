/* A stand-in for timeserver: every timer is due at once. Three of its lives end with a fault in the middle of a request,
 * so that the client waits for an answer that does not come. */
#include "runtime/runtime.h"

#define REQUESTS 100u
#define LIVES    3u

/* The table outlives its timeserver; this is no client's place. */
#define COUNT_OF_LIVES (TIME_CLIENTS - 1)

void service_main(const struct startup *startup)
{
    uint32_t life = startup->timeserver.table->client[COUNT_OF_LIVES].acknowledged++;
    seL4_Word badge;

    seL4_Recv(SLOT_TIME_RECEIVE, &badge);
    for (unsigned i = 1;; i++) {
        if (life < LIVES && i == REQUESTS)
            *(volatile int *)0 = 1;
        if (!(badge & TIME_CLIENT_BADGE)) {
            seL4_Recv(SLOT_TIME_RECEIVE, &badge);
            continue;
        }
        seL4_NBSend(SLOT_TIME_CLIENT_NOTIFY + (badge & 0xff), seL4_MessageInfo_new(0, 0, 0, 0));
        seL4_ReplyRecv(SLOT_TIME_RECEIVE, seL4_MessageInfo_new(TIME_OK, 0, 0, 0), &badge);
    }
}
