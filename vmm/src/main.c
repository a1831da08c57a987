/*
 * A virtual machine monitor: one program, one VM. All it may use, root has
 * given it by the manifest: memory for the guest, modules, a console.
 */
#include <lib/log.h>
#include <lib/program.h>
#include <lib/thread.h>

#include "vm.h"

static struct vm vm;

int program_main(const struct program_info *info)
{
	log_info("%llu MiB, %s", (unsigned long long)(info->vm.memory >> 20),
		 info->vm.command_line);
	vm_start(&vm);
	thread_stop();
}
