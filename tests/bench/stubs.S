/*
 * Portal entries of the fewest instructions, so that what is measured is the
 * kernel; what faults on purpose; and the guest whose exits are measured.
 *
 * A handler's stack pointer is the address of its struct frame
 * (../hypercall/test.h); its registers are what it left at its last reply.
 */
#define CALL_REPLY	1
#define FRAME_UTCB	24
#define UTCB_ITEMS	0
#define UTCB_MTD	0x20
#define UTCB_RIP	0x30
#define ONE_ITEM	0x10000

	.text

	.macro	reply
	mov	$CALL_REPLY, %edi
	syscall
	.endm

/* Sends back what came. */
	.globl	stub_echo
	.balign	16
stub_echo:
	reply

/* Answers with nothing: what was delegated stays here. */
	.globl	stub_take
	.balign	16
stub_take:
	mov	FRAME_UTCB(%rsp), %rax
	movq	$0, UTCB_ITEMS(%rax)
	reply

/* Goes on behind an instruction of two bytes, and of three. */
	.globl	stub_skip_2, stub_skip_3
	.balign	16
stub_skip_2:
	mov	FRAME_UTCB(%rsp), %rax
	addq	$2, UTCB_RIP(%rax)
	reply
	.balign	16
stub_skip_3:
	mov	FRAME_UTCB(%rsp), %rax
	addq	$3, UTCB_RIP(%rax)
	reply

/* Delegates item 0, which stays in the UTCB, and changes no register. */
	.globl	stub_map
	.balign	16
stub_map:
	mov	FRAME_UTCB(%rsp), %rax
	movq	$0, UTCB_MTD(%rax)
	movq	$ONE_ITEM, UTCB_ITEMS(%rax)
	reply

/* uint64_t f(address): they fault. */
	.globl	fault_ud, fault_read
fault_ud:
	ud2
	xor	%eax, %eax
	ret
fault_read:
	mov	(%rdi), %rax		/* 3 bytes */
	xor	%eax, %eax
	ret

/*
 * Where a trace begins and ends. Bochs stops at the XCHG, QEMU's trace has the
 * address in it.
 */
	.globl	trace_mark
	.balign	16
trace_mark:
	xchg	%bx, %bx
	ret

/*
 * VM exits. What an exit costs is the time from the second reading of the
 * clock to the first one of the next exit.
 */
	.globl	stub_vm, vm_left
	.macro	clock
	lfence
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	.endm
	.balign	16
stub_vm:
	clock
	mov	%rax, %rsi
	call	vm_exit			/* (event, tsc) */
	clock
	mov	%rax, vm_left
	reply

	.data
	.balign	8
vm_left:
	.quad	0

/*
 * Guest-physical page 0: real mode, all bases 0. Each loop is an instruction
 * that exits and a jump. It is text, since a guest executes only what its
 * giver may.
 */
	.text
	.balign	4096
	.globl	vm_page, vm_cpuid, vm_vmcall, vm_vmmcall, vm_in, vm_hlt
	.globl	vm_out, vm_ins, vm_rdmsr, vm_wrmsr, vm_read, vm_write, vm_spin
	.code16
vm_page:
	.skip	16, 0xf4
vm_cpuid:
	cpuid
	jmp	vm_cpuid
vm_vmcall:
	vmcall
	jmp	vm_vmcall
vm_vmmcall:
	vmmcall
	jmp	vm_vmmcall
vm_in:
	in	%dx, %al
	jmp	vm_in
vm_out:
	out	%al, %dx
	jmp	vm_out
vm_ins:
	insb
	jmp	vm_ins
vm_hlt:
	hlt
	jmp	vm_hlt
vm_rdmsr:
	rdmsr
	jmp	vm_rdmsr
vm_wrmsr:
	wrmsr
	jmp	vm_wrmsr
vm_read:
	movb	0x8000, %al		/* 3 bytes; nothing is there */
	jmp	vm_read
vm_write:
	movb	%al, 0x8000		/* 3 bytes */
	jmp	vm_write
vm_spin:				/* Bochs' SVM looks for a window only when IF changes */
	cli
	sti
	nop
	jmp	vm_spin
	.balign	4096
	.code64

	.section .note.GNU-stack, "", @progbits
