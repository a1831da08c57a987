/* RDI: the boot CPU. RSP: the HIP. */
	.text
	.globl	_start
_start:
	mov	%rsp, %rsi
	lea	stack_end(%rip), %rsp
	xor	%ebp, %ebp
	call	latency_main
	ud2

	.globl	entry_handler
entry_handler:
	call	latency_handler
	mov	$1, %edi	/* CALL_REPLY */
	syscall

	.bss
	.balign	16
stack:
	.skip	8192
stack_end:

	.section .note.GNU-stack, "", @progbits
