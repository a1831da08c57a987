/*
 * Requests to root.
 */
#include <lib/request.h>

#include <lib/message.h>
#include <lib/string.h>
#include <lib/thread.h>

static enum request_result request(unsigned words)
{
	struct utcb *u = thread_utcb();

	message_words(u, words);
	if (call(SEL_ROOT) != SUCCESS)
		return REQUEST_DENIED;
	return (enum request_result)u->word[0];
}

void program_exit(unsigned code, const char *message)
{
	struct utcb *u = thread_utcb();
	size_t n = strnlen(message, EXIT_MESSAGE - 1);

	u->word[0] = REQUEST_EXIT;
	u->word[1] = code;
	u->word[2] = n;
	memcpy(&u->word[3], message, n);
	(void)request(3 + (unsigned)(n + 7) / 8);
	thread_stop();
}

void request_ready(void)
{
	thread_utcb()->word[0] = REQUEST_READY;
	(void)request(1);
}

enum request_result request_status(unsigned index, struct program_view *view)
{
	struct utcb *u = thread_utcb();
	enum request_result result;

	u->word[0] = REQUEST_STATUS;
	u->word[1] = index;
	result = request(2);
	if (result == REQUEST_OK)
		memcpy(view, &u->word[1], sizeof(*view));
	return result;
}

enum request_result request_control(unsigned index, enum control control)
{
	struct utcb *u = thread_utcb();

	u->word[0] = REQUEST_CONTROL;
	u->word[1] = index;
	u->word[2] = control;
	return request(3);
}
