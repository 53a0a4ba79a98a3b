// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TAP output of the peers, and the few helpers every file needs
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "report.h"

static unsigned int tests, failed, bad_now;

void tap_start(void)
{
	/* A test script reads this through a pipe while we run. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n");
}

static void diag(const char *tag, const char *fmt, va_list ap)
{
	printf("# %s", tag);
	vprintf(fmt, ap);
	putchar('\n');
}

void bad(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* A peer gone wild must not fill the disk with complaints. */
	if (bad_now++ < 20)
		diag("BROKEN: ", fmt, ap);
	va_end(ap);
}

void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag("", fmt, ap);
	va_end(ap);
}

void tap_done(const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u ", bad_now ? "not " : "", ++tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	failed += !!bad_now;
	bad_now = 0;
}

void tap_skip(const char *name, const char *why)
{
	printf("ok %u %s # SKIP %s\n", ++tests, name, why);
}

unsigned int tap_bad(void)
{
	return bad_now;
}

int tap_finish(void)
{
	if (bad_now)
		tap_done("nothing wrong after the last test");
	printf("1..%u\n", tests);
	printf("# %u passed, %u failed\n", tests - failed, failed);
	return failed || !tests;
}

unsigned int patient(unsigned int limit)
{
	const char *slow = getenv("RNBD_SLOW");

	return slow ? limit * atoi(slow) : limit;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("Bail out! ");
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	exit(2);
}

void *xzalloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		die("out of memory");
	return p;
}

void *xpages(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("out of memory for %zu bytes", n);
	return p;
}
