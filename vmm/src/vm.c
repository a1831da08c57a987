/*
 * Start and end of a VM, in the order in which it happens: the machine, the
 * guest's PD with its RAM, the kernel in it, threads, vCPUs. From then on only
 * exits and the threads for time and input run.
 */
#include "vm.h"

#include <stddef.h>
#include <string.h>

#include <abi/hip.h>
#include <lib/console.h>
#include <lib/info.h>
#include <lib/log.h>
#include <lib/message.h>
#include <lib/print.h>
#include <lib/request.h>
#include <lib/sel.h>
#include <lib/status.h>
#include <lib/thread.h>
#include <lib/time.h>

#include "report.h"

enum {
	/* Kernel memory that we keep for ourselves, in pages. */
	QUOTA_LEFT = 256,
	THREAD_STEP = 2, /* our threads' priority above the vCPUs' */
};

/* 2024-01-01: the host's time is not known to programs. */
#define WALL_CLOCK 1704067200ull

static struct console console; /* the guest's serial line */

void vm_lock(struct vm *vm)
{
	lock_acquire(&vm->lock);
}

/* The lock is not held any more, what was written under it is there. */
static void release(struct vm *vm)
{
	bool written = vm->written;

	vm->written = false;
	lock_release(&vm->lock);
	if (written)
		console_flush(&console);
}

void vm_unlock_asleep(struct vm *vm)
{
	release(vm);
}

void vm_unlock(struct vm *vm)
{
	uint64_t next = timer_queue_next(&vm->machine.timers);
	bool late = next < vm->timer_sleeps;

	if (late)
		vm->timer_sleeps = next;
	release(vm);
	if (late)
		(void)sm_up(vm->timer_sm);
}

/* The end. */

void vm_finish(struct vm *vm)
{
	char message[VM_MESSAGE];

	console_flush(&console);
	for (unsigned i = 0; i < VM_VCPUS; i++)
		report_exits(&vm->vcpu[i]);
	switch (vm->end) {
	case VM_OFF:
		program_exit(EXIT_DONE, "powered off");
	case VM_RESET:
		program_exit(EXIT_RESET, "reset");
	case VM_EXIT:
		snprintf(message, sizeof(message), "ended with code %u", vm->end_code);
		program_exit(vm->end_code ? EXIT_FAILED : EXIT_DONE, message);
	default:
		program_exit(EXIT_FAILED, "failed");
	}
}

void vm_fail(struct vcpu *v, const char *format, ...)
{
	char message[VM_MESSAGE];
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof(message), format, list);
	va_end(list);
	console_flush(&console);
	log_error("%s", message);
	report_vcpu(v);
	program_exit(EXIT_FAILED, message);
}

[[gnu::format(printf, 1, 2)]] static _Noreturn void give_up(const char *format, ...)
{
	char message[VM_MESSAGE];
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof(message), format, list);
	va_end(list);
	program_exit(EXIT_FAILED, message);
}

/* struct power: called within an exit, which ends the VM when it is done. */

static void power_off_wanted(void *opaque)
{
	struct vm *vm = opaque;

	vm->end = VM_OFF;
}

static void reset_wanted(void *opaque)
{
	struct vm *vm = opaque;

	vm->end = VM_RESET;
}

static void exit_wanted(void *opaque, uint32_t code)
{
	struct vm *vm = opaque;

	vm->end = VM_EXIT;
	vm->end_code = code;
}

/* The serial line. */

static size_t serial_write(void *opaque, const uint8_t *bytes, size_t count)
{
	struct vm *vm = opaque;

	console_queue(&console, bytes, count);
	vm->written = true;
	return count;
}

static size_t serial_read(void *opaque, uint8_t *bytes, size_t count)
{
	(void)opaque;
	return console_try_read(&console, bytes, count);
}

/* A thread: when there is input, the UART shall fetch it. */
static void serve_input(void *opaque)
{
	struct vm *vm = opaque;

	for (;;) {
		(void)sm_down_all(console.sel + CONSOLE_INPUT, 0);
		vm_lock(vm);
		uart_poll(&vm->machine.com1);
		vm_unlock(vm);
	}
}

/* Time. */

/* A thread: sleeps until the next deadline. */
static void serve_timers(void *opaque)
{
	struct vm *vm = opaque;
	struct timer_queue *timers = &vm->machine.timers;

	for (;;) {
		vm_lock(vm);
		timer_queue_run(timers);

		uint64_t until = timer_queue_next(timers);

		vm->timer_sleeps = until;
		vm_unlock(vm);
		(void)sm_down_all(vm->timer_sm, until == TIMER_NEVER ? 0 : until);
	}
}

/* Start. */

static const char *init_machine(struct vm *vm)
{
	const struct info_area *ram = info_area(AREA_GUEST, NULL);
	const struct machine_config config = {
		.ram = (void *)LAYOUT_GUEST,
		.ram_bytes = program_info->vm.memory,
		.tsc_khz = program_info->tsc_khz,
		.vcpus = VM_VCPUS,
		.wall_clock = WALL_CLOCK,
		.power = {power_off_wanted, reset_wanted, exit_wanted, vm},
		.serial = {serial_write, serial_read, vm},
	};

	if (ram == NULL || program_info->vm.memory < GMEM_MIN)
		return "the manifest gives less than 64 MiB of memory";
	return machine_init(&vm->machine, &config);
}

/* The part of a run of RAM that lies in an area of ours. */
static enum status delegate_part(struct vm *vm, const struct gmem_run *run,
				 const struct info_area *area)
{
	uint64_t area_start = area->address - LAYOUT_GUEST;
	uint64_t start = run->offset > area_start ? run->offset : area_start;
	uint64_t run_end = run->offset + run->bytes;
	uint64_t area_end = area_start + area->size;
	uint64_t end = run_end < area_end ? run_end : area_end;

	if (start >= end)
		return SUCCESS;
	return delegate_range(SEL_PD, CRD_MEM, (LAYOUT_GUEST + start) / PAGE_SIZE,
			      (end - start) / PAGE_SIZE, MEM_R | MEM_W | MEM_X, ITEM_GUEST, vm->pd,
			      (run->gpa + (start - run->offset)) / PAGE_SIZE);
}

static enum status delegate_ram(struct vm *vm)
{
	struct gmem_run run;
	enum status status = SUCCESS;

	for (unsigned r = 0; gmem_run(&vm->machine.mem, r, &run); r++) {
		for (unsigned a = 0; a < program_info->area_count && status == SUCCESS; a++)
			if (program_info->areas[a].kind == AREA_GUEST)
				status = delegate_part(vm, &run, &program_info->areas[a]);
	}
	return status;
}

/* The guest's PD gets most of our kernel memory: its page tables need it. */
static const char *create_guest_pd(struct vm *vm)
{
	unsigned long limit, used;

	if (pd_quota(SEL_PD, &limit, &used) != SUCCESS) {
		limit = program_info->kernel_pages;
		used = 0;
	}
	if (limit < used + 2 * QUOTA_LEFT)
		return "the manifest's kernel-memory is too small";
	vm->pd = sel_alloc(0);
	if (vm->pd == 0 ||
	    create_pd(vm->pd, SEL_PD, 0, (uint32_t)(limit - used - QUOTA_LEFT)) != SUCCESS)
		return "the guest's PD cannot be created";
	return delegate_ram(vm) == SUCCESS ? NULL : "the guest's memory cannot be delegated";
}

static void load_guest(struct vm *vm)
{
	const struct info_area *kernel = info_area(AREA_MODULE, "kernel");
	const struct info_area *initrd = info_area(AREA_MODULE, "initrd");
	char wrong[VM_MESSAGE];

	if (kernel == NULL)
		give_up("the manifest names no kernel");

	const struct linux_image image = {
		.kernel = (const void *)kernel->address,
		.kernel_bytes = kernel->size,
		.initrd = initrd ? (const void *)initrd->address : NULL,
		.initrd_bytes = initrd ? initrd->size : 0,
		.command_line = program_info->vm.command_line,
		.rsdp = vm->machine.rsdp,
	};

	if (!linux_load(&vm->machine.mem, &image, &vm->entry, wrong, sizeof(wrong)))
		give_up("%s", wrong);
}

static void start_threads(struct vm *vm)
{
	unsigned priority = program_info->priority + THREAD_STEP;
	unsigned cpu = program_info->cpus[0];
	enum status status;

	vm->timer_sm = sel_alloc(0);
	vm->timer_sleeps = 0;
	status = create_sm(vm->timer_sm, SEL_PD, 0);
	if (status != SUCCESS)
		give_up("a semaphore cannot be created: %s", status_name(status));
	if (thread_create("timer", cpu, priority, 0, serve_timers, vm, &status) == NULL ||
	    thread_create("input", cpu, priority, 0, serve_input, vm, &status) == NULL)
		give_up("a thread cannot be created: %s", status_name(status));
}

void vm_start(struct vm *vm)
{
	const char *wrong;

	vm->vendor = program_info->features & HIP_VMX ? &vmx : &svm;
	if (!(program_info->features & (HIP_VMX | HIP_SVM)))
		give_up("this machine has neither VMX nor SVM");
	if (!console_open(&console, "console"))
		give_up("the manifest gives no console for the guest");
	if (lock_init(&vm->lock) != SUCCESS)
		give_up("the lock cannot be created");
	wrong = init_machine(vm);
	if (wrong == NULL)
		wrong = create_guest_pd(vm);
	if (wrong != NULL)
		give_up("%s", wrong);
	load_guest(vm);
	start_threads(vm);
	log_info("starts at TSC %llu", (unsigned long long)time_tsc());
	for (unsigned i = 0; i < VM_VCPUS; i++) {
		wrong = vcpu_start(&vm->vcpu[i], vm, i, program_info->cpus[0]);
		if (wrong != NULL)
			give_up("vCPU %u: the %s cannot be created", i, wrong);
	}
}
