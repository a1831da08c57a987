/*
 * Where attackers begin. RSP points at the struct attacker, aligned to 16.
 */
#define CALL_REPLY 1

	.text
	.globl	entry_attack, entry_handle
entry_attack:
	mov	%rsp, %rdi
	cld
	call	attack
	ud2

/* A portal's handler; it replies when it has done what it wanted. */
entry_handle:
	mov	%rsp, %rdi
	cld
	call	attack_handle
	mov	$CALL_REPLY, %edi
	syscall
	ud2

	.section .note.GNU-stack, "", @progbits
