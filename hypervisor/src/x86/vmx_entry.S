/*
 * Into a guest and out of it on VMX.
 *
 * Nothing is touched here that did not change: six comparisons stand for all
 * that may have. General registers are loaded from the EC, and pushed there at
 * the exit, for which HOST_RSP points behind them (cpu.h). RSP, RIP and RFLAGS
 * are in the VMCS.
 */
#include "entry.h"

	.text

/* RAX: the EC, which is the current one; RSP: the kernel's stack. */
	function vmx_resume
	mov	EC_VCPU(%rax), %rdx
	mov	EC_PD(%rax), %rcx
	cmp	%rax, %gs:CPU_VCPU_LOADED
	jne	1f
	cmp	%rax, %gs:CPU_FPU_OWNER
	jne	1f
	mov	PD_GUEST_GENERATION(%rcx), %rcx
	cmp	VCPU_GENERATION(%rdx), %rcx
	jne	1f
	mov	%cr3, %rcx
	cmp	VMX_HOST_CR3(%rdx), %rcx
	jne	1f
	mov	%cr2, %rcx
	cmp	VMX_CR2(%rdx), %rcx
	jne	1f
2:	load_gprs
	finish	vmresume, "jmp vmx_failed"

1:	mov	%rax, %rbx
	mov	%rax, %rdi
	call	vmx_prepare
	test	%al, %al
	mov	%rbx, %rax
	je	2b
	load_gprs
	vmlaunch

/* VMfail: the guest's registers are loaded and did not change. */
vmx_failed:
	mov	%gs:CPU_CURRENT, %rdi
	mov	$REASON_INVALID_STATE, %esi
	call	vmx_entry_failed
	jmp	switch_to

/* HOST_RIP; HOST_RSP is the end of the general registers in the EC. */
	function vmx_exit_entry
	push_gprs
	lea	-EC_REGS(%rsp), %rdi
	mov	EC_VCPU(%rdi), %rdx
	mov	%cr2, %rcx
	mov	%rcx, VMX_CR2(%rdx)
	lgdt	VMX_HOST_GDTR(%rdx)
	mov	%gs:CPU_STACK, %rsp
	movw	$0x100, %gs:CPU_FPU_LIVE	/* not live; TSS short */
	call_after MITIGATE_EXIT, after_guest, vmx_exit
	jmp	switch_to

	.section .note.GNU-stack, "", @progbits
