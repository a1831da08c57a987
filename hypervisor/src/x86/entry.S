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
#include "entry.h"

#define RFLAGS_SYSRET 0x202
#define RFLAGS_KERNEL 0x2
#define CALL_MASK 15

/* Of RDI: the call's number, and all flags but that which tells up and down. */
#define SM_MASK 0xef
#define SM_FLAG_DOWN 0x10
#define SELECTOR_SHIFT 8

/* Vectors with an error code; those with stacks of their own. */
#define ERROR_CODES 0x60227d00
#define OWN_STACK (1 << 1 | 1 << 2 | 1 << 8 | 1 << 18)

#define MSR_SPEC_CTRL 0x48
#define MSR_GS_BASE 0xc0000101

	.text

/* RAX: the EC. Back from its hypercall, but for what C functions keep. */
	.macro	to_user
	load	EC_REGS_R10, r10, r9, r8
	load	EC_REGS_RDX, rdx, rsi, rdi
	mov	EC_REGS_RIP(%rax), %rcx
	mov	EC_REGS_RSP(%rax), %rsp
	mov	EC_REGS_RAX(%rax), %rax
	mov	$RFLAGS_SYSRET, %r11d
	finish	swapgs, sysretq
	.endm

/* Save what entry_syscall has not yet, and the way back; RSI is the EC for a function of C's. */
	.macro	to_c
	store	EC_REGS, r15, r14, r13, r12, rbp, rbx
	store	EC_REGS_R10, r10, r9, r8, rax
	store	EC_REGS_RDX, rdx, rsi
	movq	$resume_sysret, EC_RESUME(%rsp)
	mov	%rsp, %rsi
	mov	%gs:CPU_STACK, %rsp
	.endm

/* SYSCALL: RCX = RIP, R11 = RFLAGS (of no interest), the rest is the user's. */
	function entry_syscall
	swapgs
	mov	%rsp, %r11
	mov	%gs:CPU_CURRENT, %rsp
	mov	%r11, EC_REGS_RSP(%rsp)
	mov	%rcx, EC_REGS_RIP(%rsp)
	patch	MITIGATE_ENTRY, entry_syscall_restrict
	mov	%rdi, EC_REGS_RDI(%rsp)
entry_known:
	mov	%edi, %ecx
	and	$SM_MASK, %ecx
	cmp	$CALL_SM_CTRL, %ecx
	je	entry_sm
entry_full:
	to_c
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
	shr	$(SELECTOR_SHIFT + TABLE_BITS), %rcx
	cmp	$(TABLE_ENTRIES - 1), %rcx
	ja	entry_full
	mov	EC_PD(%rsp), %r11
	mov	PD_OBJ_LOW(%r11), %r11
	mov	(%r11, %rcx, 8), %r11
	test	%r11, %r11
	jz	sm_bad
	mov	%rdi, %rcx
	shr	$SELECTOR_SHIFT, %rcx
	and	$(TABLE_ENTRIES - 1), %ecx
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
1:	mov	EC_REGS_RIP(%rsp), %rcx
	mov	$RFLAGS_SYSRET, %r11d
	mov	EC_REGS_RSP(%rsp), %rsp
	finish	swapgs, sysretq

2:	test	$SM_RIGHT_DOWN, %r11b
	jz	sm_bad
	cmpl	$-1, SM_GSI(%rcx)
	jne	entry_full
	mov	$1, %r11d
	xchg	%r11d, SM_LOCK(%rcx)
	test	%r11d, %r11d
	jnz	entry_full
	subq	$1, SM_COUNT(%rcx)
	jc	3f			/* it was 0 */
	movl	$0, SM_LOCK(%rcx)
	xor	%edi, %edi
	jmp	1b

	/* Somebody sleeps, or is to sleep: C goes on, with the lock. */
3:	to_c
	mov	%rcx, %rdi
	call	sys_sm_locked
	jmp	return

sm_bad:	mov	$BAD_CAPABILITY, %edi
	jmp	1b

/* RAX: the EC that runs next, here. */
	function switch_to
	mov	%gs:CPU_TSS, %rcx
	lea	EC_REGS_END(%rax), %rdx
	mov	%rax, %gs:CPU_CURRENT
	mov	%rdx, TSS_RSP0(%rcx)
	jmp	*EC_RESUME(%rax)

/*
 * Another address space, or somebody else's FPU state. The usual switch has
 * nothing to do with the FPU, the PD has no ports or those that the CPU's
 * window shows already, and segment registers are empty, of which a program
 * may load some; C does all else. Keeps RAX (in RBX).
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
	mov	%ds, %edi
	.irp	segment, es, fs, gs
	mov	%\segment, %esi
	or	%esi, %edi
	.endr
	jnz	4f
	mov	PD_IO_BITMAP(%rcx), %rsi
	mov	$TSS_NO_BITMAP, %edi
	test	%rsi, %rsi
	jz	2f
	mov	$TSS_BITMAP, %edi
	cmp	%rsi, %gs:CPU_IO_BITMAP
	jne	4f
	cmpb	$0, %gs:CPU_TSS_SHORT
	jne	4f
2:	mov	%gs:CPU_TSS, %rsi
	mov	PD_CR3(%rcx), %rdx
	mov	%di, TSS_IO_BASE(%rsi)
	mov	%rcx, %gs:CPU_PD
	mov	%rdx, %cr3
	jmp	5f
4:	mov	%gs:CPU_STACK, %rsp
	mov	%rax, %rbx
	mov	%rax, %rdi
	call	thread_switch
	mov	%rbx, %rax
5:
	.endm

/* Back from a hypercall. */
	function resume_sysret
	check_thread
	load	EC_REGS, r15, r14, r13, r12, rbp, rbx
	to_user

/* Back from an exception or interrupt: all registers. */
	function resume_iret
	check_thread
	lea	EC_REGS(%rax), %rsp
	pop_gprs
	add	$16, %rsp		/* vector and error code */
	finish	swapgs, iretq

/* Something else first. An interrupt may come in between. */
	function resume_work
	mov	%gs:CPU_STACK, %rsp
	mov	%rax, %rdi
	call	work
	jmp	switch_to

	function resume_idle
	mov	%gs:CPU_STACK, %rsp
	call	idle_enter

/* One entry a vector, 16 bytes each; an error code is there or made. */
	function entries
	.set	vector, 0
	.rept	256
	.balign	16
	.if	vector > 31 || !(ERROR_CODES >> (vector & 31) & 1)
	push	$0
	.endif
	push	$vector
	.if	vector > 31
	jmp	interrupt_entry
	.elseif	OWN_STACK >> vector & 1
	jmp	exception_in_kernel
	.else
	jmp	exception_entry
	.endif
	.set	vector, vector + 1
	.endr

/* The stack is the EC's regs if it was in user mode, else the kernel's. */
	.macro	entry function
	.balign 16
\function\()_entry:
	testb	$3, REGS_CS - REGS_RIP + 16(%rsp)
	jz	\function\()_in_kernel
	swapgs
	push_gprs
\function\()_saved:
	push	$RFLAGS_KERNEL
	popf
	mov	%gs:CPU_CURRENT, %rdi
	mov	%gs:CPU_STACK, %rsp
	call_after MITIGATE_ENTRY, restrict_branches, \function
	jmp	switch_to
	.endm

	entry	exception
	entry	interrupt

/* In the idle loop, after which another EC runs; or long work lets it in, and goes on. DF is 0. */
interrupt_in_kernel:
	push_gprs
	movzbl	REGS_VECTOR(%rsp), %edi
	call	irq_handle
	mov	%gs:CPU_CURRENT, %rax
	cmp	%gs:CPU_IDLE, %rax
	jne	2f
	mov	%rax, %rdi
	call	preempt
	jmp	switch_to

/*
 * NMI, double fault, machine check, debug: on stacks of their own, at any
 * instruction, with whose GS base cannot be told from CS. It is the kernel's if
 * negative. An exception of the EC's is like any other, once C has moved its
 * registers to where they are then. And what the kernel runs into, where it was:
 * the instruction that leaves it, behind SWAPGS, may be the one that faults.
 */
exception_in_kernel:
	push_gprs
	cld
	mov	$MSR_GS_BASE, %ecx
	rdmsr
	mov	%edx, %ebx
	test	%edx, %edx
	js	3f
	swapgs
3:	mov	%rsp, %rdi
	call	exception_own_stack
	test	%al, %al
	jnz	exception_saved
	test	%ebx, %ebx
	js	2f
	swapgs
2:	pop_gprs
	add	$16, %rsp
	iretq

/* With mitigations (mitigate.h): RDI is kept; the stack is the kernel's, but at first the EC. */
	.macro	restrict
	mov	$MSR_SPEC_CTRL, %ecx
	mov	mitigate_spec_ctrl(%rip), %eax
	xor	%edx, %edx
	wrmsr
	.endm

entry_syscall_restrict:
	mov	%rdi, EC_REGS_RDI(%rsp)
	mov	%rax, EC_REGS_RAX(%rsp)
	mov	%rdx, EC_REGS_RDX(%rsp)
	restrict
	mov	EC_REGS_RAX(%rsp), %rax
	mov	EC_REGS_RDX(%rsp), %rdx
	jmp	entry_known

restrict_branches:
	restrict
	ret

	function after_guest
	testl	$MITIGATE_ENTRY, mitigate_on(%rip)
	jz	stuff_returns
	restrict

/* As many entries as any processor has, where nothing is speculated. */
	function stuff_returns
	.rept	32
	call	1f
	int3
1:
	.endr
	add	$32 * 8, %rsp
	lfence
	ret

	.section .note.GNU-stack, "", @progbits
