/*
 * A server: keeps a sum, to which its clients add by calling its portal.
 */
#include "sum.h"

#include <lib/layout.h>
#include <lib/log.h>
#include <lib/message.h>
#include <lib/program.h>
#include <lib/request.h>
#include <lib/status.h>
#include <lib/thread.h>

/* Runs on the caller's time; one call at a time. */
static unsigned long serve(struct portal *portal, struct utcb *u)
{
	static uint64_t sum;

	(void)portal;
	if (message_untyped(u) != SUM_REQUEST_WORDS || u->word[0] != SUM_ADD) {
		message_clear(u);
		return 0;
	}
	sum += u->word[1];
	u->word[0] = sum;
	message_words(u, SUM_ANSWER_WORDS);
	return 0;
}

int program_main(const struct program_info *info)
{
	static struct portal portal = {.handler = serve};
	enum status status;
	struct thread *handler = handler_create(info->cpus[0], &status);

	if (handler)
		status = portal_create(SEL_SERVICES, handler, 0, &portal);
	if (status != SUCCESS)
		panic("cannot serve: %s", status_name(status));
	request_ready();
	log_info("ready");
	thread_stop();
}
