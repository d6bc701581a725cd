/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole way of a device through each transport: claim, map, switch, recover, close, claim again. Memory runs out
 * once at every place in turn, and over the kernel's VFIO every system call fails in turn: the call that met it fails
 * and leaves everything as it was, it works when it is repeated, and at the end nothing is left.
 */
#include "tests/unit/quiet.h"

#include <jansson.h>

#include "tests/unit/daemon/fake_kernel.h"
#include "tests/unit/daemon/memory_ends.h"
#include "tests/unit/daemon/vfu_peer.h"

#define MEBI (1ull << 20)
#define PAGE 4096ull
#define MANY 34u /* maps of a session: tables of maps have to grow */
#define FEW 3u
#define MAX_PLACES 1000u

struct holdings {
	uint32_t mappings;
	int64_t mapped_there; /* as the other side has it: bytes, or maps */
	int windows; /* of memory, in this process */
	unsigned tables;
	bool bound;
};

struct journey {
	const struct way *way;
	unsigned maps;
	struct vfio_device *device;
	struct vfio_space *space[2];
	int memory[2];
	struct peer *peer; /* vfio-user */
	unsigned refusals;
	bool lost; /* the device, by a failure that leaves doubts */
};

struct way {
	const char *name;
	int (*open)(struct journey *journey, char why[512]);
	void (*close)(struct journey *journey);
	struct holdings (*look)(const struct journey *journey);
	enum vfio_iommu iommu;
	bool pci, map_file;
};

/* ------------------------------------------------------------------ over the kernel */

/* The fake kernel has memory of its own. */
static int apart_ioctl(int fd, unsigned long request, void *argument)
{
	bool armed = memory.armed;

	memory.armed = false;
	int rc = fake_ioctl(fd, request, argument);
	memory.armed = armed;
	return rc;
}

static int kernel_claim(struct journey *journey, char why[512])
{
	return fake_open_device(journey->way->iommu, &journey->device, why);
}

static void kernel_leave(struct journey *journey)
{
	vfio_close(journey->device);
	fake_nothing_left();
}

static struct holdings kernel_look(const struct journey *journey)
{
	struct holdings holdings = {.mappings = journey->device ? journey->device->mappings : 0,
				    .mapped_there = (int64_t)fake_iommu.pinned,
				    .windows = fake_iommu.mmaps,
				    .bound = fake.bound || fake.iommu_set};

	for (unsigned i = 0; i < FAKE_TABLES; i++)
		holdings.tables += fake_iommu.tables[i].live;
	return holdings;
}

/* ------------------------------------------------------------------ over vfio-user */

/* Counts what is mapped. Who hangs up before the first word had no memory for it. */
static void serve(struct peer *peer)
{
	char first;

	if (recv(peer->fd, &first, 1, MSG_PEEK) <= 0 || !peer_handshake(peer))
		return;
	while (peer_receive(peer)) {
		if (peer->header.flags & VFU_FLAG_NO_REPLY)
			continue;
		atomic_fetch_add(&peer->flag,
				 (peer->header.command == VFU_DMA_MAP) - (peer->header.command == VFU_DMA_UNMAP));
		if (peer->header.command == VFU_REGION_READ)
			peer_reply_read(peer, 1);
		else
			peer_reply(peer, peer->body, peer->header.command == VFU_DMA_UNMAP ? 24 : 0);
	}
}

static void peer_leave(struct journey *journey)
{
	vfio_close(journey->device);
	peer_free(journey->peer);
	journey->peer = NULL;
}

/* Without memory it may not even have knocked. */
static void knock(const struct peer *peer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, peer->path, sizeof(peer->path));
	(void)connect(fd, (const struct sockaddr *)&address, sizeof(address));
	close(fd);
}

static int peer_claim(struct journey *journey, char why[512])
{
	bool armed = memory.armed;

	memory.armed = false;
	journey->peer = peer_new(serve);
	journey->peer->raw = true;
	journey->peer->answers.json = "{\"capabilities\":{\"max_msg_fds\":8,\"max_dma_maps\":128}}";
	peer_start(journey->peer);
	memory.armed = armed;
	int rc = vfio_user_open(journey->peer->path, NULL, &journey->device, why, 512);
	if (rc) {
		knock(journey->peer);
		peer_leave(journey);
	}
	return rc;
}

static struct holdings peer_look(const struct journey *journey)
{
	return (struct holdings){.mappings = journey->device ? journey->device->mappings : 0,
				 .mapped_there = journey->peer ? atomic_load(&journey->peer->flag) : 0};
}

static const struct way ways[] = {
    {"iommufd, PCI", kernel_claim, kernel_leave, kernel_look, VFIO_IOMMU_IOMMUFD, true, true},
    {"iommufd by address, PCI", kernel_claim, kernel_leave, kernel_look, VFIO_IOMMU_IOMMUFD, true, false},
    {"type1, PCI", kernel_claim, kernel_leave, kernel_look, VFIO_IOMMU_TYPE1, true, false},
    {"iommufd, platform", kernel_claim, kernel_leave, kernel_look, VFIO_IOMMU_IOMMUFD, false, true},
    {"type1, platform", kernel_claim, kernel_leave, kernel_look, VFIO_IOMMU_TYPE1, false, false},
    {"vfio-user", peer_claim, peer_leave, peer_look, VFIO_IOMMU_AUTO, false, false},
};
#define WAYS ((int)(sizeof(ways) / sizeof(ways[0])))
#define KERNEL_WAYS (WAYS - 1)

/* ------------------------------------------------------------------ steps */

static int claim(struct journey *journey, unsigned n)
{
	char why[512] = "";

	(void)n;
	journey->device = NULL;
	int rc = journey->way->open(journey, why);
	ck_assert_msg(rc == 0 || (*why && !journey->device), "%s: %d and nothing is said", journey->way->name, rc);
	return rc;
}

static int make_space(struct journey *journey, unsigned n)
{
	return journey->device->ops->space_new ? journey->device->ops->space_new(journey->device, &journey->space[n])
					       : 0;
}

static int free_space(struct journey *journey, unsigned n)
{
	return journey->device->ops->space_free ? journey->device->ops->space_free(journey->device, journey->space[n])
						: 0;
}

static int map(struct journey *journey, unsigned n)
{
	unsigned session = n / journey->maps, page = n % journey->maps;

	return journey->device->ops->map(journey->device, journey->space[session], journey->memory[session],
					 page * PAGE, (iova_t){(1 + n) * MEBI}, PAGE,
					 n % 2 ? VFIO_READ : VFIO_READ | VFIO_WRITE);
}

static int unmap(struct journey *journey, unsigned n)
{
	return journey->device->ops->unmap(journey->device, journey->space[n / journey->maps], (iova_t){(1 + n) * MEBI},
					   PAGE);
}

static int attach(struct journey *journey, unsigned n)
{
	return journey->device->ops->attach ? journey->device->ops->attach(journey->device, journey->space[n]) : 0;
}

static int work(struct journey *journey, unsigned n)
{
	const struct vfio_ops *ops = journey->device->ops;
	uint32_t value;

	(void)n;
	int rc = ops->reg_write(journey->device, 4, 1);
	if (rc == 0)
		rc = ops->reg_read(journey->device, 0, &value);
	return rc ? rc : ops->irq_unmask(journey->device);
}

static int recover(struct journey *journey, unsigned n)
{
	(void)n;
	int rc = journey->device->ops->reset(journey->device);
	return rc == -ENOTSUP ? 0 : rc; /* a platform device has none */
}

/* A step that fails leaves what was there, and can be repeated, unless the device is lost with it. */
static void attempt(struct journey *journey, int (*step)(struct journey *journey, unsigned n), unsigned n)
{
	if (journey->lost)
		return;
	struct holdings before = journey->way->look(journey);
	int rc = step(journey, n);
	if (rc == 0)
		return;
	journey->refusals++;
	/* One that was told that the kernel knows a call, and then that it does not, is of as little use. */
	if ((rc == -ENODEV && step != claim) || rc == -ENOTTY) {
		journey->lost = true;
		return;
	}
	struct holdings after = journey->way->look(journey);
	ck_assert_uint_eq(after.mappings, before.mappings);
	ck_assert_int_eq(after.mapped_there, before.mapped_there);
	ck_assert_int_eq(after.windows, before.windows);
	ck_assert_uint_eq(after.tables, before.tables);
	ck_assert(after.bound == before.bound);
	rc = step(journey, n);
	ck_assert_msg(rc == 0, "%s: %d when it was repeated", journey->way->name, rc);
}

static void attempt_all(struct journey *journey, int (*step)(struct journey *journey, unsigned n), unsigned first,
			unsigned count)
{
	for (unsigned n = first; n < first + count; n++)
		attempt(journey, step, n);
}

static void leave(struct journey *journey)
{
	journey->way->close(journey);
	journey->device = NULL;
	journey->space[0] = journey->space[1] = NULL;
	journey->lost = false;
}

/* Two sessions take turns, the device is reset between them, and is opened again after it was closed. */
static void travel(struct journey *journey)
{
	unsigned maps = journey->maps;

	attempt(journey, claim, 0);
	attempt_all(journey, make_space, 0, 2);
	attempt_all(journey, map, 0, maps);
	attempt(journey, attach, 0);
	attempt(journey, work, 0);
	attempt_all(journey, map, maps, maps);
	attempt(journey, attach, 1);
	attempt(journey, recover, 0);
	attempt(journey, work, 0);
	attempt_all(journey, unmap, 0, maps);
	attempt(journey, free_space, 0);
	leave(journey);
	attempt(journey, claim, 0);
	attempt(journey, make_space, 0);
	attempt_all(journey, map, 0, maps);
	attempt(journey, attach, 0);
	attempt(journey, work, 0);
	leave(journey);
}

/* Also the fake kernel, which forgets nothing of one journey: there is nothing left to forget. */
static void prepare(struct journey *journey, const struct way *way, unsigned maps)
{
	static struct kernel_calls calls;

	*journey = (struct journey){.way = way, .maps = maps};
	for (unsigned i = 0; i < 2; i++)
		journey->memory[i] = fake_memfd(maps * PAGE);
	fake_start(way->pci);
	fake.map_file = way->map_file;
	calls = fake_calls;
	calls.ioctl = apart_ioctl;
	kernel_calls_set(&calls);
	count_fds();
}

static void finish(struct journey *journey)
{
	fake_end();
	close(journey->memory[0]);
	close(journey->memory[1]);
}

/* ------------------------------------------------------------------ failures */

START_TEST(without_memory_a_call_fails_and_changes_nothing)
{
	struct journey journey;
	unsigned place = 1;
	bool met = true;

	/* the parser of the server's capabilities, too */
	json_set_alloc_funcs(__wrap_malloc, free);
	prepare(&journey, &ways[_i], MANY);
	for (; met && place < MAX_PLACES; place++) {
		journey.refusals = 0;
		memory.count = 0;
		memory.fails_at = place;
		memory.armed = true;
		travel(&journey);
		memory.armed = false;
		met = memory.count >= place;
		/* each failure is told: nothing goes on with less than it needs */
		ck_assert_msg(journey.refusals == met, "%s: place %u: %u calls failed", ways[_i].name, place,
			      journey.refusals);
		no_fd_left();
	}
	ck_assert_uint_gt(place, 7);
	ck_assert_uint_lt(place, MAX_PLACES);
	finish(&journey);
}
END_TEST

static void fail_calls(struct journey *journey, int error)
{
	unsigned place = 1;

	for (bool met = true; met && place < MAX_PLACES; place++) {
		fake.calls = 0;
		fake.fail_at = place;
		fake.fail_errno = error;
		fake.failed = NULL;
		travel(journey);
		met = fake.failed;
		fake.fail_at = 0;
		no_fd_left();
	}
	ck_assert_uint_gt(place, 40);
	ck_assert_uint_lt(place, MAX_PLACES);
}

START_TEST(a_failed_system_call_costs_the_call_or_the_device_and_leaves_nothing)
{
	static const int errors[] = {EIO, EAGAIN, ENODEV};
	struct journey journey;

	prepare(&journey, &ways[_i], FEW);
	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		fail_calls(&journey, errors[i]);
	finish(&journey);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vfio_fail");
	TCase *tcase = tcase_create("vfio_fail");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, without_memory_a_call_fails_and_changes_nothing, 0, WAYS);
	tcase_add_loop_test(tcase, a_failed_system_call_costs_the_call_or_the_device_and_leaves_nothing, 0,
			    KERNEL_WAYS);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
