/*
 * A guest for tests: the header of a bzImage (boot protocol 2.12), its 64-bit
 * entry, and an interrupt table that leads to trap() in C.
 */
	.section .setup, "a"
	.org	0x1f1
	.byte	1			/* setup sectors, less the first */
	.org	0x1fe
	.word	0xaa55
	.byte	0xeb, 0x62		/* the header ends at 0x264 */
	.ascii	"HdrS"
	.word	0x20c
	.org	0x211
	.byte	1			/* loaded high */
	.org	0x22c
	.long	0x7fffffff
	.org	0x236
	.word	1			/* has a 64-bit entry */
	.long	255			/* of the command line */
	.org	0x258
	.quad	0x1000000
	.long	0x200000		/* memory it wants */

	.section .entry, "ax"
	.org	0x200
	.globl	_start
_start:
	lea	stack_end(%rip), %rsp
	call	guest_main
	ud2

/* Each pushes an error code if the processor does not, and its vector. */
	.globl	stubs
	.balign	16
stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	.if	vector == 8 || vector == 17 || (vector >= 10 && vector <= 14)
	.else
	push	$0
	.endif
	push	$vector
	jmp	common
	.set	vector, vector + 1
	.endr

common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	cld
	call	trap
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	.bss
	.balign	16
	.skip	16384
stack_end:

	.section .note.GNU-stack, "", @progbits
