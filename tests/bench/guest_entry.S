/*
 * The measuring guest's interrupt handlers, of the fewest instructions, and
 * the mark of its trace.
 */
#define MSR_EOI	0x80b

	.text

/* Bochs stops at the XCHG, QEMU's trace has the address in it. */
	.globl	trace_mark
	.balign	16
trace_mark:
	xchg	%bx, %bx
	ret

/* Says when it came, and that it is over. In a page with guest.c's measurement. */
	.section .text.interrupt, "ax", @progbits
	.globl	take_interrupt, interrupted_at, interrupts
	.balign	16
take_interrupt:
	push	%rax
	push	%rcx
	push	%rdx
	lfence
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, interrupted_at(%rip)
	incq	interrupts(%rip)
	mov	$MSR_EOI, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	pop	%rdx
	pop	%rcx
	pop	%rax
	iretq

	.text
/* #UD of an instruction of three bytes. */
	.globl	skip_ud
	.balign	16
skip_ud:
	addq	$3, (%rsp)
	iretq

	.data
	.balign	8
interrupted_at:
	.quad	0
interrupts:
	.quad	0

	.section .note.GNU-stack, "", @progbits
