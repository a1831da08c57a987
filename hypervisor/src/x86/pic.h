/*
 * The pair of 8259A of a PC: present, and not used.
 */
#pragma once

enum {
	VECTOR_PIC = 0xe0, /* 16 vectors that nothing else has */
};

void pic_disable(void);
