/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RNBD's requests, and data that says where it belongs: for whatever tests
 * servers
 */
#ifndef PEER_CLIENT_RNBD_H
#define PEER_CLIENT_RNBD_H

#include "client.h"

/* A request whose user message is @usr_len zero bytes, for the caller to fill. */
struct req *usr_req(struct clt *c, unsigned int cid, unsigned int chunk,
		    unsigned int usr_len, unsigned int data_len, bool read);

/* On the service connection. */
struct req *sess_info_req(struct clt *c, unsigned int chunk);
struct req *open_req(struct clt *c, unsigned int chunk, unsigned int access,
		     const char *name);
struct req *close_req(struct clt *c, unsigned int chunk, uint32_t id);

struct req *io_req(struct clt *c, unsigned int cid, unsigned int chunk,
		   const struct rnbd_io *io, unsigned int data_len);

/* Of what clt_call() returns. */
const char *err_name(int err);
void expect(int got, int want, const char *what);
void expect_error(int got, const char *what);

/* Every 8 bytes say which sector and which round they belong to. */
void pattern(uint8_t *b, unsigned int len, uint64_t sector, unsigned int round);
void check_pattern(const uint8_t *b, unsigned int len, uint64_t sector,
		   unsigned int round, const char *what);

/* The first byte that is not as pattern() made it, or -1. */
int pattern_differs(const uint8_t *b, unsigned int len, uint64_t sector,
		    unsigned int round);

#endif
