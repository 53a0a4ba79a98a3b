/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP output of the peers
 *
 * A test is whatever happens between two calls of tap_done().  It passes if
 * bad() was not called in between: the protocol code calls bad() wherever the
 * other side breaks a rule, the tests where an answer is not the expected one,
 * and neither needs to know about the other.
 */
#ifndef PEER_REPORT_H
#define PEER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define PRINTF(a, b) __attribute__((format(printf, a, b)))

void tap_start(void);

/* A broken rule: a line of diagnostics, and the current test has failed. */
void bad(const char *fmt, ...) PRINTF(1, 2);

/* Worth knowing, and nothing wrong. */
void note(const char *fmt, ...) PRINTF(1, 2);

/* Ends the current test and gives it a name. */
void tap_done(const char *fmt, ...) PRINTF(1, 2);
void tap_skip(const char *name, const char *why);

/* How many rules were broken since the last tap_done(). */
unsigned int tap_bad(void);

/* The plan line; returns the exit status of the program. */
int tap_finish(void);

/* Milliseconds of a clock that only goes forward. */
uint64_t now_ms(void);

/*
 * A time limit, in what unit ever: longer, where the test says with RNBD_SLOW that the
 * kernel is slow.
 */
unsigned int patient(unsigned int limit);

/* Says why on stderr and ends the program: for trouble of our own making. */
void die(const char *fmt, ...) PRINTF(1, 2) __attribute__((noreturn));

/* malloc and friends that cannot fail. */
void *xzalloc(size_t n);
void *xpages(size_t n);

#endif
