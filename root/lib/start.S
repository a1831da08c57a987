/*
 * A program's entry point. Root sets RIP to it and RSP to where struct thread
 * lies at the top of the main thread's stack.
 */
	.text
	.globl	_start
	.type	_start, @function
_start:
	xor	%ebp, %ebp
	call	runtime_start		/* does not return */
	ud2
	.size	_start, . - _start

	.section .note.GNU-stack, "", @progbits
