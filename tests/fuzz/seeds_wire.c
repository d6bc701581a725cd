/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations with the daemon, as fuzz_wire.c plays them: u16 length with the number of descriptors in its top two
 * bits, then the bytes; length 0 is something that happens to the device.
 */
#include <stdlib.h>

#include "npud.pb-c.h"
#include "proto/limits.h"
#include "tests/fuzz/seeds.h"

static struct seed out;
static uint32_t serial;

static void frame(Npud__Request__BodyCase which, void *body, unsigned fds)
{
	static uint8_t packed[NPUD_MAX_FRAME_BYTES];
	Npud__Request request = NPUD__REQUEST__INIT;

	request.serial = ++serial;
	request.body_case = which;
	request.hello = body; /* every member of the union is a pointer to a message */
	size_t bytes = npud__request__get_packed_size(&request);
	if (bytes > sizeof(packed))
		abort();
	npud__request__pack(&request, packed);
	uint16_t prefix = (uint16_t)(bytes | fds << 14);
	seed_add(&out, &prefix, sizeof(prefix));
	seed_add(&out, packed, bytes);
}

enum happening { COMPLETE, REPORT, TIME, GONE };

static void happens(enum happening what)
{
	static const uint8_t report[5] = {2, 0, 0, 1, 0};
	uint16_t prefix = (uint16_t)(what << 14);

	seed_add(&out, &prefix, sizeof(prefix));
	if (what == REPORT)
		seed_add(&out, report, sizeof(report));
}

static void hello(uint32_t major, uint32_t minor)
{
	Npud__Hello body = NPUD__HELLO__INIT;

	body.major = major;
	body.minor = minor;
	body.client_name = "fuzz";
	frame(NPUD__REQUEST__BODY_HELLO, &body, 0);
}

static void begin(void)
{
	out.bytes = 0;
	serial = 0;
}

static void import(uint64_t bytes, int read_only)
{
	Npud__BufferImport body = NPUD__BUFFER_IMPORT__INIT;

	body.bytes = bytes;
	body.read_only = read_only;
	body.align = 4096;
	frame(NPUD__REQUEST__BODY_BUFFER_IMPORT, &body, 1);
}

static void queries(void)
{
	Npud__Ping ping = NPUD__PING__INIT;
	Npud__DeviceQuery device = NPUD__DEVICE_QUERY__INIT;
	Npud__StatsQuery stats = NPUD__STATS_QUERY__INIT;

	frame(NPUD__REQUEST__BODY_PING, &ping, 0);
	frame(NPUD__REQUEST__BODY_DEVICE_QUERY, &device, 0);
	frame(NPUD__REQUEST__BODY_STATS_QUERY, &stats, 0);
}

/* A job of two groups in the buffer with handle `buffer`. */
static void job(uint64_t buffer, uint64_t handle)
{
	Npud__BufferRef ref = NPUD__BUFFER_REF__INIT, *uses[] = {&ref};
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__JobBegin job_begin = NPUD__JOB_BEGIN__INIT;
	Npud__Group group = NPUD__GROUP__INIT, next = NPUD__GROUP__INIT, *list[] = {&group, &next};
	Npud__JobGroups groups = NPUD__JOB_GROUPS__INIT;
	Npud__JobCommit commit = NPUD__JOB_COMMIT__INIT;

	ref.handle = buffer;
	v3.group_count = 2;
	v3.bss_count = 1;
	v3.uses = uses;
	v3.n_uses = 1;
	job_begin.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	job_begin.v3 = &v3;
	frame(NPUD__REQUEST__BODY_JOB_BEGIN, &job_begin, 0);
	group.text = group.parameters = group.stack = group.private_data = &ref;
	group.stack_stride = group.private_stride = 256;
	group.print = 1;
	next = group;
	next.dependency = NPUD__DEPENDENCY__DEPENDENCY_PREVIOUS;
	groups.job = handle;
	groups.groups = list;
	groups.n_groups = 2;
	frame(NPUD__REQUEST__BODY_JOB_GROUPS, &groups, 0);
	commit.job = handle;
	frame(NPUD__REQUEST__BODY_JOB_COMMIT, &commit, 0);
}

static void submit(uint64_t handle)
{
	Npud__JobSubmit body = NPUD__JOB_SUBMIT__INIT;

	body.job = handle;
	body.cookie = 7;
	body.budget_ns = 1000000;
	frame(NPUD__REQUEST__BODY_JOB_SUBMIT, &body, 0);
}

static void cancel(uint64_t submission)
{
	Npud__JobCancel body = NPUD__JOB_CANCEL__INIT;

	body.submission = submission;
	frame(NPUD__REQUEST__BODY_JOB_CANCEL, &body, 0);
}

static void finish(uint64_t handle)
{
	Npud__JobDestroy destroy = NPUD__JOB_DESTROY__INIT;
	Npud__BufferRelease release = NPUD__BUFFER_RELEASE__INIT;

	destroy.job = handle;
	frame(NPUD__REQUEST__BODY_JOB_DESTROY, &destroy, 0);
	release.handle = handle;
	frame(NPUD__REQUEST__BODY_BUFFER_RELEASE, &release, 0);
}

/* The first handle of a session, as the daemon numbers them: generation 1, index 1. */
#define FIRST (1ull << 32 | 1)

static void conversation(const enum happening *happening, size_t count, const char *name)
{
	begin();
	hello(NPUD_PROTOCOL_MAJOR, 0);
	queries();
	import(65536, 0);
	import(4096, 1);
	job(FIRST, FIRST);
	submit(FIRST);
	submit(FIRST);
	for (size_t i = 0; i < count; i++)
		happens(happening[i]);
	cancel(FIRST);
	submit(FIRST);
	finish(FIRST);
	seed_write(&out, "wire", name);
}

static void maps(uint64_t session, uint64_t from_session, uint64_t from_iova)
{
	Npud__MapsQuery body = NPUD__MAPS_QUERY__INIT;

	body.session = session;
	body.from_session = from_session;
	body.from_iova = from_iova;
	frame(NPUD__REQUEST__BODY_MAPS_QUERY, &body, 0);
}

/* All, one, none, from in between and from beyond; with an arena, live memory, and memory released while it is used. */
static void maps_of_everything(void)
{
	begin();
	hello(NPUD_PROTOCOL_MAJOR, NPUD_PROTOCOL_MINOR);
	maps(0, 0, 0);
	for (int i = 0; i < 70; i++)
		import(4096, i & 1);
	job(FIRST, FIRST);
	submit(FIRST);
	maps(0, 0, 0);
	maps(1, 1, 0x102001000);
	finish(FIRST);
	maps(0, 1, UINT64_MAX);
	happens(COMPLETE);
	maps(0, UINT64_MAX, UINT64_MAX);
	maps(UINT64_MAX, 0, 0);
	maps(2, 1, 1);
	seed_write(&out, "wire", "maps");
}

static void ps(uint64_t from)
{
	Npud__PsQuery body = NPUD__PS_QUERY__INIT;

	body.from_session = from;
	frame(NPUD__REQUEST__BODY_PS_QUERY, &body, 0);
}

static void why(uint64_t session, uint64_t submission)
{
	Npud__WhyQuery body = NPUD__WHY_QUERY__INIT;

	body.session = session;
	body.submission = submission;
	frame(NPUD__REQUEST__BODY_WHY_QUERY, &body, 0);
}

static void timeline(uint64_t from)
{
	Npud__TimelineQuery body = NPUD__TIMELINE_QUERY__INIT;

	body.from = from;
	frame(NPUD__REQUEST__BODY_TIMELINE_QUERY, &body, 0);
}

/* Before, while and after there is something; with names that are, were, never were. */
static void everything_visible(void)
{
	begin();
	hello(NPUD_PROTOCOL_MAJOR, NPUD_PROTOCOL_MINOR);
	ps(0);
	why(0, FIRST);
	timeline(0);
	import(4096, 1);
	job(FIRST, FIRST);
	for (int i = 0; i < 4; i++)
		submit(FIRST);
	ps(0);
	why(0, FIRST);
	why(0, FIRST + 1);
	why(1, FIRST + 2);
	why(2, FIRST);
	why(0, UINT64_MAX);
	happens(COMPLETE);
	why(0, FIRST);
	timeline(0);
	timeline(1);
	timeline(UINT64_MAX);
	ps(UINT64_MAX);
	seed_write(&out, "wire", "visible");
}

static void drain(uint32_t index, int resume)
{
	Npud__DeviceDrain body = NPUD__DEVICE_DRAIN__INIT;

	body.index = index;
	body.resume = resume;
	frame(NPUD__REQUEST__BODY_DEVICE_DRAIN, &body, 0);
}

static void reset(uint32_t index)
{
	Npud__DeviceReset body = NPUD__DEVICE_RESET__INIT;

	body.index = index;
	frame(NPUD__REQUEST__BODY_DEVICE_RESET, &body, 0);
}

static void registers(uint32_t index)
{
	Npud__RegistersQuery body = NPUD__REGISTERS_QUERY__INIT;

	body.index = index;
	frame(NPUD__REQUEST__BODY_REGISTERS_QUERY, &body, 0);
}

/* Of a device that is idle, runs something, is gone, was never there. */
static void an_operator(void)
{
	begin();
	hello(NPUD_PROTOCOL_MAJOR, NPUD_PROTOCOL_MINOR);
	drain(0, 0);
	drain(UINT32_MAX, 0);
	import(4096, 1);
	job(FIRST, FIRST);
	submit(FIRST);
	drain(0, 1);
	submit(FIRST);
	registers(0);
	reset(0);
	registers(0);
	registers(UINT32_MAX);
	happens(COMPLETE);
	submit(FIRST);
	drain(0, 0);
	submit(FIRST);
	reset(0);
	happens(COMPLETE);
	happens(GONE);
	happens(TIME);
	reset(0);
	reset(UINT32_MAX);
	registers(0);
	drain(0, 1);
	seed_write(&out, "wire", "operator");
}

#define GREEDY_REFS (NPUD_MAX_NESTED_PER_FRAME - 2) /* in two messages around them */
#define GREEDY_NUMBERS 4000

/* Few bytes that want much memory: as many small messages as may be, thousands of numbers. */
static void greedy(void)
{
	static Npud__BufferRef *uses[GREEDY_REFS];
	static uint64_t numbers[GREEDY_NUMBERS];
	Npud__BufferRef ref = NPUD__BUFFER_REF__INIT;
	Npud__JobV3 v3 = NPUD__JOB_V3__INIT;
	Npud__JobBegin job_begin = NPUD__JOB_BEGIN__INIT;
	Npud__JobSubmit body = NPUD__JOB_SUBMIT__INIT;

	begin();
	hello(NPUD_PROTOCOL_MAJOR, NPUD_PROTOCOL_MINOR);
	for (size_t i = 0; i < GREEDY_REFS; i++)
		uses[i] = &ref;
	v3.group_count = 1;
	v3.uses = uses;
	v3.n_uses = GREEDY_REFS;
	job_begin.generation_case = NPUD__JOB_BEGIN__GENERATION_V3;
	job_begin.v3 = &v3;
	frame(NPUD__REQUEST__BODY_JOB_BEGIN, &job_begin, 0);
	body.after = body.fences = numbers;
	body.n_after = body.n_fences = GREEDY_NUMBERS;
	frame(NPUD__REQUEST__BODY_JOB_SUBMIT, &body, 0);
	seed_write(&out, "wire", "greedy");
}

static void maps_of_an_old_client(void)
{
	begin();
	hello(NPUD_PROTOCOL_MAJOR, 0);
	maps(0, 0, 0);
	seed_write(&out, "wire", "maps-old-client");
}

void seeds_wire(void)
{
	maps_of_everything();
	maps_of_an_old_client();
	everything_visible();
	an_operator();
	greedy();
	conversation((const enum happening[]){COMPLETE, COMPLETE}, 2, "job-done");
	conversation((const enum happening[]){REPORT, COMPLETE}, 2, "job-exception");
	conversation((const enum happening[]){TIME, TIME, TIME}, 3, "job-timeout");
	conversation((const enum happening[]){GONE, TIME}, 2, "job-device-gone");
	begin();
	hello(NPUD_PROTOCOL_MAJOR + 1, 0);
	seed_write(&out, "wire", "other-major");
	begin();
	queries();
	seed_write(&out, "wire", "no-hello");
	begin();
	hello(NPUD_PROTOCOL_MAJOR, 0);
	hello(NPUD_PROTOCOL_MAJOR, 0);
	seed_write(&out, "wire", "second-hello");
}
