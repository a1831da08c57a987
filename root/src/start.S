/*
 * Root's entry point. The kernel gives RDI = number of the boot CPU and RSP =
 * the HIP's address; the stack is one of the runtime's kind, with struct
 * thread at its top.
 */
#include <lib/layout.h>

	.text
	.globl	_start
	.type	_start, @function
_start:
	mov	%rsp, %rsi
	lea	root_stack + STACK_SIZE - STACK_THREAD, %rsp
	xor	%ebp, %ebp
	call	root_main		/* (cpu, hip), does not return */
	ud2
	.size	_start, . - _start

	.data
	.balign	STACK_SIZE
root_stack:
	.skip	STACK_SIZE

	.section .note.GNU-stack, "", @progbits
