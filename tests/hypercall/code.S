/*
 * What the tests need to be said exactly.
 */
#include "../saved.h"

#define CALL_REPLY 1

	.text

/* Into registers_seen: all but RSP. */
	.macro	note_registers
	mov	%rax, registers_seen + 0 * 8
	mov	%rcx, registers_seen + 1 * 8
	mov	%rdx, registers_seen + 2 * 8
	mov	%rbx, registers_seen + 3 * 8
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
	.endm

/*
 * A handler without a stack: stores its registers in registers_seen, gives
 * them new values (0x100 + their number) and replies.
 */
	.globl	entry_registers
entry_registers:
	note_registers
	mov	%rsp, registers_seen + 4 * 8
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
	mov	noncanonical, %rax
	mov	(%rsp, %rax), %rax
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

/*
 * void insn_state(void): gives all registers values (0x100 + number; CF), an
 * exception, and stores what they are then.
 */
	.globl	insn_state, insn_state_ud
insn_state:
	push_saved
	mov	%rsp, state_sp
	mov	$0x100, %eax
	mov	$0x101, %ecx
	mov	$0x102, %edx
	mov	$0x103, %ebx
	mov	$0x104, %esp
	mov	$0x105, %ebp
	mov	$0x106, %esi
	mov	$0x107, %edi
	mov	$0x108, %r8d
	mov	$0x109, %r9d
	mov	$0x10a, %r10d
	mov	$0x10b, %r11d
	mov	$0x10c, %r12d
	mov	$0x10d, %r13d
	mov	$0x10e, %r14d
	mov	$0x10f, %r15d
	stc
insn_state_ud:
	ud2
	mov	%rsp, registers_seen + 4 * 8
	mov	state_sp, %rsp
	pushfq
	popq	rflags_seen
	pushq	$0x202
	popfq
	note_registers
	pop_saved
	ret

/* With the trap flag set: a step for each instruction until it is cleared. */
	.globl	insn_steps, insn_steps_end
insn_steps:
	pushfq
	orl	$0x100, (%rsp)
	popfq
	nop
	nop
	nop
	nop
	nop
	nop
insn_steps_end:
	ret

/* x87: divide by zero, not masked. */
	.globl	insn_mf, insn_fninit
insn_mf:
	fninit
	fldcw	fpu_unmasked
	fld1
	fldz
	fdivrp
	fwait
	ret
insn_fninit:
	fninit
	xor	%eax, %eax
	ret

/* void fpu_fill(u64 pattern): all of XMM, the x87 stack's top, MXCSR */
	.globl	fpu_fill, fpu_compare, fpu_fill_ymm, fpu_compare_ymm
	.globl	fpu_set_mxcsr, fpu_get_mxcsr
	.macro	fill n
	lea	\n(%rdi), %rax
	movq	%rax, %xmm\n
	punpcklqdq %xmm\n, %xmm\n
	.endm
	.macro	compare n
	lea	\n(%rdi), %rcx
	movq	%xmm\n, %rdx
	cmp	%rcx, %rdx
	setne	%dl
	movzbl	%dl, %edx
	add	%rdx, %rax
	.endm
fpu_fill:
	fill	0
	fill	1
	fill	2
	fill	3
	fill	4
	fill	5
	fill	6
	fill	7
	fill	8
	fill	9
	fill	10
	fill	11
	fill	12
	fill	13
	fill	14
	fill	15
	fninit
	push	%rdi
	fildll	(%rsp)
	pop	%rdi
	ret
/* u64 fpu_compare(u64 pattern): how many differ */
fpu_compare:
	xor	%eax, %eax
	compare	0
	compare	1
	compare	2
	compare	3
	compare	4
	compare	5
	compare	6
	compare	7
	compare	8
	compare	9
	compare	10
	compare	11
	compare	12
	compare	13
	compare	14
	compare	15
	sub	$8, %rsp
	fistpll	(%rsp)
	pop	%rdx
	cmp	%rdi, %rdx
	setne	%dl
	movzbl	%dl, %edx
	add	%rdx, %rax
	push	%rdi
	fildll	(%rsp)
	pop	%rdi
	ret
/* The upper half of YMM7. */
fpu_fill_ymm:
	movq	%rdi, %xmm7
	vinsertf128 $1, %xmm7, %ymm7, %ymm7
	ret
fpu_compare_ymm:
	vextractf128 $1, %ymm7, %xmm6
	movq	%xmm6, %rax
	cmp	%rdi, %rax
	setne	%al
	movzbl	%al, %eax
	ret
fpu_set_mxcsr:
	push	%rdi
	ldmxcsr	(%rsp)
	pop	%rdi
	ret
fpu_get_mxcsr:
	push	%rax
	stmxcsr	(%rsp)
	pop	%rax
	ret

	.data
	.balign	8
	.globl	rflags_seen
rflags_seen:
	.quad	0
state_sp:
	.quad	0
fpu_unmasked:
	.word	0x37b			/* all but ZM */
	.balign	8
	.globl	registers_seen
registers_seen:
	.skip	16 * 8, 0xff
noncanonical:
	.quad	0x800000000000
zero:
	.quad	0

	.section .note.GNU-stack, "", @progbits
