/*
 * For assembly: the five bytes and more that follow become a jump to `target`
 * at boot, if the mitigation is on; a call stays a call. They are whole
 * instructions, and what they do the target does.
 */
#pragma once

#include "offsets.h"

	.macro	patch mitigation, target
	.pushsection .patch, "a"
	.quad	771f, \target, \mitigation
	.popsection
771:
	.endm
