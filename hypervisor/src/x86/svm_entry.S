/*
 * Into a guest and out of it on SVM.
 *
 * VMRUN goes on behind itself at the exit, with RSP as it was: at the end of
 * the general registers in the EC, so that they are pushed there. RAX and RSP
 * are in the VMCB. GIF is clear as long as anything but the kernel's own state
 * is loaded; IF is set in the guest's time, or no interrupt would end it.
 */
#include "entry.h"

	.text

/* RAX: the EC, which is the current one; RSP: the kernel's stack. */
	function svm_resume
	mov	EC_VCPU(%rax), %rdx
	mov	EC_PD(%rax), %rcx
	cmp	%rax, %gs:CPU_VCPU_LOADED
	jne	2f
	cmp	%rax, %gs:CPU_FPU_OWNER
	jne	2f
	cmpb	$0, %gs:CPU_FPU_LIVE
	jne	2f
	mov	PD_GUEST_GENERATION(%rcx), %rcx
	cmp	VCPU_GENERATION(%rdx), %rcx
	jne	2f
1:	lea	EC_REGS_VECTOR(%rax), %rsp
	load_gprs_but_rax
	mov	EC_VCPU(%rax), %rax
	mov	VCPU_BLOCK_PHYS(%rax), %rax
	clgi
	sti
	vmload	%rax
	.globl	svm_vmrun
svm_vmrun:
	vmrun	%rax			/* an entry that fails may save this as the guest's RIP */
	vmsave	%rax
	push_gprs			/* RAX: the guest's is in the VMCB */
	lea	-EC_REGS(%rsp), %rdi
	mov	EC_VCPU(%rdi), %rdx
	mov	SVM_HOST_PHYS(%rdx), %rax
	vmload	%rax
	mov	%gs:CPU_STACK, %rsp
	cli
	stgi
	call_after MITIGATE_EXIT, after_guest, svm_exit
	jmp	switch_to

2:	mov	%rax, %rbx
	mov	%rax, %rdi
	call	svm_prepare
	mov	%rbx, %rax
	jmp	1b

	.section .note.GNU-stack, "", @progbits
