/* RDI: the boot CPU. RSP: the HIP. */
	.text
	.globl	_start
_start:
	mov	%rsp, %rsi
	lea	stack_end(%rip), %rsp
	xor	%ebp, %ebp
	call	latency_main
	ud2

	.bss
	.balign	16
stack:
	.skip	8192
stack_end:

	.section .note.GNU-stack, "", @progbits
