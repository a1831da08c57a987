/*
 * What modes.c runs in other modes than its own. run_mode() gets there by a far
 * return; what it runs comes back by a far jump to `back`, and what it leaves in
 * EAX is returned. Most try segments as ways to a register of the IOAPIC and count
 * those that lead there.
 */
#include "../saved.h"
#include "modes.h"

	.section .text, "ax"
	.globl	run_mode, run_user, back
run_mode:				/* RDI: selector, RSI: offset */
	push_saved
	mov	%rsp, saved_stack(%rip)
	push	%rdi
	push	%rsi
	lretq

run_user:				/* RDI: RIP, RSI: for its RDI */
	push_saved
	mov	%rsp, saved_stack(%rip)
	push	$USER_DATA
	push	$0
	push	$2
	push	$USER_CODE
	push	%rdi
	mov	%rsi, %rdi
	iretq

back:
	mov	$FLAT_DATA, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	mov	%ecx, %ss
	mov	%ecx, %fs
	mov	%ecx, %gs
	mov	saved_stack(%rip), %rsp
	pop_saved
	ret

/*
 * Through a segment whose base is NEAR below the IOAPIC: writes the index and a
 * value, reads it back, clears it. EBP counts.
 */
	.macro	through seg
	movl	$INDEX, %\seg:NEAR
	movl	$VALUE, %\seg:(NEAR + 0x10)
	mov	$(NEAR + 0x10 - 0x40), %bx
	movl	%\seg:0x40(%bx), %ecx
	movl	$0x10000, %\seg:(NEAR + 0x10)
	cmp	$VALUE, %ecx
	jne	1f
	inc	%ebp
1:
	.endm

	.macro	segment seg, name
	mov	$\name, %ecx
	mov	%ecx, %\seg
	.endm

	.macro	all_segments
	xor	%ebp, %ebp
	.irp	seg, ds, es, fs, gs, ss
	segment	\seg, IOAPIC_DATA_SEGMENT
	through	\seg
	segment	\seg, FLAT_DATA
	.endr
	.endm

	.code32
	.globl	segments_32, strings_32, unpaged_32
segments_32:
	xor	%ebx, %ebx
	all_segments
	mov	%ebp, %eax
	ljmp	$CODE_64, $back

/* From no device and no port to a buffer, 16 and 8 bytes. */
strings_32:
	segment	ds, IOAPIC_DATA_SEGMENT
	segment	es, BUFFER_SEGMENT
	cld
	mov	$(NOTHING - IOAPIC + NEAR), %esi
	mov	$NEAR, %edi
	mov	$4, %ecx
	rep movsl
	mov	$0x1234, %edx
	mov	$8, %ecx
	rep insb
	mov	%edi, %eax
	ljmp	$CODE_64, $back

	.code16
	.globl	code_16
code_16:
segments_16:
	xor	%ebx, %ebx
	all_segments
	mov	%ebp, %eax
	ljmpl	$CODE_64, $back

/* Real mode, with the bases that protected mode has left in the segments. */
real:
	mov	%cr0, %eax
	and	$~1, %al
	mov	%eax, %cr0
	through	ds
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$CODE_32, $paged_again

	.globl	segments_16_offset
	.set	segments_16_offset, segments_16 - code_16

/* Out of long mode, LME stays set; into real mode, and back. */
	.code32
unpaged_32:
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	xor	%ebx, %ebx
	all_segments
	segment	ds, IOAPIC_DATA_SEGMENT
	ljmp	$CODE_16, $(real - code_16)
paged_again:
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	mov	%ebp, %eax
	ljmp	$CODE_64, $back

	.bss
	.balign	8
saved_stack:
	.skip	8

	.section .note.GNU-stack, "", @progbits
