/*
 * For assembly: what the ways into the kernel and out of it have in common.
 */
#pragma once

#include "offsets.h"

	.macro	function name
	.globl	\name
	.balign	32
\name:
	.endm

/* From or to an EC's regs: registers as they follow each other there, from `at` on. */
	.macro	store at, regs:vararg	/* RSP: the EC */
	.set	offset, \at
	.irp	reg, \regs
	mov	%\reg, offset(%rsp)
	.set	offset, offset + 8
	.endr
	.endm

	.macro	load at, regs:vararg	/* RAX: the EC */
	.set	offset, \at
	.irp	reg, \regs
	mov	offset(%rax), %\reg
	.set	offset, offset + 8
	.endr
	.endm

	.macro	load_gprs_but_rax
	load	EC_REGS, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8
	load	EC_REGS_RCX, rcx, rdx, rsi, rdi
	.endm

	.macro	load_gprs
	load_gprs_but_rax
	mov	EC_REGS_RAX(%rax), %rax
	.endm

	.macro	push_gprs
	.irp	reg, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
	push	%\reg
	.endr
	.endm

	.macro	pop_gprs
	.irp	reg, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
	pop	%\reg
	.endr
	.endm

/*
 * The five bytes and more that follow become a jump to `target` at boot, if the
 * mitigation is on; a call stays a call. They are whole instructions, and what
 * they do the target does.
 */
	.macro	patch mitigation, target
	.pushsection .patch, "a"
	.quad	771f, \target, \mitigation
	.popsection
771:
	.endm

/* Call a function of C's, and before it what the mitigation needs; it keeps RDI. */
	.macro	call_after mitigation, before, function
	patch	\mitigation, 772f
	call	\function
	.pushsection .text.mitigate, "ax"
772:	call	\before
	jmp	\function
	.popsection
	.endm

/* The end of the kernel: instructions of five bytes and more, none of which is passed. */
	.macro	finish first, last
	patch	MITIGATE_CLEAR, 772f
	\first
	\last
	.pushsection .text.mitigate, "ax"
772:	verw	mitigate_selector(%rip)
	\first
	\last
	.popsection
	.endm
