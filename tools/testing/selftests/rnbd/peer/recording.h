/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the recordings of mainline conversations in vectors/
 *
 * They are text, one message a line with its payload on the next one, and are
 * kept as they were recorded, so that nothing can be lost in a transcription.
 */
#ifndef PEER_RECORDING_H
#define PEER_RECORDING_H

#include <stdbool.h>
#include <stdint.h>

enum rec_kind {
	REC_CM_REQ,
	REC_CM_REP,
	REC_CM_OTHER,		/* RTU, DREQ, DREP */
	REC_GAP,		/* messages were left out here */
	REC_SEND,
	REC_SEND_WITH_IMM,
	REC_SEND_WITH_INV,
	REC_WRITE,
	REC_WRITE_WITH_IMM,
};

struct rec_msg {
	enum rec_kind kind;
	bool client;
	bool dreq;
	unsigned int line;
	unsigned int qp;
	uint64_t va;
	uint32_t rkey;
	uint32_t imm;
	uint32_t inv;
	uint32_t len;		/* of the payload */
	uint8_t *data;		/* NULL if there is none */
	/*
	 * Where the recording leaves out the middle of a payload, @head bytes
	 * from its start and @tail at its end are known; the rest repeats the
	 * last four bytes before the gap.
	 */
	uint32_t head, tail;
};

struct recording {
	struct rec_msg *msg;
	unsigned int num;
};

/* Ends the program where the file cannot be read or makes no sense. */
void recording_load(struct recording *rec, const char *file);
void recording_free(struct recording *rec);

#endif
