/*
 * Into the kernel and out of it.
 *
 * All registers go straight into the current EC: on an exception or interrupt
 * the processor itself starts there, since TSS.RSP0 is the end of its `regs`.
 * Then the CPU's one stack is used, from its top. C code gets the EC and gives
 * back the EC to run next; switch_to makes it the current one, and its
 * `resume` label does the rest.
 *
 * GS base is the cpu struct's in the kernel, and always 0 in user mode, where
 * nothing can change it (CR4.FSGSBASE is off, descriptors have base 0). The
 * flags that a program can set are clear in the kernel: AC among them, which
 * would switch SMAP off. SFMASK does it for SYSCALL, POPF after a gate.
 */
#include "gprs.h"
#include "offsets.h"
#include "patch.h"

#define RFLAGS_SYSRET 0x202
#define RFLAGS_KERNEL 0x2
#define RFLAGS_TF 0x100
#define CALL_MASK 15

/* Of RDI: the call's number, and all flags but that which tells up and down. */
#define SM_MASK 0xef
#define SM_FLAG_DOWN 0x10
#define SELECTOR_SHIFT 8

	.text

/* RAX: the EC. Back from its hypercall, but for what C functions keep. */
	.macro	to_user
	mov	EC_R10(%rax), %r10
	mov	EC_R9(%rax), %r9
	mov	EC_R8(%rax), %r8
	mov	EC_RDX(%rax), %rdx
	mov	EC_RSI(%rax), %rsi
	mov	EC_RDI(%rax), %rdi
	mov	EC_RIP(%rax), %rcx
	mov	EC_RSP(%rax), %rsp
	mov	EC_RAX(%rax), %rax
	mov	$RFLAGS_SYSRET, %r11d
	patch	MITIGATE_CLEAR, sysret_clear
	swapgs
	sysretq
	.endm

/* What entry_syscall has not saved yet; and the way back. */
	.macro	save_others
	mov	%rsi, EC_RSI(%rsp)
	mov	%rdx, EC_RDX(%rsp)
	mov	%rax, EC_RAX(%rsp)
	movq	$resume_sysret, EC_RESUME(%rsp)
	mov	%r8, EC_R8(%rsp)
	mov	%r9, EC_R9(%rsp)
	mov	%r10, EC_R10(%rsp)
	mov	%rbx, EC_RBX(%rsp)
	mov	%rbp, EC_RBP(%rsp)
	mov	%r12, EC_R12(%rsp)
	mov	%r13, EC_R13(%rsp)
	mov	%r14, EC_R14(%rsp)
	mov	%r15, EC_R15(%rsp)
	.endm

/* SYSCALL: RCX = RIP, R11 = RFLAGS (of no interest), the rest is the user's. */
	.globl entry_syscall
	.balign 64
entry_syscall:
	patch	MITIGATE_ENTRY, entry_syscall_restrict
	swapgs
	mov	%rsp, %r11
	.globl	entry_syscall_on
entry_syscall_on:
	mov	%gs:CPU_CURRENT, %rsp
	mov	%r11, EC_RSP(%rsp)
	mov	%rcx, EC_RIP(%rsp)
	mov	%rdi, EC_RDI(%rsp)
	mov	%edi, %ecx
	and	$SM_MASK, %ecx
	cmp	$CALL_SM_CTRL, %ecx
	je	entry_sm
entry_full:
	save_others
	mov	%rsp, %rsi
	mov	%gs:CPU_STACK_TOP, %rsp
	mov	%edi, %eax
	and	$CALL_MASK, %eax
	call	*syscall_table(, %rax, 8)
return:
	test	%rax, %rax
	jnz	switch_to

	/* The same EC goes on: C has kept RBX, RBP and R12 to R15. */
	mov	%gs:CPU_CURRENT, %rax
	to_user

/*
 * Up and down, the most frequent of all calls. Where nobody sleeps or has to,
 * three registers are enough: RCX and R11, which the call destroys, and RDI,
 * which is saved. RSP is the EC. All else goes the long way, sys_sm_ctrl().
 */
	.balign 16
entry_sm:
	mov	%rdi, %rcx
	shr	$(SELECTOR_SHIFT + SPACE_ENTRIES_BITS), %rcx
	cmp	$(SPACE_ENTRIES - 1), %rcx
	ja	sm_bad
	mov	EC_PD(%rsp), %r11
	mov	PD_OBJ_ROOT(%r11), %r11
	mov	(%r11, %rcx, 8), %r11
	test	%r11, %r11
	jz	sm_bad
	mov	%rdi, %rcx
	shr	$SELECTOR_SHIFT, %rcx
	and	$(SPACE_ENTRIES - 1), %ecx
	mov	-1(%r11, %rcx, 8), %rcx	/* 1: SPACE_TABLE */
	test	%rcx, %rcx
	jz	sm_bad
	cmpb	$OBJECT_SM, MAPPING_OBJECT_TYPE(%rcx)
	jne	sm_bad
	mov	MAPPING_RIGHTS(%rcx), %r11b
	mov	MAPPING_OBJECT(%rcx), %rcx
	test	$SM_FLAG_DOWN, %edi
	jnz	2f

	test	$SM_RIGHT_UP, %r11b
	jz	sm_bad
	mov	$1, %r11d
	xchg	%r11d, SM_LOCK(%rcx)
	test	%r11d, %r11d
	jnz	entry_full
	lea	SM_WAITERS(%rcx), %r11
	cmp	%r11, SM_WAITERS(%rcx)
	jne	3f
	incq	SM_COUNT(%rcx)
	movl	$0, SM_LOCK(%rcx)
	xor	%edi, %edi
1:	mov	EC_RIP(%rsp), %rcx
	mov	$RFLAGS_SYSRET, %r11d
	mov	EC_RSP(%rsp), %rsp
	patch	MITIGATE_CLEAR, sysret_clear
	swapgs
	sysretq

2:	test	$SM_RIGHT_DOWN, %r11b
	jz	sm_bad
	cmpl	$-1, SM_GSI(%rcx)
	jne	entry_full
	mov	$1, %r11d
	xchg	%r11d, SM_LOCK(%rcx)
	test	%r11d, %r11d
	jnz	entry_full
	subq	$1, SM_COUNT(%rcx)
	jc	4f			/* it was 0 */
	movl	$0, SM_LOCK(%rcx)
	xor	%edi, %edi
	jmp	1b

	/* Somebody sleeps, or is to sleep: C goes on, with the lock. */
3:	save_others
	mov	%rsp, %rsi
	mov	%rcx, %rdi
	mov	%gs:CPU_STACK_TOP, %rsp
	call	sys_sm_wake
	jmp	return

4:	movq	$0, SM_COUNT(%rcx)
	save_others
	mov	%rsp, %rsi
	mov	%rcx, %rdi
	mov	%gs:CPU_STACK_TOP, %rsp
	call	sys_sm_sleep
	jmp	return

sm_bad:	mov	$BAD_CAPABILITY, %edi
	jmp	1b

/* RAX: the EC that runs next, here. */
	.globl switch_to
	.balign 16
switch_to:
	mov	%gs:CPU_TSS_ADDRESS, %rcx
	lea	EC_REGS_END(%rax), %rdx
	mov	%rax, %gs:CPU_CURRENT
	mov	%rdx, TSS_RSP0(%rcx)
	jmp	*EC_RESUME(%rax)

/*
 * Another address space, or somebody else's FPU state. The usual switch has
 * nothing to do with the FPU, and the PD has no ports or those that the CPU's
 * window shows already; C does all else. Keeps RAX (in RBX).
 */
	.macro	check_thread
	mov	EC_PD(%rax), %rcx
	cmp	%rcx, %gs:CPU_PD
	jne	1f
	cmpb	$0, %gs:CPU_FPU_LIVE
	je	5f
	jmp	4f
1:	patch	MITIGATE_SWITCH, 4f
	cmpq	$0, %gs:CPU_FPU_OWNER
	jne	4f
	mov	PD_IO_BITMAP(%rcx), %rsi
	mov	$TSS_IO_NONE, %edi
	test	%rsi, %rsi
	jz	2f
	mov	$TSS_IO_BASE, %edi
	cmp	%rsi, %gs:CPU_IO_BITMAP
	jne	4f
	cmpb	$0, %gs:CPU_TSS_SHORT
	jne	4f
2:	mov	%gs:CPU_TSS_ADDRESS, %rsi
	mov	PD_CR3(%rcx), %rdx
	mov	%di, TSS_IO(%rsi)
	mov	%rcx, %gs:CPU_PD
	mov	%rdx, %cr3
	jmp	5f
4:	mov	%gs:CPU_STACK_TOP, %rsp
	mov	%rax, %rbx
	mov	%rax, %rdi
	call	thread_switch
	mov	%rbx, %rax
5:
	.endm

/* Back from a hypercall. */
	.globl resume_sysret
	.balign 16
resume_sysret:
	check_thread
	mov	EC_R15(%rax), %r15
	mov	EC_R14(%rax), %r14
	mov	EC_R13(%rax), %r13
	mov	EC_R12(%rax), %r12
	mov	EC_RBP(%rax), %rbp
	mov	EC_RBX(%rax), %rbx
	to_user

/* Back from an exception or interrupt: all registers. */
	.globl resume_iret
	.balign 16
resume_iret:
	check_thread
	lea	EC_REGS(%rax), %rsp
	pop_gprs
	add	$16, %rsp		/* vector and error code */
	patch	MITIGATE_CLEAR, iret_clear
	swapgs
	iretq

/* Something else first. An interrupt may come in between. */
	.globl resume_work
resume_work:
	mov	%gs:CPU_STACK_TOP, %rsp
	sti
	nop
	cli
	mov	%gs:CPU_CURRENT, %rdi
	call	work
	jmp	switch_to

	.globl resume_idle
resume_idle:
	mov	%gs:CPU_STACK_TOP, %rsp
	call	idle_enter
1:	sti
	hlt
	jmp	1b

/* One entry a vector, 16 bytes each; an error code is there or made. */
	.altmacro
	.macro	entry vector
	.balign	16
	.if (\vector == 1)
	jmp	entry_debug
	.endif
	.if (\vector != 8 && \vector != 10 && \vector != 11 && \vector != 12 && \vector != 13 && \vector != 14 && \vector != 17 && \vector != 21 && \vector != 29 && \vector != 30)
	push	$0
	.endif
	.if (\vector == 2 || \vector == 8 || \vector == 18)
	push	$\vector
	jmp	common_ist
	.elseif (\vector < 32)
	push	$\vector
	jmp	common_exception
	.else
	push	$\vector
	jmp	common_interrupt
	.endif
	.endm

	.balign	16
entries:
	.set	vector, 0
	.rept	256
	entry	%vector
	.set	vector, vector + 1
	.endr

	.section .rodata
	.balign	8
	.globl	entry_vector
entry_vector:
	.set	vector, 0
	.rept	256
	.quad	entries + 16 * vector
	.set	vector, vector + 1
	.endr
	.text

/*
 * A single step that began with SYSCALL may end in the kernel, whose stack is
 * still the user's: so this has a stack of its own, that of the double fault.
 * There is nothing to be reported then. From user mode it is an exception as
 * any, whose frame is brought to where the others are.
 */
	.balign 16
entry_debug:
	testb	$3, 8(%rsp)
	jnz	1f
	andl	$~RFLAGS_TF, 16(%rsp)
	iretq
1:	swapgs
	push	%rax
	push	%rbx
	mov	%gs:CPU_CURRENT, %rax
	.set	word, 0
	.rept	5
	mov	16 + word(%rsp), %rbx
	mov	%rbx, EC_RIP + word(%rax)
	.set	word, word + 8
	.endr
	add	$EC_RIP, %rax
	pop	%rbx
	xchg	%rax, (%rsp)
	pop	%rsp
	swapgs
	push	$0
	push	$1

/* The stack is the EC's regs if it was in user mode, else the kernel's. */
	.balign 16
common_exception:
	testb	$3, REGS_CS - REGS_RIP + 16(%rsp)
	jz	kernel_exception
	swapgs
	push_gprs
	push	$RFLAGS_KERNEL
	popf
	mov	%gs:CPU_CURRENT, %rdi
	mov	%gs:CPU_STACK_TOP, %rsp
	patch	MITIGATE_ENTRY, exception_restrict
	call	exception
	jmp	switch_to

kernel_exception:
	push_gprs
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	exception_kernel
	mov	%rbp, %rsp
	pop_gprs
	add	$16, %rsp
	iretq

	.balign 16
common_interrupt:
	testb	$3, REGS_CS - REGS_RIP + 16(%rsp)
	jz	kernel_interrupt
	swapgs
	push_gprs
	push	$RFLAGS_KERNEL
	popf
	mov	%gs:CPU_CURRENT, %rdi
	mov	%gs:CPU_STACK_TOP, %rsp
	patch	MITIGATE_ENTRY, interrupt_restrict
	call	interrupt
	jmp	switch_to

/*
 * In the idle loop, after which the idle EC's stack is of no use; or in a
 * moment when long work lets interrupts in, and goes on.
 */
kernel_interrupt:
	push_gprs
	cld
	mov	%rsp, %rbp
	and	$-16, %rsp
	movzbl	15 * 8(%rbp), %edi
	call	irq_handle
	mov	%gs:CPU_CURRENT, %rax
	cmp	%gs:CPU_IDLE, %rax
	jne	1f
	mov	%gs:CPU_STACK_TOP, %rsp
	call	idle_leave
	jmp	switch_to
1:	mov	%rbp, %rsp
	pop_gprs
	add	$16, %rsp
	iretq

/*
 * NMI, double fault, machine check: on stacks of their own, at any instruction,
 * with whose GS base cannot be told from CS. It is the kernel's if negative.
 */
	.balign 16
common_ist:
	push_gprs
	cld
	mov	$0xc0000101, %ecx	/* GS_BASE */
	rdmsr
	xor	%ebx, %ebx
	test	%edx, %edx
	js	1f
	swapgs
	inc	%ebx
1:	mov	%rsp, %rdi
	call	exception_ist
	test	%ebx, %ebx
	jz	2f
	swapgs
2:	pop_gprs
	add	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
