/*
 * Entry of all exit portals: RDI is the event, and RSP points at the struct
 * thread of the vCPU's handler, whose argument is the struct vcpu.
 */
#define CALL_REPLY	1
#define THREAD_ARGUMENT	16	/* offset in struct thread */

	.text
	.globl	vcpu_entry
	.type	vcpu_entry, @function
vcpu_entry:
	mov	THREAD_ARGUMENT(%rsp), %rsi
	call	vcpu_exit
	mov	$CALL_REPLY, %edi
	syscall			/* does not return */
	ud2
	.size	vcpu_entry, . - vcpu_entry

	.section .note.GNU-stack, "", @progbits
