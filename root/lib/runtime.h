/*
 * What the parts of the runtime, and root's own start, share.
 */
#pragma once

#include <lib/info.h>
#include <lib/syscall.h>
#include <lib/thread.h>

/*
 * Set up the runtime on the main thread: utcb is its UTCB. Heap memory in
 * info's areas is added.
 */
[[nodiscard]] enum status runtime_init(const struct program_info *info,
				       struct program_status *status, struct utcb *utcb);

/* Entered by start.S of a program. */
_Noreturn void runtime_start(void);

[[nodiscard]] enum status thread_init(void);

/* Where a thread begins (portal.S): RSP points at its struct thread. */
void thread_entry(void);
