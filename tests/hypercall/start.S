/*
 * Entry points and what cannot be said in C.
 *
 * A handler's or thread's first stack pointer is the address of its struct
 * frame (test.h).
 */
#include "../saved.h"

#define CALL_REPLY	1
#define FRAME_ID	8
#define FRAME_REPLY	16

	.text

/* RDI: the boot CPU. RSP: the HIP. */
	.globl	_start
_start:
	mov	%rax, start_registers(%rip)
	mov	%rcx, 1 * 8 + start_registers(%rip)
	mov	%rdx, 2 * 8 + start_registers(%rip)
	mov	%rbx, 3 * 8 + start_registers(%rip)
	mov	%rsp, 4 * 8 + start_registers(%rip)
	mov	%rbp, 5 * 8 + start_registers(%rip)
	mov	%rsi, 6 * 8 + start_registers(%rip)
	mov	%rdi, 7 * 8 + start_registers(%rip)
	mov	%r8, 8 * 8 + start_registers(%rip)
	mov	%r9, 9 * 8 + start_registers(%rip)
	mov	%r10, 10 * 8 + start_registers(%rip)
	mov	%r11, 11 * 8 + start_registers(%rip)
	mov	%r12, 12 * 8 + start_registers(%rip)
	mov	%r13, 13 * 8 + start_registers(%rip)
	mov	%r14, 14 * 8 + start_registers(%rip)
	mov	%r15, 15 * 8 + start_registers(%rip)
	mov	%rsp, %rsi
	lea	main_stack_end(%rip), %rsp
	pushfq
	popq	start_rflags(%rip)
	xor	%ebp, %ebp
	call	test_main
	ud2

	.globl	entry_portal
entry_portal:
	mov	%rdi, FRAME_ID(%rsp)
	mov	%rsp, %rdi
	call	handler_main
	mov	FRAME_REPLY(%rsp), %rdi
	shl	$8, %rdi
	or	$CALL_REPLY, %rdi
	syscall
	ud2

/* A thread: it ends by an exception that has no portal. */
	.globl	entry_thread, thread_end
entry_thread:
	mov	%rsp, %rdi
	call	thread_main
thread_end:
	int3

/* void test_enter(void (*run)(void)): returns after test_abandon, too. */
	.globl	test_enter, test_abandon
test_enter:
	push_saved
	sub	$8, %rsp
	mov	%rsp, test_sp(%rip)
	call	*%rdi
test_abandon:
	mov	test_sp(%rip), %rsp
	cld
	add	$8, %rsp
	pop_saved
	ret

/*
 * Probes use no stack. The exception handler sets RAX and continues at
 * probe_return if RIP is in here, or is RDI.
 */
	.globl	probe_begin, probe_end, probe_return
	.globl	probe_read, probe_write, probe_in, probe_out, probe_execute
	.globl	probe_ud, probe_call, probe_segments
probe_begin:
probe_read:
	mov	(%rdi), %rax
	mov	%rax, (%rsi)
	xor	%eax, %eax
	ret
probe_write:
	mov	%rsi, (%rdi)
	xor	%eax, %eax
	ret
probe_in:
	mov	%edi, %edx
	xor	%eax, %eax
	in	%dx, %al
	mov	%rax, (%rsi)
	xor	%eax, %eax
	ret
probe_out:
	mov	%edi, %edx
	mov	%esi, %eax
	out	%al, %dx
	xor	%eax, %eax
	ret
probe_execute:
	jmp	*%rdi
probe_ud:
	ud2
	xor	%eax, %eax
	ret
probe_call:
	jmp	*%rdi
probe_segments:
	mov	%edi, %ds
	mov	%edi, %es
	mov	%edi, %fs
	mov	%edi, %gs
	xor	%eax, %eax
	ret
probe_return:
	ret
probe_end:

/* void syscall_registers(struct registers *r) */
	.globl	syscall_registers
syscall_registers:
	push_saved
	push	%rdi
	mov	%rdi, %rax
	pushq	15 * 8(%rax)
	popfq
	mov	1 * 8(%rax), %rcx
	mov	2 * 8(%rax), %rdx
	mov	3 * 8(%rax), %rbx
	mov	4 * 8(%rax), %rbp
	mov	5 * 8(%rax), %rsi
	mov	6 * 8(%rax), %rdi
	mov	7 * 8(%rax), %r8
	mov	8 * 8(%rax), %r9
	mov	9 * 8(%rax), %r10
	mov	10 * 8(%rax), %r11
	mov	11 * 8(%rax), %r12
	mov	12 * 8(%rax), %r13
	mov	13 * 8(%rax), %r14
	mov	14 * 8(%rax), %r15
	mov	(%rax), %rax
	syscall
	pushfq
	push	%rax
	mov	16(%rsp), %rax
	mov	%rcx, 1 * 8(%rax)
	mov	%rdx, 2 * 8(%rax)
	mov	%rbx, 3 * 8(%rax)
	mov	%rbp, 4 * 8(%rax)
	mov	%rsi, 5 * 8(%rax)
	mov	%rdi, 6 * 8(%rax)
	mov	%r8, 7 * 8(%rax)
	mov	%r9, 8 * 8(%rax)
	mov	%r10, 9 * 8(%rax)
	mov	%r11, 10 * 8(%rax)
	mov	%r12, 11 * 8(%rax)
	mov	%r13, 12 * 8(%rax)
	mov	%r14, 13 * 8(%rax)
	mov	%r15, 14 * 8(%rax)
	popq	(%rax)
	popq	15 * 8(%rax)
	pushq	$0x202
	popfq
	cld
	pop	%rdi
	pop_saved
	ret

	.data
	.balign	8
test_sp:
	.quad	0
	.globl	start_registers, start_rflags
start_registers:
	.skip	16 * 8
start_rflags:
	.quad	0
	.globl	main_stack, main_stack_end
	.balign	16
main_stack:
	.skip	16384
main_stack_end:

	.section .note.GNU-stack, "", @progbits
