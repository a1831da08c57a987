/*
 * What Linux is timed with, bare and as a guest: prints how many ticks of the
 * TSC have gone by at the prompt, and what four kinds of work take, if the
 * kernel's command line has the word `work`.
 *
 *     linux: prompt tsc=N
 *     linux: cpu ticks=N
 *     linux: done
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
	CPU_ROUNDS = 20 * 1000 * 1000,
	MEMORY = 48 << 20,
	MEMORY_TOUCHES = 3000 * 1000,
	FORKS = 100,
	SLEEPS = 1000,
	SLEEP_NS = 100 * 1000,
};

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static uint64_t next(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Nothing but registers. */
static void cpu(void)
{
	uint64_t x = 88172645463325252;

	for (int i = 0; i < CPU_ROUNDS; i++)
		x = next(x);
	__asm__ volatile("" : : "r"(x));
}

/* Pages that are new, and then all of them in no order. */
static void memory(void)
{
	uint8_t *at = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	uint64_t x = 88172645463325252;

	if (at == MAP_FAILED)
		fail("mmap");
	memset(at, 1, MEMORY);
	for (int i = 0; i < MEMORY_TOUCHES; i++) {
		x = next(x);
		at[x % MEMORY]++;
	}
	munmap(at, MEMORY);
}

/* Programs that end at once. */
static void forks(void)
{
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			execl("/bin/busybox", "true", NULL);
			_exit(1);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			fail("fork");
	}
}

/* Short sleeps, one by one. */
static void timers(void)
{
	const struct timespec t = {0, SLEEP_NS};

	for (int i = 0; i < SLEEPS; i++)
		nanosleep(&t, NULL);
}

static void measure(const char *name, void (*work)(void))
{
	uint64_t from = rdtsc();

	work();
	printf("linux: %s ticks=%llu\n", name, (unsigned long long)(rdtsc() - from));
	fflush(stdout);
}

static int is_wanted(void)
{
	char line[1024] = "";
	FILE *f = fopen("/proc/cmdline", "r");

	if (f != NULL) {
		if (fgets(line, sizeof(line), f) == NULL)
			line[0] = 0;
		fclose(f);
	}
	return strstr(line, " work") != NULL;
}

int main(void)
{
	printf("linux: prompt tsc=%llu\n", (unsigned long long)rdtsc());
	fflush(stdout);
	if (is_wanted()) {
		measure("cpu", cpu);
		measure("memory", memory);
		measure("fork", forks);
		measure("timer", timers);
	}
	printf("linux: done\n");
	fflush(stdout);
	/* A power-off does not wait for a serial line as slow as a real one. */
	tcdrain(STDOUT_FILENO);
	return 0;
}
