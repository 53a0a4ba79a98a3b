/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's client as an administrator and a user of its disks see it
 *
 * Everything here waits for the kernel, and some of it for as long as a server
 * makes it wait; errnos are positive.
 */
#ifndef PEER_MAPPING_H
#define PEER_MAPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Large enough for the client to give the server access to the memory of a read. */
#define MAPPING_BLOCK	8192u

/* And so small that it copies the data. */
#define MAPPING_SMALL	4096u

/* A disk to be mapped; the caller fills in all but what follows @disk. */
struct mapping {
	const char *sess;
	const char *device;	/* name on the server */
	const char *path;	/* SRC@DST */
	const char *port;
	char disk[512];		/* rnbdN while it is mapped */
};

int mapping_map(struct mapping *m);

/* "normal" or "force" */
int mapping_unmap(struct mapping *m, const char *how);

/* One block at a multiple of its size, O_DIRECT: @block is as aligned as that. */
int mapping_read(const struct mapping *m, off_t at, void *block);
int mapping_write(const struct mapping *m, off_t at, void *block);

/* The same, of %MAPPING_SMALL bytes. */
int mapping_read_small(const struct mapping *m, off_t at, void *block);

/* BLKDISCARD, BLKZEROOUT, ... of a piece. */
int mapping_ioctl(const struct mapping *m, unsigned long op, uint64_t at,
		  uint64_t len);

/* In 512-byte sectors. */
uint64_t mapping_size(const struct mapping *m);

/* Attributes of the disk, the session, the path; "" if there is none. */
const char *mapping_attr(const struct mapping *m, const char *attr);
const char *mapping_path_attr(const struct mapping *m, const char *attr);
int mapping_set(const struct mapping *m, const char *attr, const char *value);
int mapping_sess_set(const struct mapping *m, const char *attr,
		     const char *value);

/* How often its path has been connected again. */
unsigned int mapping_reconnects(const struct mapping *m);

/* Waits until it is "open" or "closed". */
bool mapping_wait_state(const struct mapping *m, const char *state,
			unsigned int ms);
bool mapping_wait_reconnects(const struct mapping *m, unsigned int nr,
			     unsigned int ms);

void sleep_ms(unsigned int ms);

/*
 * The kernel's log since the last call of klog_mark(): how many lines are about
 * that session, and whether one of them has @text in it.
 */
void klog_mark(const char *sess);
unsigned int klog_lines(const char *text, bool *found);

#endif
