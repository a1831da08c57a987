/*
 * For assembly: general registers to and from an EC, in the order of struct
 * regs.
 */
#pragma once

#include "offsets.h"

	.macro	push_gprs
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%rax
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.macro	pop_gprs
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	.endm

/* RAX: the EC. */
	.macro	load_gprs_but_rax
	mov	EC_R15(%rax), %r15
	mov	EC_R14(%rax), %r14
	mov	EC_R13(%rax), %r13
	mov	EC_R12(%rax), %r12
	mov	EC_RBP(%rax), %rbp
	mov	EC_RBX(%rax), %rbx
	mov	EC_R11(%rax), %r11
	mov	EC_R10(%rax), %r10
	mov	EC_R9(%rax), %r9
	mov	EC_R8(%rax), %r8
	mov	EC_RCX(%rax), %rcx
	mov	EC_RDX(%rax), %rdx
	mov	EC_RSI(%rax), %rsi
	mov	EC_RDI(%rax), %rdi
	.endm

	.macro	load_gprs
	load_gprs_but_rax
	mov	EC_RAX(%rax), %rax
	.endm
