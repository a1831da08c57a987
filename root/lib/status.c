/*
 * Names of statuses, as docs/abi.md calls them.
 */
#include <lib/status.h>

#include <stddef.h>

static const char *const names[] = {
	[SUCCESS] = "success",
	[TIMEOUT] = "timeout",
	[ABORTED] = "aborted",
	[BAD_HYPERCALL] = "bad hypercall",
	[BAD_CAPABILITY] = "bad capability",
	[BAD_PARAMETER] = "bad parameter",
	[BAD_FEATURE] = "bad feature",
	[BAD_CPU] = "bad CPU",
	[BAD_DEVICE] = "bad device",
	[OUT_OF_MEMORY] = "out of kernel memory",
};

const char *status_name(enum status status)
{
	size_t i = (size_t)status;

	return i < sizeof(names) / sizeof(*names) ? names[i] : "unknown status";
}
