/*
 * Nothing of the image is believed: each offset and size is checked against
 * the file's before it is used.
 */
#include "bzimage.h"

#include <string.h>

enum {
	SETUP_SECTS = 0x1f1,
	BOOT_FLAG = 0x1fe,
	JUMP = 0x201, /* its operand: the header's end */
	MAGIC = 0x202,
	VERSION = 0x206,
	LOADFLAGS = 0x211,
	INITRD_ADDR_MAX = 0x22c,
	XLOADFLAGS = 0x236,
	CMDLINE_SIZE = 0x238,
	PREF_ADDRESS = 0x258,
	INIT_SIZE = 0x260,
	HEADER_END_MIN = 0x264, /* of protocol 2.10 and later */

	SECTOR = 512,
	BOOT_FLAG_VALUE = 0xaa55,
	LOADED_HIGH = 1 << 0,
	XLF_KERNEL_64 = 1 << 0,
	VERSION_MIN = 0x20c, /* the first with xloadflags */
};

#define MAGIC_VALUE 0x53726448u /* "HdrS" */
#define ADDRESS_MIN 0x100000ull
#define ADDRESS_MAX 0x100000000ull /* the loader's tables reach so far */

static uint64_t number(const uint8_t *file, unsigned offset, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, file + offset, bytes);
	return value;
}

static const char *check_header(const uint8_t *file, size_t bytes)
{
	if (bytes < HEADER_END_MIN)
		return "it is too short";
	if (number(file, BOOT_FLAG, 2) != BOOT_FLAG_VALUE || number(file, MAGIC, 4) != MAGIC_VALUE)
		return "it is no bzImage";
	if (number(file, VERSION, 2) < VERSION_MIN)
		return "its boot protocol is older than 2.12";
	if (!(number(file, LOADFLAGS, 1) & LOADED_HIGH))
		return "it is a zImage, to be loaded low";
	if (!(number(file, XLOADFLAGS, 2) & XLF_KERNEL_64))
		return "it has no 64-bit entry";
	return NULL;
}

static const char *check_layout(const struct bzimage *image)
{
	if (image->kernel_bytes <= BZIMAGE_ENTRY_64)
		return "its protected-mode part is missing";
	if (image->address < ADDRESS_MIN || image->address >= ADDRESS_MAX ||
	    image->address % 4096 != 0)
		return "its preferred address is not from 1 MiB to 4 GiB";
	if (image->init_bytes < image->kernel_bytes)
		return "its init_size is smaller than itself";
	return NULL;
}

const char *bzimage_parse(struct bzimage *image, const void *start, size_t bytes)
{
	const uint8_t *file = start;
	const char *wrong = check_header(file, bytes);

	if (wrong != NULL)
		return wrong;

	uint64_t sectors = number(file, SETUP_SECTS, 1);
	/* 0 means 4; and the boot sector itself is not counted. */
	uint64_t setup = ((sectors ? sectors : 4) + 1) * SECTOR;
	uint64_t header_end = MAGIC + number(file, JUMP, 1);

	if (setup > bytes || header_end > bytes || header_end < HEADER_END_MIN)
		return "its setup part is cut off";
	if (header_end > BZIMAGE_HEADER + BZIMAGE_HEADER_MAX)
		header_end = BZIMAGE_HEADER + BZIMAGE_HEADER_MAX;
	*image = (struct bzimage){
		.header = file + BZIMAGE_HEADER,
		.header_bytes = header_end - BZIMAGE_HEADER,
		.kernel = file + setup,
		.kernel_bytes = bytes - setup,
		.address = number(file, PREF_ADDRESS, 8),
		.init_bytes = number(file, INIT_SIZE, 4),
		.initrd_max = number(file, INITRD_ADDR_MAX, 4),
		.command_line_max = number(file, CMDLINE_SIZE, 4),
		.version = (unsigned)number(file, VERSION, 2),
	};
	return check_layout(image);
}
