/*
 * What the tests need to be said exactly.
 */
#define CALL_REPLY 1

	.text

/*
 * A handler without a stack: stores its registers in registers_seen, gives
 * them new values (0x100 + their number) and replies.
 */
	.globl	entry_registers
entry_registers:
	mov	%rax, registers_seen + 0 * 8
	mov	%rcx, registers_seen + 1 * 8
	mov	%rdx, registers_seen + 2 * 8
	mov	%rbx, registers_seen + 3 * 8
	mov	%rsp, registers_seen + 4 * 8
	mov	%rbp, registers_seen + 5 * 8
	mov	%rsi, registers_seen + 6 * 8
	mov	%rdi, registers_seen + 7 * 8
	mov	%r8, registers_seen + 8 * 8
	mov	%r9, registers_seen + 9 * 8
	mov	%r10, registers_seen + 10 * 8
	mov	%r11, registers_seen + 11 * 8
	mov	%r12, registers_seen + 12 * 8
	mov	%r13, registers_seen + 13 * 8
	mov	%r14, registers_seen + 14 * 8
	mov	%r15, registers_seen + 15 * 8
	mov	$0x100, %eax
	mov	$0x102, %edx
	mov	$0x103, %ebx
	mov	$0x104, %esp
	mov	$0x105, %ebp
	mov	$0x106, %esi
	mov	$0x108, %r8d
	mov	$0x109, %r9d
	mov	$0x10a, %r10d
	mov	$0x10c, %r12d
	mov	$0x10d, %r13d
	mov	$0x10e, %r14d
	mov	$0x10f, %r15d
	mov	$CALL_REPLY, %edi
	syscall
	ud2

/* For probe_call: one instruction each. */
	.globl	insn_de, insn_int3, insn_gp, insn_ss, insn_int0x20, insn_int2
	.globl	insn_cli, insn_rdmsr, insn_mov_cr3, insn_ltr, insn_iret_none
	.globl	insn_sysenter, insn_vmcall, insn_int0xff, insn_wrgsbase
	.globl	insn_swapgs, insn_sysret, insn_rdpmc, insn_invd
insn_de:
	divb	zero
	ret
insn_int3:
	int3
insn_int2:
	int	$2
insn_int0x20:
	int	$0x20
insn_int0xff:
	int	$0xff
insn_gp:
	hlt
insn_ss:
	mov	noncanonical, %rbp
	mov	(%rbp), %rax
insn_cli:
	cli
insn_rdmsr:
	rdmsr
insn_mov_cr3:
	mov	%rax, %cr3
insn_ltr:
	ltr	%ax
insn_sysenter:
	sysenter
insn_vmcall:
	vmcall
insn_wrgsbase:
	wrgsbase %rax
insn_swapgs:
	swapgs
insn_sysret:
	sysretq
insn_invd:
	invd

/* For probe_call, with the port fixed: delegate.c. */
	.globl	insn_in16
insn_in16:
	mov	$0x300, %edx
	in	%dx, %ax
	xor	%eax, %eax
	ret

	.data
	.balign	8
	.globl	registers_seen
registers_seen:
	.skip	16 * 8, 0xff
noncanonical:
	.quad	0x800000000000
zero:
	.quad	0

	.section .note.GNU-stack, "", @progbits
