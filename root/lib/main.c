/*
 * From a program's entry point to program_main. Root has a start of its own.
 */
#include <lib/program.h>

#include <lib/console.h>
#include <lib/log.h>
#include <lib/request.h>
#include <lib/runtime.h>
#include <lib/status.h>

void runtime_start(void)
{
	static struct console log;
	const struct program_info *info = (const void *)LAYOUT_INFO;
	enum status status;

	status = runtime_init(info, (void *)LAYOUT_STATUS, (void *)LAYOUT_UTCB);
	if (console_open(&log, "log"))
		console_log = &log;
	if (status != SUCCESS)
		panic("runtime: %s", status_name(status));
	status_add_thread("main", SEL_SC, info->cpus[0]);
	program_exit((unsigned)program_main(info), "");
}
