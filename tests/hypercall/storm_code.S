/*
 * What storm.c has the processor do. Each function comes back by itself, or its
 * exception's handler sets RIP to storm_back, which knows the stack.
 */
#include "../saved.h"

	.text

	.macro	enter
	push_saved
	mov	%rsp, storm_sp
	.endm

/* void storm_iret(frame *f): IRETQ with RIP, CS, RFLAGS, RSP, SS from there */
	.globl	storm_iret, storm_back, storm_call_stepped, storm_stepped
	.globl	storm_run
storm_iret:
	enter
	mov	%rdi, %rsp
	iretq

/* void storm_run(code): jump there */
storm_run:
	enter
	jmp	*%rdi

/*
 * u64 storm_call_stepped(rdi, rsi, rdx, rax): a hypercall with the trap flag
 * set before it; RFLAGS after it.
 */
storm_call_stepped:
	enter
	mov	%rcx, %rax
	pushfq
	orl	$0x100, (%rsp)
	popfq
storm_stepped:
	syscall
	pushfq
	pop	%rax
	nop
	jmp	1f

storm_back:
	xor	%eax, %eax
1:	mov	storm_sp, %rsp
	pushq	$0x202
	popfq
	pop_saved
	ret

	.data
	.balign	8
storm_sp:
	.quad	0

	.section .note.GNU-stack, "", @progbits
