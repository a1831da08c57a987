/*
 * Counts primes, a stretch of numbers at a time, and prints how many there
 * were. Between two stretches it sleeps; the sum over all stretches is kept by
 * another program, which it calls.
 *
 * Argument: the time between two lines in milliseconds (1000).
 */
#include <lib/log.h>
#include <lib/message.h>
#include <lib/program.h>
#include <lib/status.h>
#include <lib/string.h>
#include <lib/thread.h>
#include <lib/time.h>

#include "../sum/sum.h"

enum { STRETCH = 10000, DEFAULT_MS = 1000 };

static bool is_prime(unsigned n)
{
	for (unsigned d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return n >= 2;
}

static unsigned count(unsigned first)
{
	unsigned primes = 0;

	for (unsigned n = first; n < first + STRETCH; n++)
		primes += is_prime(n);
	return primes;
}

/* Ask the server to add; it may be away for a while. */
static enum status add(unsigned long portal, uint64_t n, uint64_t *sum)
{
	struct utcb *u = thread_utcb();
	enum status status;

	u->word[0] = SUM_ADD;
	u->word[1] = n;
	message_words(u, SUM_REQUEST_WORDS);
	status = call(portal);
	*sum = u->word[0];
	return status;
}

static void report(unsigned first, unsigned primes, const struct info_channel *server)
{
	uint64_t sum;
	enum status status = server ? add(server->selector, primes, &sum) : BAD_CAPABILITY;

	if (status == SUCCESS) {
		log_info("%u primes from %u to %u, %lu in all", primes, first, first + STRETCH - 1,
			 sum);
	} else {
		log_info("%u primes from %u to %u; no sum (%s)", primes, first, first + STRETCH - 1,
			 status_name(status));
	}
}

int program_main(const struct program_info *info)
{
	const struct info_channel *server = info_channel(CHANNEL_PORTAL, "sum");
	uint64_t ms = strtoul(info->arguments, NULL, 0);
	unsigned first = 0;

	ms = ms ? ms : DEFAULT_MS;
	for (;;) {
		uint64_t deadline = time_deadline(ms * NS_PER_MS);

		report(first, count(first), server);
		first = first < 1000000 ? first + STRETCH : 0;
		/* Nobody ups it: the deadline wakes us. */
		(void)sm_down(SEL_NEVER, deadline);
	}
}
