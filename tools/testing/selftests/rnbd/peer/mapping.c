// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's client as an administrator and a user of its disks see it
 */
#define _GNU_SOURCE	/* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "mapping.h"
#include "report.h"

#define CTL	"/sys/class/rnbd-client/ctl"
#define SESS	"/sys/class/rtrs-client"

static int kmsg = -1;
static const char *klog_sess;

void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* --- files -------------------------------------------------------------------- */

static int write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

static const char *read_file(const char *file)
{
	static __thread char text[4096];
	int fd = open(file, O_RDONLY);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return text;
}

static const char *join(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

static const char *join(const char *fmt, ...)
{
	static __thread char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

/* --- map and unmap -------------------------------------------------------------- */

/* The link in ctl/devices has the name of the disk at its end. */
static int find_disk(struct mapping *m)
{
	char device[256], target[512], *slash;
	ssize_t n;

	snprintf(device, sizeof(device), "%s", m->device);
	while ((slash = strchr(device, '/')))
		*slash = '!';
	n = readlink(join(CTL "/devices/%s@%s", device, m->sess), target,
		     sizeof(target) - 1);
	if (n < 0)
		return errno;
	target[n] = 0;
	slash = strrchr(target, '/');
	snprintf(m->disk, sizeof(m->disk), "%s", slash ? slash + 1 : target);
	return 0;
}

int mapping_map(struct mapping *m)
{
	int err;

	m->disk[0] = 0;
	err = write_file(CTL "/map_device",
			 join("sessname=%s device_path=%s path=%s dest_port=%s\n",
			      m->sess, m->device, m->path, m->port));
	return err ?: find_disk(m);
}

int mapping_unmap(struct mapping *m, const char *how)
{
	int err = mapping_set(m, "unmap_device", how);

	if (!err)
		m->disk[0] = 0;
	return err;
}

/* --- the disk ------------------------------------------------------------------- */

static int open_disk(const struct mapping *m, int flags)
{
	return open(join("/dev/%s", m->disk), flags | O_DIRECT);
}

static int transfer(const struct mapping *m, off_t at, void *block, ssize_t len,
		    bool write)
{
	int fd = open_disk(m, write ? O_WRONLY : O_RDONLY), err = 0;
	ssize_t n;

	if (fd < 0)
		return errno;
	n = write ? pwrite(fd, block, len, at) : pread(fd, block, len, at);
	if (n != len)
		err = n < 0 ? errno : ENODATA;
	close(fd);
	return err;
}

int mapping_read(const struct mapping *m, off_t at, void *block)
{
	return transfer(m, at, block, MAPPING_BLOCK, false);
}

int mapping_read_small(const struct mapping *m, off_t at, void *block)
{
	return transfer(m, at, block, MAPPING_SMALL, false);
}

int mapping_write(const struct mapping *m, off_t at, void *block)
{
	return transfer(m, at, block, MAPPING_BLOCK, true);
}

int mapping_ioctl(const struct mapping *m, unsigned long op, uint64_t at,
		  uint64_t len)
{
	uint64_t range[2] = { at, len };
	int fd = open_disk(m, O_RDWR), err = 0;

	if (fd < 0)
		return errno;
	if (ioctl(fd, op, range))
		err = errno;
	close(fd);
	return err;
}

uint64_t mapping_size(const struct mapping *m)
{
	return strtoull(read_file(join("/sys/block/%s/size", m->disk)), NULL, 0);
}

/* --- attributes ----------------------------------------------------------------- */

const char *mapping_attr(const struct mapping *m, const char *attr)
{
	return read_file(join("/sys/block/%s/rnbd/%s", m->disk, attr));
}

const char *mapping_path_attr(const struct mapping *m, const char *attr)
{
	return read_file(join(SESS "/%s/paths/%s/%s", m->sess, m->path, attr));
}

int mapping_set(const struct mapping *m, const char *attr, const char *value)
{
	return write_file(join("/sys/block/%s/rnbd/%s", m->disk, attr), value);
}

int mapping_sess_set(const struct mapping *m, const char *attr,
		     const char *value)
{
	return write_file(join(SESS "/%s/%s", m->sess, attr), value);
}

unsigned int mapping_reconnects(const struct mapping *m)
{
	return strtoul(mapping_path_attr(m, "stats/reconnects"), NULL, 10);
}

bool mapping_wait_state(const struct mapping *m, const char *state,
			unsigned int ms)
{
	uint64_t end = now_ms() + ms;

	while (strcmp(mapping_attr(m, "state"), state)) {
		if (now_ms() > end)
			return false;
		sleep_ms(5);
	}
	return true;
}

bool mapping_wait_reconnects(const struct mapping *m, unsigned int nr,
			     unsigned int ms)
{
	uint64_t end = now_ms() + ms;

	while (mapping_reconnects(m) < nr) {
		if (now_ms() > end)
			return false;
		sleep_ms(10);
	}
	return true;
}

/* --- the kernel's log ----------------------------------------------------------- */

void klog_mark(const char *sess)
{
	klog_sess = sess;
	if (kmsg < 0)
		kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0)
		die("/dev/kmsg: %s", strerror(errno));
}

unsigned int klog_lines(const char *text, bool *found)
{
	unsigned int lines = 0;
	char line[2048];
	ssize_t n;

	*found = !text;
	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		line[n > 0 ? n : 0] = 0;
		if (!strstr(line, klog_sess))
			continue;
		lines++;
		if (text && strstr(line, text))
			*found = true;
	}
	return lines;
}
