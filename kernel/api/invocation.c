/* Errors of invocations; which details go with which error: seL4 reference manual, appendix on error codes. */
#include <api/invocation.h>

#include <core/lookup.h>

void fail(struct invocation *call, seL4_Error error)
{
    call->outcome = INVOCATION_FAILED;
    call->error = error;
    call->result_count = 0;
}

void fail_argument(struct invocation *call, unsigned number)
{
    fail(call, seL4_InvalidArgument);
    result(call, number);
}

void fail_capability(struct invocation *call, unsigned number)
{
    fail(call, seL4_InvalidCapability);
    result(call, number);
}

void fail_range(struct invocation *call, uint64_t min, uint64_t max)
{
    fail(call, seL4_RangeError);
    result(call, min);
    result(call, max);
}

void fail_memory(struct invocation *call, uint64_t available)
{
    fail(call, seL4_NotEnoughMemory);
    result(call, available);
}

void fail_lookup(struct invocation *call, bool source, const struct lookup_failure *failure)
{
    fail(call, seL4_FailedLookup);
    result(call, source);
    call->result_count += lookup_failure_words(failure, &call->results[call->result_count]);
}
