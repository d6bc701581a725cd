/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what: rules from the configuration and an identity from the kernel become a set of rights. Pure: it knows
 * numbers only, and decides once per connection.
 */
#ifndef NPUD_POLICY_RIGHTS_H
#define NPUD_POLICY_RIGHTS_H

#include <stddef.h>
#include <stdint.h>

/* One line each: its name here, and its name in the configuration and in messages. */
#define RIGHTS(X) X(MAPS, "maps") X(SESSIONS, "sessions")

#define RIGHTS_ENUMERATOR(name, text) RIGHT_##name,
enum right { RIGHTS(RIGHTS_ENUMERATOR) RIGHT_COUNT };

/* A set of rights has one bit for each. */
#define RIGHT_BIT(right) (1u << (right))
#define RIGHTS_NONE 0u
#define RIGHTS_ALL (RIGHT_BIT(RIGHT_COUNT) - 1u)

#define RIGHT_MAX_IDS 64u

struct right_ids {
	uint32_t count;
	uint32_t id[RIGHT_MAX_IDS];
};

/* Who has one right, beside root. */
struct right_rule {
	struct right_ids users;
	struct right_ids groups;
};

struct rights_rules {
	struct right_rule of[RIGHT_COUNT];
};

/* As the kernel tells them of a peer. */
struct rights_subject {
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups; /* supplementary */
	size_t group_count;
};

/* User 0 has every right; everybody else those whose rule names the user or one of the groups. */
uint32_t rights_of(const struct rights_rules *rules, const struct rights_subject *subject);

const char *right_name(enum right right);

#endif
