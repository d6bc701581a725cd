/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/raw.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/limits.h"

int raw_connect(const struct harness *harness)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	strncpy(address.sun_path, harness->socket, sizeof(address.sun_path) - 1);
	ck_assert_msg(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "connect: %s",
		      strerror(errno));
	return fd;
}

int raw_send_bytes(int fd, const void *data, size_t bytes, const int *fds, unsigned fd_count)
{
	char control[CMSG_SPACE(sizeof(int) * RAW_MAX_FDS)] = {0};
	struct iovec iov = {(void *)(uintptr_t)data, bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int raw_send(int fd, const Npud__Request *request, int passed_fd)
{
	uint8_t frame[NPUD_MAX_FRAME_BYTES];
	size_t bytes = npud__request__get_packed_size(request);

	ck_assert_uint_le(bytes, sizeof(frame));
	npud__request__pack(request, frame);
	return raw_send_bytes(fd, frame, bytes, &passed_fd, passed_fd >= 0);
}

Npud__ServerFrame *raw_receive(int fd)
{
	uint8_t frame[2 * NPUD_MAX_FRAME_BYTES];
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	ck_assert_msg(poll(&pollfd, 1, (int)(PATIENCE_NS / 1000000)) == 1, "npud neither answers nor hangs up");
	ssize_t bytes = recv(fd, frame, sizeof(frame), 0);
	if (bytes <= 0)
		return NULL;
	ck_assert_uint_le((size_t)bytes, NPUD_MAX_FRAME_BYTES);
	Npud__ServerFrame *message = npud__server_frame__unpack(NULL, (size_t)bytes, frame);
	ck_assert_ptr_nonnull(message);
	return message;
}

void raw_free(Npud__ServerFrame *frame)
{
	if (frame)
		npud__server_frame__free_unpacked(frame, NULL);
}

Npud__ServerFrame *raw_call(int fd, Npud__Request *request, int passed_fd)
{
	static uint32_t serial;

	request->serial = ++serial;
	ck_assert_int_eq(raw_send(fd, request, passed_fd), 0);
	for (;;) {
		Npud__ServerFrame *frame = raw_receive(fd);

		ck_assert_msg(frame != NULL, "npud hung up");
		if (frame->body_case == NPUD__SERVER_FRAME__BODY_REPLY) {
			ck_assert_uint_eq(frame->reply->serial, request->serial);
			return frame;
		}
		raw_free(frame);
	}
}

Npud__Request raw_request(Npud__Request__BodyCase body)
{
	Npud__Request request = NPUD__REQUEST__INIT;

	request.body_case = body;
	return request;
}

void raw_hello(int fd, const char *name)
{
	Npud__Hello hello = NPUD__HELLO__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	hello.major = NPUD_PROTOCOL_MAJOR;
	hello.minor = NPUD_PROTOCOL_MINOR;
	hello.client_name = (char *)(uintptr_t)name;
	request.body_case = NPUD__REQUEST__BODY_HELLO;
	request.hello = &hello;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	ck_assert_ptr_null(frame->reply->error);
	ck_assert_int_eq(frame->reply->body_case, NPUD__REPLY__BODY_HELLO);
	raw_free(frame);
}

int raw_open_as(const struct harness *harness, const char *name)
{
	int fd = raw_connect(harness);

	raw_hello(fd, name);
	return fd;
}

int raw_open(const struct harness *harness)
{
	return raw_open_as(harness, "test");
}

/* ------------------------------------------------------------------ what is expected of an answer */

void raw_expect_closed(int fd)
{
	for (int i = 0; i < 3; i++) {
		Npud__ServerFrame *frame = raw_receive(fd);

		if (!frame) {
			close(fd);
			return;
		}
		ck_assert_int_eq(frame->body_case, NPUD__SERVER_FRAME__BODY_REPLY);
		ck_assert_ptr_nonnull(frame->reply->error);
		ck_assert_int_eq(frame->reply->error->code, NPUD__ERROR_CODE__ERROR_PROTOCOL);
		ck_assert_str_ne(frame->reply->error->message, "");
		raw_free(frame);
	}
	ck_abort_msg("the connection stays open");
}

Npud__ErrorCode raw_code(int fd, Npud__Request *request, int passed_fd)
{
	Npud__ServerFrame *frame = raw_call(fd, request, passed_fd);
	Npud__ErrorCode code = NPUD__ERROR_CODE__ERROR_UNSPECIFIED;

	if (frame->reply->error) {
		code = frame->reply->error->code;
		ck_assert_str_ne(frame->reply->error->message, "");
		if (code == NPUD__ERROR_CODE__ERROR_LIMIT)
			ck_assert_str_ne(frame->reply->error->limit, "");
	}
	raw_free(frame);
	return code;
}

/* ------------------------------------------------------------------ memory and jobs */

int raw_memory(size_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)bytes), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

Npud__ErrorCode raw_import(int fd, int file, uint64_t offset, uint64_t bytes, uint64_t align, bool read_only)
{
	Npud__BufferImport message = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;

	message.offset = offset;
	message.bytes = bytes;
	message.align = align;
	message.read_only = read_only;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &message;
	return raw_code(fd, &request, file);
}

uint64_t raw_import_handle(int fd, size_t bytes, bool read_only)
{
	Npud__BufferImport message = NPUD__BUFFER_IMPORT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	int file = raw_memory(bytes, F_SEAL_SHRINK);

	message.bytes = bytes;
	message.read_only = read_only;
	request.body_case = NPUD__REQUEST__BODY_BUFFER_IMPORT;
	request.buffer_import = &message;
	Npud__ServerFrame *frame = raw_call(fd, &request, file);
	ck_assert_ptr_null(frame->reply->error);
	uint64_t handle = frame->reply->buffer_info->handle;
	raw_free(frame);
	close(file);
	return handle;
}

uint64_t raw_job_begin(int fd, uint32_t groups, uint32_t bss, Npud__ErrorCode *code)
{
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__JobBegin message = NPUD__JOB_BEGIN__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	uint64_t job = 0;

	v3.group_count = groups;
	v3.bss_count = bss;
	message.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	message.v3 = &v3;
	request.body_case = NPUD__REQUEST__BODY_JOB_BEGIN;
	request.job_begin = &message;
	Npud__ServerFrame *frame = raw_call(fd, &request, -1);
	*code = frame->reply->error ? frame->reply->error->code : 0;
	if (*code == 0)
		job = frame->reply->job_info->job;
	raw_free(frame);
	return job;
}

uint64_t raw_job_of(int fd, uint64_t buffer)
{
	Npud__Group group = NPUD__GROUP__INIT, *list[] = {&group};
	Npud__BufferRef ref = NPUD__BUFFER_REF__INIT, stack = NPUD__BUFFER_REF__INIT;
	Npud__JobGroups groups = NPUD__JOB_GROUPS__INIT;
	Npud__JobCommit commit = NPUD__JOB_COMMIT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__ErrorCode code;

	ref.handle = stack.handle = buffer;
	stack.offset = 0x1000;
	group.text = group.parameters = &ref;
	group.stack = group.private_data = &stack;
	group.stack_stride = group.private_stride = 0x100;
	group.dependency = NPUD__DEPENDENCY__DEPENDENCY_ALL;
	groups.n_groups = 1;
	groups.groups = list;
	groups.job = commit.job = raw_job_begin(fd, 1, 1, &code);
	ck_assert_int_eq(code, 0);
	request.body_case = NPUD__REQUEST__BODY_JOB_GROUPS;
	request.job_groups = &groups;
	ASSERT_CODE(fd, &request, -1, 0);
	request.body_case = NPUD__REQUEST__BODY_JOB_COMMIT;
	request.job_commit = &commit;
	ASSERT_CODE(fd, &request, -1, 0);
	return groups.job;
}

Npud__Outcome raw_run(int fd, uint64_t job, uint64_t budget_ns)
{
	Npud__JobSubmit message = NPUD__JOB_SUBMIT__INIT;
	Npud__Request request = NPUD__REQUEST__INIT;
	Npud__Outcome outcome = NPUD__OUTCOME__OUTCOME_UNSPECIFIED;

	message.job = job;
	message.budget_ns = budget_ns;
	request.body_case = NPUD__REQUEST__BODY_JOB_SUBMIT;
	request.job_submit = &message;
	ck_assert_int_eq(raw_send(fd, &request, -1), 0);
	while (outcome == NPUD__OUTCOME__OUTCOME_UNSPECIFIED) {
		Npud__ServerFrame *frame = raw_receive(fd);

		ck_assert_ptr_nonnull(frame);
		if (frame->body_case == NPUD__SERVER_FRAME__BODY_REPLY)
			ck_assert_msg(!frame->reply->error, "submit: %s", frame->reply->error->message);
		else if (frame->event->body_case == NPUD__EVENT__BODY_JOB_DONE)
			outcome = frame->event->job_done->outcome;
		raw_free(frame);
	}
	return outcome;
}
