/*
 * Entry of handlers and threads. RSP points at the struct thread at the top of
 * the stack (thread.h), which is aligned to 16 bytes.
 */
#include <lib/layout.h>

#define CALL_REPLY		1

/* Offsets in struct thread. */
#define THREAD_UTCB		0
#define THREAD_ENTRY		8
#define THREAD_ARGUMENT		16

	.text

/* RDI: a struct portal, whose first word is the function to call. */
	.globl	portal_entry
	.type	portal_entry, @function
portal_entry:
	mov	THREAD_UTCB(%rsp), %rsi
	call	*(%rdi)
	mov	%rax, %rdi		/* SM for the caller to sleep on, or 0 */
	shl	$8, %rdi
	or	$CALL_REPLY, %rdi
	syscall				/* does not return */
	ud2
	.size	portal_entry, . - portal_entry

	.globl	thread_entry
	.type	thread_entry, @function
thread_entry:
	xor	%ebp, %ebp		/* the end of the chain of frames */
	mov	THREAD_ARGUMENT(%rsp), %rdi
	call	*THREAD_ENTRY(%rsp)
	call	thread_stop
	ud2
	.size	thread_entry, . - thread_entry

	.section .note.GNU-stack, "", @progbits
