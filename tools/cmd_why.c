/* SPDX-License-Identifier: Apache-2.0 */
/* npuctl why: what a submission waits for, in one paragraph or as JSON. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/commands.h"
#include "tools/show.h"

const char usage_why[] = "usage: npuctl why SESSION:SUBMISSION [-j | --json] [--socket NPUD.sock]\n"
			 "Says why a submission, named as npuctl ps has it, is where it is: what is before it, how\n"
			 "long that takes, and what keeps it from the NPU. Of one's own tenant, or anybody's with the\n"
			 "right \"sessions\" in npud.json.\n"
			 "  -j, --json            for programs: one object\n";

#define LIMITS ((unsigned)NPU_LIMIT_DEVICE_OFFLINE)

static const struct {
	const char *name;
	const char *text;
} limits[LIMITS + 1] = {
    [NPU_LIMIT_ORDER] = {"order", "others come first"},
    [NPU_LIMIT_IN_FLIGHT] = {"in_flight", "enough is in the hardware"},
    [NPU_LIMIT_TENURE] = {"tenure", "another session holds the NPU and has work there"},
    [NPU_LIMIT_QUANTUM] = {"quantum", "another session holds the NPU and may go on for a while"},
    [NPU_LIMIT_TENANT_TIME] = {"tenant_time", "its tenant has used up its time"},
    [NPU_LIMIT_DEVICE_CHANGING] = {"device_changing", "the NPU changes hands or maps memory"},
    [NPU_LIMIT_DEVICE_RECOVERING] = {"device_recovering", "the NPU recovers from a failure"},
    [NPU_LIMIT_DEVICE_OFFLINE] = {"device_offline", "the NPU is offline or about to be"},
};

static const char *state_name(enum npu_why_state state)
{
	static const char *const names[] = {"unknown", "waiting", "queued", "running", "ended"};

	return state >= NPU_WHY_WAITING && state <= NPU_WHY_ENDED ? names[state] : names[0];
}

/* ------------------------------------------------------------------ for people */

/* "2 fences" after what precedes it, unless there are none. */
static void count_print(const char **separator, uint32_t count, const char *one, const char *many)
{
	if (count == 0)
		return;
	printf("%s%u %s", *separator, count, count == 1 ? one : many);
	*separator = ", ";
}

static void waiting_print(const struct npu_why *why)
{
	const char *separator = ". It comes after ";

	count_print(&separator, why->queue_ahead, "submission before it in its queue",
		    "submissions before it in its queue");
	count_print(&separator, why->job_ahead, "earlier run of its job", "earlier runs of its job");
	count_print(&separator, why->dependencies, "submission that it depends on", "submissions that it depends on");
	count_print(&separator, why->fences, "fence", "fences");
	count_print(&separator, why->limits >> NPU_LIMIT_DEVICE_CHANGING & 1, "move of its session to another NPU", "");
}

static void order_print(const struct npu_why *why)
{
	const char *separator = " (";

	if (why->position == 0) {
		printf(". It is next");
		return;
	}
	printf(". %u come%s first", why->position, why->position == 1 ? "s" : "");
	for (enum npu_class class_of = NPU_CLASS_REALTIME; class_of <= NPU_CLASS_IDLE; class_of++)
		count_print(&separator, why->ahead[class_of], show_class(class_of), show_class(class_of));
	printf("): %u of its own tenant, %u of others", why->ahead_own, why->ahead_others);
}

static void queued_print(const struct npu_why *why)
{
	const char *separator = ". What keeps it: ";
	char time[SHOW_BYTES];

	order_print(why);
	printf("; %u %s on the NPU already. All that takes about %s", why->in_flight,
	       why->in_flight == 1 ? "is" : "are", show_time(why->wait_ns, time, sizeof(time)));
	if (why->throttled_ns)
		printf("; its tenant gets no time for %s", show_time(why->throttled_ns, time, sizeof(time)));
	for (unsigned limit = 1; limit <= LIMITS; limit++) {
		if (!(why->limits >> limit & 1))
			continue;
		printf("%s%s", separator, limits[limit].text);
		separator = "; ";
	}
}

static void running_print(const struct npu_why *why)
{
	char time[SHOW_BYTES], left[SHOW_BYTES];

	if (why->device_ahead)
		printf(". It is on the NPU, behind %u other%s", why->device_ahead, why->device_ahead == 1 ? "" : "s");
	else
		printf(". The NPU has worked on it for %s", show_time(why->running_ns, time, sizeof(time)));
	printf("; %s of its budget are left", show_time(why->budget_left_ns, left, sizeof(left)));
}

static void paragraph_print(const struct npu_why *why)
{
	char age[SHOW_BYTES];

	printf("Submission %" PRIu64 ":0x%" PRIx64, why->session, why->submission);
	if (why->state == NPU_WHY_ENDED) {
		if (why->outcome)
			printf(" has ended: %s. Its client has not been told.\n", npu_outcome_name(why->outcome));
		else
			printf(" has ended, and its client knows how.\n");
		return;
	}
	printf(" (job 0x%" PRIx64 ", class %s, NPU %u) was submitted %s ago and is %s", why->job,
	       show_class(why->class_of), why->device, show_time(why->age_ns, age, sizeof(age)),
	       state_name(why->state));
	if (why->state == NPU_WHY_WAITING)
		waiting_print(why);
	else if (why->state == NPU_WHY_QUEUED)
		queued_print(why);
	else
		running_print(why);
	printf(".\n");
}

/* ------------------------------------------------------------------ for programs */

static json_t *limits_json(const struct npu_why *why)
{
	json_t *list = json_array();
	int error = list ? 0 : -1;

	for (unsigned limit = 1; limit <= LIMITS && error == 0; limit++)
		if (why->limits >> limit & 1)
			error = json_array_append_new(list, json_string(limits[limit].name));
	if (error == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *ahead_json(const struct npu_why *why)
{
	return json_pack("{sI sI sI sI}", "realtime", (json_int_t)why->ahead[NPU_CLASS_REALTIME], "high",
			 (json_int_t)why->ahead[NPU_CLASS_HIGH], "normal", (json_int_t)why->ahead[NPU_CLASS_NORMAL],
			 "idle", (json_int_t)why->ahead[NPU_CLASS_IDLE]);
}

/* NULL without memory. */
static json_t *why_json(const struct npu_why *why)
{
	json_t *root = json_pack(
	    "{sI sI sI sI ss sI ss sI}", "session", (json_int_t)why->session, "submission", (json_int_t)why->submission,
	    "job", (json_int_t)why->job, "queue", (json_int_t)why->queue, "class", show_class(why->class_of), "device",
	    (json_int_t)why->device, "state", state_name(why->state), "age_ns", (json_int_t)why->age_ns);
	json_t *more = NULL;

	if (why->state == NPU_WHY_WAITING)
		more = json_pack("{sI sI sI sI}", "queue_ahead", (json_int_t)why->queue_ahead, "job_ahead",
				 (json_int_t)why->job_ahead, "dependencies", (json_int_t)why->dependencies, "fences",
				 (json_int_t)why->fences);
	else if (why->state == NPU_WHY_QUEUED)
		more = json_pack("{sI so sI sI sI sI sI so}", "position", (json_int_t)why->position, "ahead",
				 ahead_json(why), "ahead_own", (json_int_t)why->ahead_own, "ahead_others",
				 (json_int_t)why->ahead_others, "in_flight", (json_int_t)why->in_flight, "wait_ns",
				 (json_int_t)why->wait_ns, "throttled_ns", (json_int_t)why->throttled_ns, "limits",
				 limits_json(why));
	else if (why->state == NPU_WHY_RUNNING)
		more = json_pack("{sI sI sI}", "device_ahead", (json_int_t)why->device_ahead, "running_ns",
				 (json_int_t)why->running_ns, "budget_left_ns", (json_int_t)why->budget_left_ns);
	else
		more = json_pack("{ss}", "outcome", npu_outcome_name(why->outcome));
	int error = root && more ? json_object_update(root, more) : -1;
	json_decref(more);
	if (error == 0)
		return root;
	json_decref(root);
	return NULL;
}

/* ------------------------------------------------------------------ the command */

/* One number of "SESSION:SUBMISSION", up to `end`. */
static const char *number_parse(const char *text, char end, uint64_t *out)
{
	char *rest = NULL;

	errno = 0;
	*out = strtoull(text, &rest, 0);
	return errno || rest == text || *text == '-' || *rest != end || *out == 0 ? NULL : rest;
}

static int name_parse(const char *text, uint64_t *session, uint64_t *submission)
{
	const char *colon = number_parse(text, ':', session);

	return colon && number_parse(colon + 1, '\0', submission) ? 0 : -EINVAL;
}

static int why_print(struct npu_connection *connection, const struct show_options *options, uint64_t session,
		     uint64_t submission)
{
	struct npu_why why;

	if (npu_why_session(connection, session, submission, &why) < 0) {
		(void)fprintf(stderr, "npuctl why: %s\n", npu_error());
		return EXIT_FAILURE;
	}
	if (options->json)
		return show_json("why", NULL, why_json(&why));
	paragraph_print(&why);
	return EXIT_SUCCESS;
}

int command_why(int argc, char **argv)
{
	struct show_options options = {0};
	uint64_t session, submission;
	int code = 0;

	if (show_options_parse(argc, argv, "why", usage_why, "j", &options, &code) < 0)
		return code;
	if (argc - optind != 1 || name_parse(argv[optind], &session, &submission) < 0)
		return usage_error("why", "takes SESSION:SUBMISSION, as npuctl ps has it");
	struct npu_connection *connection = show_connect("why", &options);
	if (!connection)
		return EXIT_FAILURE;
	code = why_print(connection, &options, session, submission);
	npu_disconnect(connection);
	return code;
}
