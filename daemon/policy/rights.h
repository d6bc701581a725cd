/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what: rules from the configuration and an identity from the kernel become a set of rights. Pure: it knows
 * numbers only, and decides once per connection.
 */
#ifndef NPUD_POLICY_RIGHTS_H
#define NPUD_POLICY_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line each: its name here, and its name in the configuration and in messages. */
#define RIGHTS(X)                                                                                                      \
	X(SUBMIT, "submit")                                                                                            \
	X(REALTIME, "realtime")                                                                                        \
	X(IMPORT, "import")                                                                                            \
	X(MAPS, "maps")                                                                                                \
	X(SESSIONS, "sessions")                                                                                        \
	X(REGISTERS, "registers")                                                                                      \
	X(RESET, "reset")                                                                                              \
	X(DRAIN, "drain")                                                                                              \
	X(ADMIN, "admin")

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

/* Users and groups that have something in common. */
struct right_rule {
	struct right_ids users;
	struct right_ids groups;
};

struct rights_rules {
	uint32_t own_uid; /* of the daemon itself */
	struct right_rule of[RIGHT_COUNT]; /* who has it beside root, that user, and whose tenant has it */
};

/* As the kernel tells them of a peer. */
struct rights_subject {
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups; /* supplementary */
	size_t group_count;
	const char *cgroup; /* NULL: not known */
};

/* The user, or one of the groups. */
bool rights_rule_names(const struct right_rule *rule, const struct rights_subject *subject);

/* Root, and whoever the daemon runs as. */
bool rights_has_all(const struct rights_rules *rules, const struct rights_subject *subject);

/* All, or those whose rule names the peer. */
uint32_t rights_of(const struct rights_rules *rules, const struct rights_subject *subject);

const char *right_name(enum right right);

#endif
