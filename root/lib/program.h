/*
 * How a program begins: the runtime sets up its heap, console, main thread and
 * time, then calls program_main. Returning ends the program with that code.
 */
#pragma once

#include <lib/info.h>

int program_main(const struct program_info *info);
