/* SPDX-License-Identifier: Apache-2.0 */
/* Which tenant a peer is, decided by rules; what follows for sessions, weights, classes and quotas. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/core/tenant.h"
#include "daemon/wire/cgroup.h"
#include "tests/unit/daemon/world.h"

static const struct rights_rules no_rights = {.own_uid = 77};

/* Three rules: users 1000 and 1001; group 44; cgroup /system.slice/x.service. */
static struct tenant_rules three_rules(void)
{
	struct tenant_rules rules = {.count = 3};

	rules.rule[0].match.who.users = (struct right_ids){.count = 2, .id = {1000, 1001}};
	rules.rule[1].match.who.groups = (struct right_ids){.count = 1, .id = {44}};
	rules.rule[2].match.cgroups = (struct tenant_cgroups){.count = 1, .path = {"/system.slice/x.service"}};
	return rules;
}

/* Number of the rule that decides: -1 the default, -2 none. */
static int decides(const struct tenant_rules *rules, const struct rights_subject *subject)
{
	const struct tenant_profile *profile = tenants_find(rules, &no_rights, subject);

	for (uint32_t i = 0; i < rules->count; i++)
		if (profile == &rules->rule[i].profile)
			return (int)i;
	return profile == &rules->fallback ? -1 : -2;
}

START_TEST(the_first_rule_that_names_the_peer_decides)
{
	static const uint32_t groups[] = {7, 44};
	struct tenant_rules rules = three_rules();
	const char *inside = "/system.slice/x.service";

	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1000, 5, NULL, 0, NULL}), 0);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1001, 44, NULL, 0, inside}), 0);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1002, 44, NULL, 0, inside}), 1);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1002, 5, groups, 2, inside}), 1);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1002, 5, groups, 1, inside}), 2);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1002, 5, NULL, 0, NULL}), -1);
	/* a user's number is no group's, and the other way round */
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){44, 1000, NULL, 0, NULL}), -1);
	/* root is a user like any other here */
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){0, 44, NULL, 0, NULL}), 1);
}
END_TEST

START_TEST(a_cgroup_matches_by_whole_components)
{
	struct tenant_rules rules = three_rules();
	struct rights_subject subject = {.uid = 5, .gid = 5};
	static const char *const inside[] = {"/system.slice/x.service", "/system.slice/x.service/a",
					     "/system.slice/x.service/a/b"};
	static const char *const outside[] = {"/",
					      "/system.slice",
					      "/system.slice/x.servic",
					      "/system.slice/x.service2",
					      "/system.slice/x.service (deleted)",
					      "/user/system.slice/x.service",
					      "/../system.slice/x.service",
					      "system.slice/x.service",
					      ""};

	for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++) {
		subject.cgroup = inside[i];
		ck_assert_msg(decides(&rules, &subject) == 2, "%s", inside[i]);
	}
	for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++) {
		subject.cgroup = outside[i];
		ck_assert_msg(decides(&rules, &subject) == -1, "%s", outside[i]);
	}
}
END_TEST

START_TEST(the_root_cgroup_names_everybody_whose_cgroup_is_known)
{
	struct tenant_rules rules = {.count = 1};

	rules.rule[0].match.cgroups = (struct tenant_cgroups){.count = 1, .path = {"/"}};
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){5, 5, NULL, 0, "/"}), 0);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){5, 5, NULL, 0, "/a/b"}), 0);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){5, 5, NULL, 0, NULL}), -1);
	ck_assert(tenants_name_cgroups(&rules));
	rules.rule[0].match.cgroups.count = 0;
	ck_assert(!tenants_name_cgroups(&rules));
}
END_TEST

START_TEST(who_is_unknown_can_be_refused_but_not_root_or_the_daemon)
{
	struct tenant_rules rules = three_rules();

	rules.unknown = TENANT_UNKNOWN_REFUSE;
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1002, 5, NULL, 0, NULL}), -2);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1000, 5, NULL, 0, NULL}), 0);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){0, 0, NULL, 0, NULL}), -1);
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){77, 5, NULL, 0, NULL}), -1);
	rules.count = 0;
	ck_assert_int_eq(decides(&rules, &(struct rights_subject){1000, 5, NULL, 0, NULL}), -2);
}
END_TEST

START_TEST(rights_of_the_tenant_and_of_the_peer_add_up)
{
	static const struct rights_rules rights = {.own_uid = 77, .of[RIGHT_MAPS].users = {.count = 1, .id = {1000}}};
	const struct tenant_profile profile = {.rights = RIGHT_BIT(RIGHT_SUBMIT)};

	ck_assert_uint_eq(tenants_rights(&profile, &rights, &(struct rights_subject){1000, 5, NULL, 0, NULL}),
			  RIGHT_BIT(RIGHT_SUBMIT) | RIGHT_BIT(RIGHT_MAPS));
	ck_assert_uint_eq(tenants_rights(&profile, &rights, &(struct rights_subject){1001, 5, NULL, 0, NULL}),
			  RIGHT_BIT(RIGHT_SUBMIT));
	ck_assert_uint_eq(tenants_rights(&profile, &rights, &(struct rights_subject){0, 5, NULL, 0, NULL}), RIGHTS_ALL);
	ck_assert_uint_eq(tenants_rights(&profile, &rights, &(struct rights_subject){77, 5, NULL, 0, NULL}),
			  RIGHTS_ALL);
}
END_TEST

START_TEST(only_plain_absolute_paths_are_cgroups)
{
	static const char *const good[] = {"/", "/a", "/a/b.service", "/a/...", "/.a"};
	static const char *const bad[] = {"", "a", "/a/", "//", "/a//b", "/.", "/..", "/a/./b", "/a/..", "./a"};
	char longest[TENANT_CGROUP_BYTES + 1];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ck_assert_msg(tenants_is_cgroup(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!tenants_is_cgroup(bad[i]), "%s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[TENANT_CGROUP_BYTES] = '\0';
	ck_assert(!tenants_is_cgroup(longest));
	longest[TENANT_CGROUP_BYTES - 1] = '\0';
	ck_assert(tenants_is_cgroup(longest));
}
END_TEST

/* ------------------------------------------------------------------ what the kernel says of a cgroup */

static const char *parsed(const char *text)
{
	static char copy[256];

	(void)snprintf(copy, sizeof(copy), "%s", text);
	return cgroup_parse(copy, strlen(text));
}

START_TEST(the_line_of_version_2_is_the_one_that_counts)
{
	ck_assert_str_eq(parsed("0::/a/b\n"), "/a/b");
	ck_assert_str_eq(parsed("0::/\n"), "/");
	ck_assert_str_eq(parsed("3:cpu:/x\n1:name=systemd:/y\n0::/a\n"), "/a");
	ck_assert_str_eq(parsed("0::/a (deleted)\n"), "/a (deleted)");
	ck_assert_ptr_null(parsed("3:cpu:/x\n"));
	ck_assert_ptr_null(parsed("10::/x\n"));
	ck_assert_ptr_null(parsed("0::x\n"));
	ck_assert_ptr_null(parsed("0::/cut/of"));
	ck_assert_ptr_null(parsed("0::"));
	ck_assert_ptr_null(parsed("\n"));
	ck_assert_ptr_null(parsed(""));
}
END_TEST

START_TEST(a_process_that_has_ended_has_no_cgroup)
{
	char text[CGROUP_TEXT_BYTES];
	const char *why = NULL;
	unsigned before = count_open_fds();
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	siginfo_t info;
	/* ended but not waited for: /proc still shows it, and its number is still its own */
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_ptr_null(cgroup_of(pid, pidfd, text, &why));
	ck_assert_str_eq(why, "the process has ended");
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_ptr_null(cgroup_of(pid, pidfd, text, &why));
	/* its number now belongs to somebody else: us, say */
	ck_assert_ptr_null(cgroup_of(getpid(), pidfd, text, &why));
	ck_assert_str_eq(why, "the process has ended");
	close(pidfd);
	ck_assert_ptr_null(cgroup_of(getpid(), -1, text, &why));
	ck_assert_uint_eq(count_open_fds(), before);
}
END_TEST

START_TEST(a_living_process_has_the_cgroup_that_the_kernel_says)
{
	char text[CGROUP_TEXT_BYTES], expected[CGROUP_TEXT_BYTES];
	const char *why = NULL;
	int file = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC), pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	ssize_t bytes = read(file, expected, sizeof(expected));

	ck_assert_int_gt(bytes, 0);
	const char *ours = cgroup_parse(expected, (size_t)bytes);
	const char *told = cgroup_of(getpid(), pidfd, text, &why);
	if (ours)
		ck_assert_str_eq(told, ours);
	else /* a host without version 2 */
		ck_assert_ptr_null(told);
	close(pidfd);
	close(file);
}
END_TEST

/* ------------------------------------------------------------------ sessions of tenants */

static struct session *session_of(struct world *world, const struct tenant_profile *profile, uid_t uid)
{
	const struct session_identity identity = {.uid = uid, .gid = uid, .pid = 1, .profile = profile, .fds = 2};
	struct session *session = NULL;
	struct fail fail;

	int error = session_open(world->host, &identity, NULL, NULL, &session, &fail);
	ck_assert_msg(error == 0, "%s", error ? fail.text : "");
	return session;
}

/* A world with two rules: rule 0 is one tenant, rule 1 one for each user. */
static void open_with_rules(struct world *world)
{
	struct host_options options = world_options();

	options.tenants.count = 2;
	for (int i = 0; i < 2; i++)
		options.tenants.rule[i].profile = options.tenants.fallback;
	options.tenants.rule[0].profile.per = TENANT_PER_RULE;
	(void)snprintf(options.tenants.rule[0].profile.name, TENANT_NAME_BYTES, "batch");
	(void)snprintf(options.tenants.rule[1].profile.name, TENANT_NAME_BYTES, "people");
	options.tenants.rule[0].profile.weight = 7;
	options.tenants.rule[0].profile.time_permille = 250;
	world_open_with(world, &options);
}

START_TEST(a_rule_is_one_tenant_or_one_for_each_user)
{
	struct world world;
	open_with_rules(&world);
	const struct tenant_rule *rule = world.host->options.tenants.rule;
	struct session *a = session_of(&world, &rule[0].profile, 1000), *b = session_of(&world, &rule[0].profile, 1001);
	struct session *c = session_of(&world, &rule[1].profile, 1000), *d = session_of(&world, &rule[1].profile, 1001);
	struct session *e = session_of(&world, &rule[1].profile, 1000);

	ck_assert_ptr_eq(a->tenant, b->tenant);
	ck_assert_str_eq(a->tenant->owner, "tenant batch");
	ck_assert_ptr_ne(c->tenant, a->tenant);
	ck_assert_ptr_ne(c->tenant, d->tenant);
	ck_assert_ptr_eq(c->tenant, e->tenant);
	ck_assert_str_eq(d->tenant->owner, "tenant people:1001");
	/* the same user under another rule is somebody else */
	ck_assert_ptr_ne(world_session_of(&world, 1000)->tenant, c->tenant);
	world_close(&world);
}
END_TEST

START_TEST(the_scheduler_is_told_weight_and_time)
{
	struct world world;
	open_with_rules(&world);
	const struct tenant_rule *rule = world.host->options.tenants.rule;
	struct session *a = session_of(&world, &rule[0].profile, 1), *b = session_of(&world, &rule[1].profile, 1);

	ck_assert_uint_eq(a->tenant->share.weight, 7);
	ck_assert_uint_eq(a->tenant->share.time_permille, 250);
	ck_assert_uint_eq(b->tenant->share.weight, SCHED_DEFAULT_WEIGHT);
	ck_assert_uint_eq(b->tenant->share.time_permille, SCHED_WHOLE);
	world_close(&world);
}
END_TEST

START_TEST(who_belongs_to_no_tenant_gets_no_session_and_is_told_what_to_do)
{
	const struct session_identity identity = {.uid = 1234, .gid = 5, .pid = 1};
	struct session *session = NULL;
	struct world world;
	struct fail fail;

	world_open(&world);
	ck_assert_int_eq(session_open(world.host, &identity, NULL, NULL, &session, &fail), -EPERM);
	ck_assert_ptr_nonnull(strstr(fail.text, "user 1234"));
	ck_assert_ptr_nonnull(strstr(fail.text, "npud.json"));
	ck_assert_ptr_null(session);
	world_close(&world);
}
END_TEST

START_TEST(a_class_has_to_be_allowed_and_realtime_needs_its_right_too)
{
	struct world world;
	struct fail fail;

	world_open(&world);
	struct tenant_profile *profile = &world.host->options.tenants.fallback;
	struct session *session = world_session(&world);
	profile->classes = TENANT_DEFAULT_CLASSES;
	ck_assert_int_eq(session_may_use(session, SCHED_NORMAL, &fail), 0);
	ck_assert_int_eq(session_may_use(session, SCHED_IDLE, &fail), 0);
	ck_assert_int_eq(session_may_use(session, SCHED_HIGH, &fail), -EPERM);
	ck_assert_ptr_nonnull(strstr(fail.text, "class \"high\": not among the classes of tenant default"));
	session->identity.rights = RIGHTS_ALL;
	ck_assert_int_eq(session_may_use(session, SCHED_REALTIME, &fail), -EPERM);
	profile->classes = TENANT_CLASS_BIT(SCHED_REALTIME);
	ck_assert_int_eq(session_may_use(session, SCHED_REALTIME, &fail), 0);
	ck_assert_int_eq(session_may_use(session, SCHED_NORMAL, &fail), -EPERM);
	session->identity.rights = RIGHTS_ALL & ~RIGHT_BIT(RIGHT_REALTIME);
	ck_assert_int_eq(session_may_use(session, SCHED_REALTIME, &fail), -EPERM);
	ck_assert_ptr_nonnull(strstr(fail.text, "needs the right \"realtime\""));
	world_close(&world);
}
END_TEST

/* ------------------------------------------------------------------ what is charged, and when it comes back */

static uint64_t used(const struct session *session, enum quota_resource resource)
{
	return session->tenant->quota.used[resource];
}

static void expect_refused(int error, const struct fail *fail, const char *limit, uint64_t used_by_tenant)
{
	ck_assert_int_eq(error, -EDQUOT);
	ck_assert_str_eq(fail->limit, limit);
	ck_assert_str_eq(fail->owner, "tenant default:1000");
	ck_assert_uint_eq(fail->used, used_by_tenant);
	ck_assert_uint_eq(fail->maximum, used_by_tenant);
	ck_assert_ptr_nonnull(strstr(fail->text, fail->owner));
	ck_assert_ptr_nonnull(strstr(fail->text, limit));
}

static void open_with_limit(struct world *world, enum quota_resource resource, uint64_t maximum)
{
	struct host_options options = world_options();

	options.tenants.fallback.maximum[resource] = maximum;
	world_open_with(world, &options);
}

START_TEST(submissions_count_from_their_acceptance_to_their_end)
{
	struct world world;
	struct fail fail;
	uint64_t submission;

	open_with_limit(&world, QUOTA_QUEUED, 4);
	struct session *a = world_session(&world), *b = world_session(&world);
	struct session *other = world_session_of(&world, 1001);
	struct job *job_a = make_job(a), *job_b = make_job(b);
	uint64_t first = run(&world, a, job_a), waits = submit(a, job_a);
	submit(b, job_b);
	submit(b, job_b);
	ck_assert_uint_eq(used(a, QUOTA_QUEUED), 4);
	expect_refused(try_submit(a, job_a, 0, &submission, &fail), &fail, "queued", 4);
	expect_refused(try_submit(b, job_b, 0, &submission, &fail), &fail, "queued", 4);
	submit(other, make_job(other)); /* pays for himself */
	/* what is cancelled has ended, and so has what the client has not heard of */
	ck_assert_int_eq(session_cancel(a, waits), CANCEL_QUEUED);
	ck_assert_uint_eq(used(a, QUOTA_QUEUED), 3);
	complete(&world, job_a);
	ck_assert_uint_eq(used(a, QUOTA_QUEUED), 2);
	expect(a, waits, OUT_CANCELLED);
	expect(a, first, OUT_DONE);
	ck_assert_uint_eq(used(a, QUOTA_QUEUED), 2);
	/* the end of a client ends what is on the device, too */
	session_close(b);
	world_work(&world);
	ck_assert_uint_eq(used(a, QUOTA_QUEUED), 0);
	world_close(&world);
}
END_TEST

START_TEST(a_submission_that_is_refused_counts_for_nothing)
{
	struct submit_request request = {.want_fence = true};
	struct submit_reply reply;
	struct world world;
	struct fail fail;

	open_with_limit(&world, QUOTA_FDS, 3);
	struct session *session = world_session(&world);
	struct job *job = make_job(session);
	request.job = job->handle;
	/* no descriptor is left for its fence */
	expect_refused(session_submit(session, &request, &reply, &fail), &fail, "fds", 3);
	ck_assert_uint_eq(used(session, QUOTA_QUEUED), 0);
	ck_assert_uint_eq(used(session, QUOTA_FDS), 3);
	ck_assert_uint_eq(session->active, 0);
	request = (struct submit_request){.job = 77};
	ck_assert_int_eq(session_submit(session, &request, &reply, &fail), -ENOENT);
	ck_assert_uint_eq(used(session, QUOTA_QUEUED), 0);
	world_close(&world);
}
END_TEST

START_TEST(descriptors_count_while_they_are_open)
{
	struct buffer_request wanted = {.bytes = 8192};
	struct submit_request request = {.want_fence = true};
	struct submit_reply reply;
	struct buffer *buffer;
	struct world world;
	struct fail fail;

	open_with_limit(&world, QUOTA_FDS, 7);
	struct session *a = world_session(&world), *b = world_session(&world);
	ck_assert_uint_eq(used(a, QUOTA_FDS), 4);
	struct buffer *held = make_buffer(a, 8192, false);
	struct job *job = make_job(b);
	ck_assert_uint_eq(used(a, QUOTA_FDS), 6);
	request.job = job->handle;
	ck_assert_int_eq(session_submit(b, &request, &reply, &fail), 0);
	close(reply.fence.notify_fd);
	ck_assert_uint_eq(used(a, QUOTA_FDS), 7);
	int error = try_import(a, make_memory(8192, F_SEAL_SHRINK), &wanted, &buffer, &fail);
	expect_refused(error, &fail, "fds", 7);
	ck_assert_uint_eq(used(a, QUOTA_BUFFERS), 2);
	ck_assert_uint_eq(used(a, QUOTA_BUFFER_BYTES), 16384);
	/* the fence's until it ends, the buffer's until it is closed, the connection's until that is */
	world_work(&world);
	complete(&world, job);
	ck_assert_uint_eq(used(a, QUOTA_FDS), 6);
	ck_assert_int_eq(buffer_release_handle(a, held->handle, NULL), 0);
	ck_assert_uint_eq(used(a, QUOTA_FDS), 6);
	world_work(&world);
	ck_assert_uint_eq(used(a, QUOTA_FDS), 5);
	session_close(b);
	world_work(&world);
	ck_assert_uint_eq(used(a, QUOTA_FDS), 2);
	world_close(&world);
}
END_TEST

START_TEST(a_connection_that_no_descriptors_are_left_for_gets_no_session)
{
	struct session_identity identity = {.uid = 1000, .fds = 2};
	struct session *session;
	struct world world;
	struct fail fail;

	open_with_limit(&world, QUOTA_FDS, 3);
	struct session *first = world_session(&world);
	identity.profile = first->identity.profile;
	ck_assert_int_eq(session_open(world.host, &identity, NULL, NULL, &session, &fail), -EDQUOT);
	ck_assert_str_eq(fail.limit, "fds");
	ck_assert_uint_eq(fail.used, 2);
	ck_assert_uint_eq(used(first, QUOTA_SESSIONS), 1);
	ck_assert_uint_eq(used(first, QUOTA_FDS), 2);
	world_close(&world);
}
END_TEST

START_TEST(one_session_may_have_all_of_its_tenants_quota)
{
	struct buffer_request wanted = {.bytes = 4096};
	struct buffer *buffer;
	struct world world;
	struct fail fail;

	open_with_limit(&world, QUOTA_BUFFERS, 3);
	struct session *a = world_session(&world), *b = world_session(&world);
	for (unsigned i = 0; i < 3; i++)
		buffer = make_buffer(a, 4096, false);
	ck_assert_uint_eq(a->quota.used[QUOTA_BUFFERS], 3);
	expect_refused(try_import(a, make_memory(4096, F_SEAL_SHRINK), &wanted, &buffer, &fail), &fail, "buffers", 3);
	expect_refused(try_import(b, make_memory(4096, F_SEAL_SHRINK), &wanted, &buffer, &fail), &fail, "buffers", 3);
	ck_assert_uint_eq(b->quota.used[QUOTA_BUFFERS], 0);
	ck_assert_uint_eq(b->quota.used[QUOTA_FDS], 2);
	/* what it gives back is the other's to take */
	session_close(a);
	world_work(&world);
	for (unsigned i = 0; i < 3; i++)
		make_buffer(b, 4096, false);
	ck_assert_uint_eq(used(b, QUOTA_BUFFERS), 3);
	world_close(&world);
}
END_TEST

START_TEST(what_the_host_cannot_spare_is_refused_as_its_capacity)
{
	struct host_options options = world_options();
	struct buffer_request wanted = {.bytes = 4096};
	struct buffer *buffer;
	struct world world;
	struct fail fail;

	options.capacity[QUOTA_BUFFER_BYTES] = 12288;
	options.tenants.fallback.maximum[QUOTA_BUFFER_BYTES] = 8192;
	world_open_with(&world, &options);
	struct session *a = world_session(&world), *b = world_session_of(&world, 1001);
	make_buffer(a, 8192, false);
	make_buffer(b, 4096, false);
	ck_assert_int_eq(try_import(b, make_memory(4096, F_SEAL_SHRINK), &wanted, &buffer, &fail), -EDQUOT);
	ck_assert_str_eq(fail.limit, "buffer_bytes");
	ck_assert_str_eq(fail.owner, "daemon");
	ck_assert_uint_eq(fail.used, 12288);
	ck_assert_uint_eq(fail.maximum, 12288);
	ck_assert_ptr_nonnull(strstr(fail.text, "capacity of the daemon for buffer_bytes is reached: 12288 of 12288"));
	/* nothing of it was charged */
	ck_assert_uint_eq(used(b, QUOTA_BUFFERS), 1);
	ck_assert_uint_eq(used(b, QUOTA_BUFFER_BYTES), 4096);
	world_close(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tenants");
	TCase *tcase = tcase_create("tenants");

	tcase_add_test(tcase, the_first_rule_that_names_the_peer_decides);
	tcase_add_test(tcase, a_cgroup_matches_by_whole_components);
	tcase_add_test(tcase, the_root_cgroup_names_everybody_whose_cgroup_is_known);
	tcase_add_test(tcase, who_is_unknown_can_be_refused_but_not_root_or_the_daemon);
	tcase_add_test(tcase, rights_of_the_tenant_and_of_the_peer_add_up);
	tcase_add_test(tcase, only_plain_absolute_paths_are_cgroups);
	tcase_add_test(tcase, the_line_of_version_2_is_the_one_that_counts);
	tcase_add_test(tcase, a_process_that_has_ended_has_no_cgroup);
	tcase_add_test(tcase, a_living_process_has_the_cgroup_that_the_kernel_says);
	tcase_add_test(tcase, a_rule_is_one_tenant_or_one_for_each_user);
	tcase_add_test(tcase, the_scheduler_is_told_weight_and_time);
	tcase_add_test(tcase, who_belongs_to_no_tenant_gets_no_session_and_is_told_what_to_do);
	tcase_add_test(tcase, a_class_has_to_be_allowed_and_realtime_needs_its_right_too);
	tcase_add_test(tcase, submissions_count_from_their_acceptance_to_their_end);
	tcase_add_test(tcase, a_submission_that_is_refused_counts_for_nothing);
	tcase_add_test(tcase, descriptors_count_while_they_are_open);
	tcase_add_test(tcase, a_connection_that_no_descriptors_are_left_for_gets_no_session);
	tcase_add_test(tcase, one_session_may_have_all_of_its_tenants_quota);
	tcase_add_test(tcase, what_the_host_cannot_spare_is_refused_as_its_capacity);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
