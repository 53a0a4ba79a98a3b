// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads the recordings of mainline conversations in vectors/
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording.h"
#include "report.h"

struct parser {
	const char *file;
	unsigned int line;
	struct recording *rec;
	unsigned int room;
};

static void fail(const struct parser *p, const char *what)
{
	die("%s:%u: %s", p->file, p->line, what);
}

static struct rec_msg *new_msg(struct parser *p, enum rec_kind kind)
{
	struct recording *rec = p->rec;
	struct rec_msg *m;

	if (rec->num == p->room) {
		p->room = p->room ? 2 * p->room : 64;
		rec->msg = realloc(rec->msg, p->room * sizeof(*rec->msg));
		if (!rec->msg)
			die("out of memory");
	}
	m = &rec->msg[rec->num++];
	memset(m, 0, sizeof(*m));
	m->kind = kind;
	m->line = p->line;
	return m;
}

/* Groups of four bytes; returns how many bytes there were up to "..." or end */
static uint32_t parse_hex(const struct parser *p, const char **s, uint8_t *out,
			  uint32_t room)
{
	unsigned int byte;
	uint32_t n = 0;
	int used;

	for (;;) {
		*s += strspn(*s, " ");
		if (sscanf(*s, "%2x%n", &byte, &used) != 1 || used != 2)
			return n;
		if (n == room)
			fail(p, "payload longer than it says");
		out[n++] = byte;
		*s += 2;
	}
}

static void parse_payload(const struct parser *p, struct rec_msg *m,
			  const char *s, uint32_t len)
{
	uint8_t *tail;
	uint32_t i;

	m->len = len;
	m->data = xzalloc(len);
	m->head = parse_hex(p, &s, m->data, len);
	if (!strncmp(s, "...", 3)) {
		s += 3;
		tail = xzalloc(len);
		m->tail = parse_hex(p, &s, tail, len - m->head);
		for (i = m->head; i < len; i++)
			m->data[i] = m->data[i - 4];
		memcpy(m->data + len - m->tail, tail, m->tail);
		free(tail);
	} else if (m->head != len) {
		fail(p, "payload shorter than it says");
	}
}

static uint64_t number_after(const struct parser *p, const char *s,
			     const char *word)
{
	const char *at = strstr(s, word);

	if (!at)
		fail(p, "a field is missing");
	return strtoull(at + strlen(word), NULL, 0);
}

static void parse_cm(struct parser *p, const char *s, bool client)
{
	const char *data = strstr(s, "private data: ");
	bool req = !strncmp(s, "REQ", 3), rep = !strncmp(s, "REP", 3);
	struct rec_msg *m = new_msg(p, req ? REC_CM_REQ :
				    rep ? REC_CM_REP : REC_CM_OTHER);

	m->client = client;
	m->dreq = !strncmp(s, "DREQ", 4);
	if ((req || rep) && data)
		parse_payload(p, m, data + strlen("private data: "), 56);
}

static void parse_qp(struct parser *p, const char *s, bool client)
{
	static const struct {
		const char *name;
		enum rec_kind kind;
	} names[] = {
		{ "SEND_WITH_IMM ", REC_SEND_WITH_IMM },
		{ "SEND_WITH_INV ", REC_SEND_WITH_INV },
		{ "SEND", REC_SEND },
		{ "WRITE_WITH_IMM ", REC_WRITE_WITH_IMM },
		{ "WRITE ", REC_WRITE },
	};
	struct rec_msg *m;
	unsigned int i;
	char *what;
	unsigned int qp = strtoul(s, &what, 0);

	what += strspn(what, " ");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(what, names[i].name, strlen(names[i].name)))
			break;
	if (i == ARRAY_SIZE(names))
		fail(p, "unknown message");
	m = new_msg(p, names[i].kind);
	m->client = client;
	m->qp = qp;
	if (m->kind == REC_WRITE || m->kind == REC_WRITE_WITH_IMM) {
		m->va = number_after(p, what, "va ");
		m->rkey = number_after(p, what, "rkey ");
		m->len = number_after(p, what, "len ");
	}
	if (m->kind == REC_SEND_WITH_IMM || m->kind == REC_WRITE_WITH_IMM)
		m->imm = number_after(p, what, "imm ");
	if (m->kind == REC_SEND_WITH_INV)
		m->inv = number_after(p, what, "inv ");
}

static void parse_line(struct parser *p, const char *s)
{
	bool client;
	char *end;

	s += strspn(s, " ");
	if (!*s || *s == '#')
		return;
	if (!strncmp(s, "...", 3)) {
		new_msg(p, REC_GAP);
		return;
	}
	if (strstr(s, " bytes: ")) {
		unsigned long len = strtoul(s, &end, 10);

		if (!p->rec->num || strncmp(end, " bytes: ", 8))
			fail(p, "payload of nothing");
		parse_payload(p, &p->rec->msg[p->rec->num - 1], end + 8, len);
		return;
	}
	strtod(s, &end);
	end += strspn(end, " ");
	client = !strncmp(end, "client ", 7);
	if (!client && strncmp(end, "server ", 7))
		fail(p, "neither client nor server");
	end += 7;
	if (!strncmp(end, "CM ", 3))
		parse_cm(p, end + 3, client);
	else if (!strncmp(end, "qp ", 3))
		parse_qp(p, end + 3, client);
	else
		fail(p, "neither CM nor qp");
}

void recording_load(struct recording *rec, const char *file)
{
	struct parser p = { .file = file, .rec = rec };
	FILE *f = fopen(file, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f)
		die("%s: %s", file, strerror(errno));
	memset(rec, 0, sizeof(*rec));
	while ((n = getline(&line, &room, f)) > 0) {
		p.line++;
		line[strcspn(line, "\n")] = '\0';
		parse_line(&p, line);
	}
	free(line);
	fclose(f);
}

void recording_free(struct recording *rec)
{
	unsigned int i;

	for (i = 0; i < rec->num; i++)
		free(rec->msg[i].data);
	free(rec->msg);
	memset(rec, 0, sizeof(*rec));
}
