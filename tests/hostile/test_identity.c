/* SPDX-License-Identifier: Apache-2.0 */
/* Attackers that claim to be somebody else, reach for what is somebody else's, or should not come in at all. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/hostile/scene.h"
#include "tests/integration/raw.h"

/* ------------------------------------------------------------------ who it is */

/* Requests that only root may make. */
static Npud__ErrorCode ask_stats(int fd)
{
	Npud__StatsQuery query = NPUD__STATS_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	request.body_case = NPUD__REQUEST__BODY_STATS_QUERY;
	request.stats_query = &query;
	return raw_code(fd, &request, -1);
}

static Npud__ErrorCode ask_maps(int fd)
{
	Npud__MapsQuery query = NPUD__MAPS_QUERY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	request.body_case = NPUD__REQUEST__BODY_MAPS_QUERY;
	request.maps_query = &query;
	return raw_code(fd, &request, -1);
}

/* Credentials in a control message: the kernel lets nobody lie there, and the daemon does not read them. */
static void send_credentials(int fd, struct ucred credentials, bool kernel_allows)
{
	union {
		char bytes[CMSG_SPACE(sizeof(credentials))];
		struct cmsghdr align;
	} control = {0};
	Npud__Ping ping = NPUD__PING__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint8_t frame[64];

	request.body_case = NPUD__REQUEST__BODY_PING;
	request.ping = &ping;
	struct iovec iov = {frame, npud__request__pack(&request, frame)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	message.msg_controllen = sizeof(control);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_CREDENTIALS;
	header->cmsg_len = CMSG_LEN(sizeof(credentials));
	memcpy(CMSG_DATA(header), &credentials, sizeof(credentials));
	ck_assert_int_eq(sendmsg(fd, &message, MSG_NOSIGNAL) >= 0, kernel_allows);
}

static int forge(struct harness *where, void *user)
{
	const pid_t *victim = user;
	int fd = raw_connect(where);

	raw_hello(fd, "root uid=0 pid=1"); /* the only text of a client's own */
	send_credentials(fd, (struct ucred){*victim, 0, 0}, false);
	send_credentials(fd, (struct ucred){getpid(), MALLORY, MALLORY}, true);
	Npud__ServerFrame *frame = raw_receive(fd); /* an ordinary ping */
	ck_assert_ptr_nonnull(frame);
	ck_assert_ptr_null(frame->reply->error);
	raw_free(frame);
	ck_assert_int_eq(ask_stats(fd), NPUD__ERROR_CODE__ERROR_PERMISSION);
	ck_assert_int_eq(ask_maps(fd), NPUD__ERROR_CODE__ERROR_PERMISSION);
	close(fd);
	return 0;
}

/* Holds all three jobs that one user may have. */
static int hold_all_jobs(struct harness *where, void *user)
{
	int fd = raw_open(where);
	Npud__ErrorCode code;

	(void)user;
	for (unsigned i = 0; i < 3; i++)
		(void)raw_job_begin(fd, 1, 1, &code);
	ck_assert_int_eq(code, 0);
	(void)raw_job_begin(fd, 1, 1, &code);
	ck_assert_int_eq(code, NPUD__ERROR_CODE__ERROR_LIMIT);
	attack_ready();
	int result = attack_stay();
	close(fd);
	return result;
}

START_TEST(attack_forge_identity)
{
	pid_t self = getpid();

	scene_start(
	    &(struct harness_options){.socket = SOCKET_FOR_ALL, .members = ",\"limits\":{\"tenant\":{\"jobs\":3}}"});
	attack_as(MALLORY, forge, &self);
	/* what one user has is not charged to another, whatever the two say */
	struct accomplice first = attack_begin(MALLORY, hold_all_jobs, NULL);
	attack_await(&first);
	struct accomplice second = attack_begin(TRUDY, hold_all_jobs, NULL);
	attack_await(&second);
	attack_end(&first);
	attack_end(&second);
	scene_stop();
}
END_TEST

/* ------------------------------------------------------------------ what is whose */

#define EACH_HANDLE(X)                                                                                                 \
	X(BUFFER_RELEASE, buffer_release, Npud__BufferRelease, NPUD__BUFFER_RELEASE__INIT, handle)                     \
	X(JOB_GROUPS, job_groups, Npud__JobGroups, NPUD__JOB_GROUPS__INIT, job)                                        \
	X(JOB_COMMIT, job_commit, Npud__JobCommit, NPUD__JOB_COMMIT__INIT, job)                                        \
	X(JOB_DESTROY, job_destroy, Npud__JobDestroy, NPUD__JOB_DESTROY__INIT, job)                                    \
	X(JOB_SUBMIT, job_submit, Npud__JobSubmit, NPUD__JOB_SUBMIT__INIT, job)

/* Every request that takes the name of an object. */
static void expect_no_such(int fd, uint64_t handle)
{
#define EXPECT_NO_SUCH(body, member, type, init, field)                                                                \
	do {                                                                                                           \
		Npud__Request request = NPUD__REQUEST__INIT;                                                           \
		type message = init;                                                                                   \
		message.field = handle;                                                                                \
		request.body_case = NPUD__REQUEST__BODY_##body;                                                        \
		request.member = &message;                                                                             \
		ASSERT_CODE(fd, &request, -1, NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);                                 \
	} while (0);
	EACH_HANDLE(EXPECT_NO_SUCH)
}

static void expect_nothing_to_cancel(int fd, uint64_t submission)
{
	Npud__JobCancel cancel = NPUD__JOB_CANCEL__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	cancel.submission = submission;
	request.body_case = NPUD__REQUEST__BODY_JOB_CANCEL;
	request.job_cancel = &cancel;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_int_eq(frame->reply->cancel_info->state, NPUD__CANCEL_STATE__CANCEL_FINISHED);
	raw_free(frame);
}

/* A group of the thief's own job that names the victim's memory. */
static void expect_no_use(int fd, uint64_t handle)
{
	Npud__JobGroups message = NPUD__JOB_GROUPS__INIT;
	Npud__JobDestroy destroy = NPUD__JOB_DESTROY__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__ErrorCode code;

	message.job = destroy.job = raw_job_begin(fd, 1, 1, &code);
	ck_assert_int_eq(code, 0);
	message.n_uses = 1;
	message.uses = &handle;
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &message;
	ASSERT_CODE(fd, &request, -1, NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT);
	request.body_case = NPUD__REQUEST__BODY_JOB_DESTROY;
	request.job_destroy = &destroy;
	ASSERT_CODE(fd, &request, -1, 0);
}

static int guess(struct harness *where, void *user)
{
	static const uint64_t fixed[] = {0, 1, 2, 0x100000000, 0x100000001, UINT32_MAX, UINT64_MAX};
	uint64_t state = 88172645463325252ull;
	int fd = raw_open(where);

	(void)user;
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		expect_no_such(fd, fixed[i]);
		expect_nothing_to_cancel(fd, fixed[i]);
		expect_no_use(fd, fixed[i] ? fixed[i] : 3);
	}
	for (unsigned i = 0; i < 1000; i++) {
		/* near what a session counts: small generations of small indexes; every fourth anywhere */
		uint64_t handle = scene_random(&state);

		if (i % 4)
			handle = (handle & 3) << 32 | (handle >> 32 & 15);
		expect_no_such(fd, handle);
		expect_nothing_to_cancel(fd, handle);
	}
	close(fd);
	return 0;
}

/* Two sessions: the victim has a job, its buffers, and a submission that runs while the thief guesses. */
START_TEST(attack_guess_another_clients_handle)
{
	scene_start(NULL);
	struct npu_job *spin = job_of(scene_innocent(), program_spin());
	uint64_t running = submit_running(scene_innocent(), spin, 0);
	attack_as(MALLORY, guess, NULL);
	ck_assert_int_eq(npu_cancel(scene_innocent(), running), NPU_CANCEL_RUNNING); /* there all the time */
	ASSERT_OUTCOME(wait_for(scene_innocent(), running), NPU_CANCELLED);
	ASSERT_NPU(npu_job_free(spin));
	scene_stop();
}
END_TEST

/* ------------------------------------------------------------------ who comes in */

static int try_connect(struct harness *where, void *user)
{
	const int *wanted = user;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, where->socket, sizeof(address.sun_path) - 1);
	int rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	return (rc == 0 ? 0 : errno) != *wanted;
}

/* What is shipped says: the owner and one group. */
static void expect_shipped_mode(const char *path, const char *line)
{
	char text[512];
	bool found = false;
	FILE *file = fopen(path, "re");

	ck_assert_msg(file != NULL, "%s: %s (tests run in the top folder)", path, strerror(errno));
	while (fgets(text, sizeof(text), file))
		found |= strstr(text, line) != NULL;
	(void)fclose(file);
	ck_assert_msg(found, "%s: no '%s'", path, line);
}

START_TEST(attack_default_open_to_all_local_users)
{
	const struct group *users = getgrnam("users");
	int denied = EACCES, fine = 0;
	struct stat socket_file;

	expect_shipped_mode("config/npud.json", "\"mode\": \"0660\", \"group\": \"npu\"");
	expect_shipped_mode("systemd/npud.socket", "SocketMode=0660");
	expect_shipped_mode("systemd/npud.socket", "SocketGroup=npu");
	ck_assert_ptr_nonnull(users);
	scene_start(&(struct harness_options){.socket = "\"mode\":\"0660\",\"group\":\"users\""});
	ck_assert_int_eq(stat(harness->socket, &socket_file), 0);
	ck_assert_uint_eq(socket_file.st_mode & 0777, 0660);
	ck_assert_uint_eq(socket_file.st_gid, users->gr_gid);
	client_wait(client_start_as(harness, MALLORY, MALLORY, try_connect, &denied));
	client_wait(client_start_as(harness, ALICE, users->gr_gid, try_connect, &fine));
	client_wait(client_start_as(harness, ALICE, users->gr_gid, innocent_life, NULL));
	scene_stop();
}
END_TEST

/* ------------------------------------------------------------------ the sandbox */

struct rights_case {
	uid_t uid;
	gid_t gid, extra; /* 0: none */
	bool maps, stats;
};

static int check_rights(struct harness *where, void *user)
{
	const struct rights_case *wanted = user;
	int fd;

	if (setgroups(wanted->extra != 0, &wanted->extra) || setresgid(wanted->gid, wanted->gid, wanted->gid) ||
	    setresuid(wanted->uid, wanted->uid, wanted->uid))
		return 125;
	fd = raw_open(where);
	ck_assert_int_eq(ask_maps(fd) == 0, wanted->maps);
	ck_assert_int_eq(ask_stats(fd) == 0, wanted->stats);
	close(fd);
	return 0;
}

/* A line of /proc/PID/status, as a number. */
static unsigned long long status_of(pid_t pid, const char *name, int base)
{
	char path[64], line[256];
	unsigned long long value = ~0ull;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoull(line + strlen(name), NULL, base);
	(void)fclose(file);
	return value;
}

/*
 * Every test here runs npud in the sandbox of its unit (sandbox.c). What could break there is who may do what: the
 * kernel has to tell the daemon who a peer is, its groups included, and the daemon to believe it.
 */
START_TEST(attack_hardening_breaks_authorisation)
{
	const struct rights_case cases[] = {
	    {0, 0, 0, true, true},
	    {MALLORY, MALLORY, 0, false, false},
	    {TRUDY, TRUDY, 0, true, false}, /* rights.maps.users */
	    {ALICE, 62010, 0, true, false}, /* rights.maps.groups: its first group */
	    {ALICE, ALICE, 62010, true, false}, /* a supplementary one */
	    {ALICE, ALICE, 62011, false, false},
	};

	scene_start(&(struct harness_options){
	    .socket = SOCKET_FOR_ALL, .members = ",\"rights\":{\"maps\":{\"users\":[62002],\"groups\":[62010]}}"});
	ck_assert_msg(harness->launcher != NULL, "NPUD_LAUNCHER has to name the sandbox");
	ck_assert_uint_ne(status_of(harness->npud, "Uid:", 10), 0);
	ck_assert_uint_eq(status_of(harness->npud, "CapEff:", 16), 0);
	ck_assert_uint_eq(status_of(harness->npud, "CapPrm:", 16), 0);
	ck_assert_uint_eq(status_of(harness->npud, "CapBnd:", 16), 0);
	ck_assert_uint_eq(status_of(harness->npud, "NoNewPrivs:", 10), 1);
	ck_assert_uint_eq(status_of(harness->npud, "Seccomp:", 10), 2);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		client_wait(client_start(harness, check_rights, (void *)(uintptr_t)&cases[i]));
	attack_as(ALICE, innocent_life, NULL);
	scene_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("identity");
	TCase *all = tcase_create("identity");

	tcase_set_timeout(all, 120);
	tcase_add_test(all, attack_forge_identity);
	tcase_add_test(all, attack_guess_another_clients_handle);
	tcase_add_test(all, attack_default_open_to_all_local_users);
	tcase_add_test(all, attack_hardening_breaks_authorisation);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
