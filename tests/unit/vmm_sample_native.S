/*
 * Run one instruction on the processor: load all its registers, jump to it,
 * and store them when the code behind it comes back to native_return.
 */
#include "../saved.h"

	.text
	.globl	native_run, native_return
	.type	native_run, @function
native_run:
	push_saved
	mov	%rsp, saved_rsp(%rip)
	mov	native_rflags(%rip), %rax
	push	%rax
	popf
	mov	native_reg + 0(%rip), %rax
	mov	native_reg + 8(%rip), %rcx
	mov	native_reg + 16(%rip), %rdx
	mov	native_reg + 24(%rip), %rbx
	mov	native_reg + 32(%rip), %rsp
	mov	native_reg + 40(%rip), %rbp
	mov	native_reg + 48(%rip), %rsi
	mov	native_reg + 56(%rip), %rdi
	mov	native_reg + 64(%rip), %r8
	mov	native_reg + 72(%rip), %r9
	mov	native_reg + 80(%rip), %r10
	mov	native_reg + 88(%rip), %r11
	mov	native_reg + 96(%rip), %r12
	mov	native_reg + 104(%rip), %r13
	mov	native_reg + 112(%rip), %r14
	mov	native_reg + 120(%rip), %r15
	jmp	*native_code(%rip)

native_return:
	mov	%rax, native_reg + 0(%rip)
	mov	%rcx, native_reg + 8(%rip)
	mov	%rdx, native_reg + 16(%rip)
	mov	%rbx, native_reg + 24(%rip)
	mov	%rsp, native_reg + 32(%rip)
	mov	%rbp, native_reg + 40(%rip)
	mov	%rsi, native_reg + 48(%rip)
	mov	%rdi, native_reg + 56(%rip)
	mov	%r8, native_reg + 64(%rip)
	mov	%r9, native_reg + 72(%rip)
	mov	%r10, native_reg + 80(%rip)
	mov	%r11, native_reg + 88(%rip)
	mov	%r12, native_reg + 96(%rip)
	mov	%r13, native_reg + 104(%rip)
	mov	%r14, native_reg + 112(%rip)
	mov	%r15, native_reg + 120(%rip)
	mov	saved_rsp(%rip), %rsp
	pushf
	pop	%rax
	mov	%rax, native_rflags(%rip)
	cld
	pop_saved
	ret
	.size	native_run, . - native_run

	.bss
	.balign	8
	.globl	native_reg, native_rflags, native_code
native_reg:
	.skip	128
native_rflags:
	.skip	8
native_code:
	.skip	8
saved_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits
