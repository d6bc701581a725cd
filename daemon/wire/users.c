/* SPDX-License-Identifier: Apache-2.0 */
/* A table with open addresses, at most half full, in an order that nobody outside can know; see users.h. */
#include "daemon/wire/users.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

struct user {
	uid_t uid;
	uint32_t connections; /* 0: the place is free */
};

struct users {
	unsigned bits;
	uint64_t factor; /* odd, secret: user namespaces let one person have thousands of ids, of his choice */
	struct user table[];
};

static uint32_t next(const struct users *users, uint32_t place)
{
	return (place + 1) & ((1u << users->bits) - 1);
}

static uint32_t home(const struct users *users, uid_t uid)
{
	return (uint32_t)((uid + 1ull) * users->factor >> (64 - users->bits));
}

/* The user's place, or the free one where it belongs. */
static uint32_t find(const struct users *users, uid_t uid)
{
	uint32_t place = home(users, uid);

	while (users->table[place].connections && users->table[place].uid != uid)
		place = next(users, place);
	return place;
}

int users_new(uint64_t connections, struct users **out)
{
	unsigned bits = 1;

	while (1ull << bits < 2 * connections)
		bits++;
	struct users *users = calloc(1, sizeof(*users) + (sizeof(struct user) << bits));
	if (!users)
		return -ENOMEM;
	users->bits = bits;
	/* Early at boot there may be none: then the order is known, which costs time and nothing else. */
	if (getrandom(&users->factor, sizeof(users->factor), GRND_NONBLOCK) < 0)
		users->factor = 0x9e3779b97f4a7c15;
	users->factor |= 1;
	*out = users;
	return 0;
}

void users_free(struct users *users)
{
	free(users);
}

uint32_t users_count(const struct users *users, uid_t uid)
{
	return users->table[find(users, uid)].connections;
}

void users_enter(struct users *users, uid_t uid)
{
	struct user *user = &users->table[find(users, uid)];

	user->uid = uid;
	user->connections++;
}

/* What was put further on because this place was taken moves up, so that find() never meets a gap before it. */
static void close_gap(struct users *users, uint32_t gap)
{
	for (uint32_t place = next(users, gap); users->table[place].connections; place = next(users, place)) {
		uint32_t mask = (1u << users->bits) - 1, wanted = home(users, users->table[place].uid);
		if (((place - wanted) & mask) < ((place - gap) & mask))
			continue;
		users->table[gap] = users->table[place];
		users->table[place].connections = 0;
		gap = place;
	}
}

void users_leave(struct users *users, uid_t uid)
{
	uint32_t place = find(users, uid);

	if (users->table[place].connections && --users->table[place].connections == 0)
		close_gap(users, place);
}
