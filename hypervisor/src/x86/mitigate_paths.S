/*
 * Other beginnings and ends of the kernel's paths: see mitigate.h.
 */
#include "offsets.h"

#define MSR_SPEC_CTRL 0x48

/* Destroys RAX, RCX, RDX. Predictions are the kernel's own from here on. */
	.macro	restrict_branches
	mov	$MSR_SPEC_CTRL, %ecx
	mov	mitigate_spec_ctrl(%rip), %eax
	xor	%edx, %edx
	wrmsr
	.endm

	.text

	.globl	entry_syscall_restrict
entry_syscall_restrict:
	swapgs
	mov	%rcx, %r11
	mov	%rax, %gs:CPU_SCRATCH
	mov	%rdx, %gs:CPU_SCRATCH + 8
	restrict_branches
	mov	%gs:CPU_SCRATCH, %rax
	mov	%gs:CPU_SCRATCH + 8, %rdx
	mov	%r11, %rcx
	mov	%rsp, %r11
	jmp	entry_syscall_on

/* Instead of the C functions: RDI is the EC, the others are free. */
	.globl	exception_restrict, interrupt_restrict
exception_restrict:
	restrict_branches
	jmp	exception
interrupt_restrict:
	restrict_branches
	jmp	interrupt

	.globl	vmx_exit_restrict, svm_exit_restrict
vmx_exit_restrict:
	call	after_guest
	jmp	vmx_exit
svm_exit_restrict:
	call	after_guest
	jmp	svm_exit

after_guest:
	testl	$MITIGATE_ENTRY, mitigate_on(%rip)
	jz	stuff_returns
	restrict_branches

/* As many as any processor has. */
	.globl	stuff_returns
stuff_returns:
	mov	$16, %ecx
1:	call	3f
2:	pause
	lfence
	jmp	2b
3:	call	5f
4:	pause
	lfence
	jmp	4b
5:	dec	%ecx
	jnz	1b
	add	$32 * 8, %rsp
	lfence
	ret

/* VERW, with microcode that knows of it, empties buffers of the core. */
	.globl	sysret_clear, iret_clear, vmresume_clear
sysret_clear:
	verw	mitigate_selector(%rip)
	swapgs
	sysretq
iret_clear:
	verw	mitigate_selector(%rip)
	swapgs
	iretq
vmresume_clear:
	verw	mitigate_selector(%rip)
	vmresume
	jmp	vmx_resume_failed

	.section .note.GNU-stack, "", @progbits
