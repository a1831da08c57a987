/*
 * Put at a bzImage's entry in a copy of it: says on the serial line what the
 * TSC is there, and stops. 32-bit code.
 */
	.code32
	.globl	_start
_start:
	cli
	rdtsc
	mov	%eax, %esi
	mov	%edx, %edi
	mov	$0x3fb, %edx		/* 8 bits: nobody may have set that */
	mov	$3, %al
	out	%al, %dx
	mov	$17, %ecx		/* 16 digits and the end of the line */
	/* EDI:ESI, a hexadecimal digit a round. */
1:	mov	%edi, %ebx
	shr	$28, %ebx
	shld	$4, %esi, %edi
	shl	$4, %esi
	add	$'0', %bl
	cmp	$'9', %bl
	jbe	2f
	add	$'a' - '0' - 10, %bl
2:	cmp	$1, %ecx
	jne	3f
	mov	$'\n', %bl
3:	mov	$0x3fd, %edx
	in	%dx, %al
	test	$0x20, %al
	jz	3b
	mov	$0x3f8, %edx
	mov	%bl, %al
	out	%al, %dx
	dec	%ecx
	jnz	1b
4:	hlt
	jmp	4b
