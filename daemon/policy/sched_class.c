/* SPDX-License-Identifier: Apache-2.0 */
/* What classes have earned; see sched_class.h. */
#include "daemon/policy/sched_class.h"

void classes_init(struct sched_classes *classes, const uint32_t remainder[SCHED_CLASSES])
{
	*classes = (struct sched_classes){0};
	for (int i = SCHED_HIGH; i < SCHED_CLASSES; i++)
		classes->of[i].remainder = remainder[i];
}

void classes_set_ready(struct sched_classes *classes, enum sched_class class, bool ready, uint64_t now_ns)
{
	struct sched_class_account *account = &classes->of[class];

	if (account->ready == ready)
		return;
	account->ready = ready;
	account->since_ns = now_ns;
	if (!ready && account->credit > 0)
		account->credit = 0;
}

enum sched_class classes_best(const struct sched_classes *classes)
{
	unsigned class = 0;

	while (class < SCHED_CLASSES && !classes->of[class].ready)
		class ++;
	return (enum sched_class) class;
}

bool classes_has_earned(const struct sched_classes *classes, enum sched_class class, uint64_t ns)
{
	const struct sched_class_account *account = &classes->of[class];

	return account->ready && account->credit > 0 && account->credit >= (int64_t)(ns * SCHED_WHOLE);
}

void classes_spend(struct sched_classes *classes, enum sched_class class, bool contended, uint64_t ns)
{
	struct sched_class_account *account = &classes->of[class];
	int64_t left = account->credit - (int64_t)(ns * SCHED_WHOLE);

	/* Time that nobody better wanted uses up what was earned, but makes no debt. */
	if (contended)
		account->credit = left;
	else if (account->credit > 0)
		account->credit = left > 0 ? left : 0;
}

void classes_return(struct sched_classes *classes, enum sched_class class, bool contended, uint64_t ns)
{
	if (contended)
		classes->of[class].credit += (int64_t)(ns * SCHED_WHOLE);
	if (!classes->of[class].ready && classes->of[class].credit > 0)
		classes->of[class].credit = 0;
}

void classes_elapse(struct sched_classes *classes, enum sched_class class, uint64_t device_ns, uint64_t now_ns)
{
	enum sched_class best = classes_best(classes);

	if (class < best)
		best = class;
	for (unsigned i = best + 1; i < SCHED_CLASSES; i++) {
		struct sched_class_account *account = &classes->of[i];
		uint64_t waited = now_ns > account->since_ns ? now_ns - account->since_ns : 0;
		if (account->ready)
			account->credit += (int64_t)((waited < device_ns ? waited : device_ns) * account->remainder);
	}
}
