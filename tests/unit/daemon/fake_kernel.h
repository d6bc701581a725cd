/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel with one VFIO device, behind the daemon's table of system calls. Nodes of a fake host (fake_host.h) become
 * containers, groups, devices and iommufds; memory is in fake_iommu.h. Any single call can be told to fail, and what is
 * left over after a close can be asserted to be nothing.
 */
#ifndef NPUD_TESTS_FAKE_KERNEL_H
#define NPUD_TESTS_FAKE_KERNEL_H

#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "daemon/vfio/kernel_calls.h"
#include "daemon/vfio/vfio.h"
#include "tests/unit/daemon/fake_host.h"
#include "tests/unit/daemon/fake_iommu.h"

#define FAKE_FDS 256
#define FAKE_IRQS 5
#define FAKE_CONFIG_OFFSET (7ull << 40)
#define FAKE_REGION_BYTES 65536u

enum fake_kind { FAKE_NOTHING, FAKE_CONTAINER, FAKE_GROUP, FAKE_IOMMUFD, FAKE_CDEV, FAKE_DEVICE };

struct fake_irq {
	uint32_t count, flags;
	int refuse; /* what SET_IRQS answers to a trigger: negative errno or a positive number */
	int eventfd; /* the kernel's own reference, -1 = unbound */
	bool masked;
	unsigned unmasks;
};

struct fake_kernel {
	struct host host;
	enum fake_kind fds[FAKE_FDS];
	bool pci, map_file, viable, container_set, iommu_set, bound;
	int set_iommu_error, bind_error, group_error;
	unsigned open_again; /* GET_DEVICE_FD answers EAGAIN that often */
	struct fake_irq irqs[FAKE_IRQS];
	uint32_t irq_count, device_flags, region_flags;
	uint64_t region_bytes;
	bool region_sparse; /* lists an area that is not the whole */
	uint16_t config[32];
	bool config_dead; /* all ones */
	bool config_error; /* EIO */
	uint16_t stuck_command; /* bits that do not take */
	unsigned resets, hot_resets, reset_again, pauses;
	uint32_t hot_flags, hot_group;
	int hot_error;
	uint32_t hot_count_seen;
	/* failing */
	unsigned calls, fail_at;
	int fail_errno;
	const char *failed; /* name of the call that failed */
	const char *status; /* of /proc/self/status */
	unsigned touches; /* calls that reach the device or its IOMMU */
	int news; /* our end of the device's, -1 = nobody listens */
	int news_fd;
};

static struct fake_kernel fake;

static inline int fake_result(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

/* Counts the call; true if it is the one that has to fail. */
static inline bool fake_fails(const char *name)
{
	if (++fake.calls != fake.fail_at)
		return false;
	fake.failed = name;
	errno = fake.fail_errno;
	return true;
}

/* ------------------------------------------------------------------ descriptors */

static inline enum fake_kind fake_kind_of(const char *path)
{
	const char *inside = path + strlen(fake.host.root);

	if (strncmp(path, fake.host.root, strlen(fake.host.root)) != 0)
		return FAKE_NOTHING;
	if (strcmp(inside, "/dev/vfio/vfio") == 0)
		return FAKE_CONTAINER;
	if (strcmp(inside, "/dev/iommu") == 0)
		return FAKE_IOMMUFD;
	if (strncmp(inside, "/dev/vfio/devices/", 18) == 0)
		return FAKE_CDEV;
	return strcmp(inside, "/dev/vfio/" HOST_GROUP) == 0 ? FAKE_GROUP : FAKE_NOTHING;
}

static inline bool fake_is_open(enum fake_kind kind)
{
	for (int fd = 0; fd < FAKE_FDS; fd++)
		if (fake.fds[fd] == kind)
			return true;
	return false;
}

static inline int fake_open(const char *path, int flags)
{
	enum fake_kind kind = fake_kind_of(path);

	if (fake_fails("open"))
		return -1;
	if (strcmp(path, "/proc/self/status") == 0 && fake.status)
		path = fake.status;
	if (kind == FAKE_GROUP && fake.group_error)
		return fake_result(fake.group_error);
	if (kind == FAKE_GROUP && (fake_is_open(FAKE_GROUP) || fake.bound))
		return fake_result(EBUSY);
	int fd = open(path, flags);
	ck_assert_int_lt(fd, FAKE_FDS);
	if (fd >= 0) {
		ck_assert(flags & O_CLOEXEC);
		fake.fds[fd] = kind;
	}
	return fd;
}

/* The last descriptor of an iommufd or its device takes everything with it. */
static inline void fake_ended(enum fake_kind kind)
{
	if (kind == FAKE_DEVICE || kind == FAKE_CDEV)
		for (int i = 0; i < FAKE_IRQS; i++) {
			if (fake.irqs[i].eventfd >= 0)
				close(fake.irqs[i].eventfd);
			fake.irqs[i].eventfd = -1;
		}
	if (kind == FAKE_CDEV && !fake_is_open(FAKE_CDEV)) {
		fake.bound = false;
		fake_iommu.attached = 0;
	}
	if ((kind == FAKE_CDEV || kind == FAKE_IOMMUFD) && !fake_is_open(FAKE_IOMMUFD) && !fake.bound)
		for (int i = 1; i < FAKE_TABLES; i++)
			fake_table_end(&fake_iommu.tables[i]);
	if (fake_is_open(FAKE_CONTAINER) || fake_is_open(FAKE_DEVICE))
		return;
	fake.container_set = fake.iommu_set = false;
	fake_table_end(&fake_iommu.tables[0]);
}

static inline int fake_close(int fd)
{
	enum fake_kind kind = fake.fds[fd];

	ck_assert_int_ge(fd, 0);
	fake.fds[fd] = FAKE_NOTHING;
	int rc = close(fd);
	ck_assert_int_eq(rc, 0);
	if (fake.news >= 0 && fd == fake.news_fd) {
		close(fake.news);
		fake.news = -1;
	}
	/* A second opener of the character device, who never bound it, ends nothing. */
	if (kind != FAKE_NOTHING && !(kind == FAKE_CDEV && (fake_is_open(FAKE_CDEV) || !fake.bound)))
		fake_ended(kind);
	return 0;
}

/* ------------------------------------------------------------------ device */

static inline int fake_set_irqs(const struct vfio_irq_set *set)
{
	struct fake_irq *irq = &fake.irqs[set->index];
	int fd;

	if (set->index >= fake.irq_count || set->start + set->count > irq->count)
		return -EINVAL;
	if (set->flags == (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK)) {
		if (!(irq->flags & VFIO_IRQ_INFO_AUTOMASKED))
			return fake.pci ? -ENOTTY : -EINVAL;
		irq->masked = false;
		irq->unmasks++;
		return 0;
	}
	ck_assert_uint_eq(set->flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
	ck_assert_uint_eq(set->argsz, 24);
	if (irq->refuse)
		return irq->refuse;
	memcpy(&fd, set->data, sizeof(fd));
	if (irq->eventfd >= 0)
		close(irq->eventfd);
	irq->eventfd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 || irq->eventfd >= 0 ? 0 : -EBADF;
}

/* What the hardware does: signal, and mask a level interrupt before. */
static inline void fake_raise(uint32_t index)
{
	struct fake_irq *irq = &fake.irqs[index];
	uint64_t one = 1;

	if (irq->eventfd < 0 || irq->masked)
		return;
	irq->masked = irq->flags & VFIO_IRQ_INFO_AUTOMASKED;
	ck_assert_int_eq(write(irq->eventfd, &one, sizeof(one)), sizeof(one));
}

static inline int fake_region_info(struct vfio_region_info *info)
{
	struct {
		struct vfio_info_cap_header header;
		uint32_t nr_areas, reserved;
		struct vfio_region_sparse_mmap_area area;
	} sparse = {{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0}, 1, 0, {0, FAKE_PAGE}};

	ck_assert_uint_ge(info->argsz, 32 + sizeof(sparse));
	if (info->index == VFIO_PCI_CONFIG_REGION_INDEX && fake.pci) {
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		info->size = 256;
		info->offset = FAKE_CONFIG_OFFSET;
		return 0;
	}
	if (info->index != 0)
		return -EINVAL;
	info->flags = fake.region_flags;
	info->size = fake.region_bytes;
	info->offset = 0;
	if (fake.region_sparse) {
		info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info->cap_offset = sizeof(*info);
		memcpy(info + 1, &sparse, sizeof(sparse));
	}
	return 0;
}

static inline int fake_hot_reset_info(struct vfio_pci_hot_reset_info *info)
{
	if (fake.hot_error)
		return -fake.hot_error;
	info->flags = fake.hot_flags;
	info->count = 1;
	info->devices[0] = (struct vfio_pci_dependent_device){.group_id = fake.hot_group};
	return 0;
}

static inline void fake_after_reset(void)
{
	fake.config[2] = 0; /* the command register: neither memory nor bus mastering */
}

static inline int fake_hot_reset(const struct vfio_pci_hot_reset *reset)
{
	if (fake.reset_again && fake.reset_again--)
		return -EBUSY;
	fake.hot_count_seen = reset->count;
	if ((reset->count == 0) != fake.bound)
		return -EINVAL;
	if (reset->count && fake.fds[reset->group_fds[0]] != FAKE_GROUP)
		return -EBADF;
	fake.hot_resets++;
	fake_after_reset();
	return 0;
}

static inline int fake_device(unsigned long request, void *argument)
{
	struct vfio_device_info *info = argument;
	struct vfio_irq_info *irq = argument;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		info->flags = fake.device_flags;
		info->num_regions = fake.pci ? 9 : 1;
		info->num_irqs = fake.irq_count;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return fake_region_info(argument);
	case VFIO_DEVICE_GET_IRQ_INFO:
		if (irq->index >= fake.irq_count)
			return -EINVAL;
		irq->count = fake.irqs[irq->index].count;
		irq->flags = fake.irqs[irq->index].flags;
		return 0;
	case VFIO_DEVICE_SET_IRQS:
		return fake_set_irqs(argument);
	case VFIO_DEVICE_RESET:
		if (fake.reset_again && fake.reset_again--)
			return -EAGAIN;
		if (!(fake.device_flags & VFIO_DEVICE_FLAGS_RESET))
			return -EINVAL;
		fake.resets++;
		fake_after_reset();
		return 0;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return fake_hot_reset_info(argument);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return fake_hot_reset(argument);
	default:
		return -ENOTTY;
	}
}

static inline int fake_bind(struct vfio_device_bind_iommufd *bind)
{
	ck_assert_uint_eq(bind->argsz, 16);
	if (fake.bind_error)
		return -fake.bind_error;
	if (fake.fds[bind->iommufd] != FAKE_IOMMUFD)
		return -EBADF;
	if (fake_is_open(FAKE_GROUP))
		return -EBUSY;
	if (fake.bound)
		return -EINVAL;
	fake.bound = true;
	bind->out_devid = 55;
	return 0;
}

static inline int fake_cdev(unsigned long request, void *argument)
{
	const struct vfio_device_attach_iommufd_pt *attach = argument;

	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		return fake_bind(argument);
	if (!fake.bound)
		return -EINVAL;
	if (request != VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		return fake_device(request, argument);
	ck_assert_uint_eq(attach->argsz, 12);
	return -fake_attach(attach->pt_id);
}

/* ------------------------------------------------------------------ container and group */

static inline int fake_container(unsigned long request, void *argument)
{
	uintptr_t value = (uintptr_t)argument;

	switch (request) {
	case VFIO_GET_API_VERSION:
		return 0;
	case VFIO_CHECK_EXTENSION:
		return value == VFIO_TYPE1v2_IOMMU;
	case VFIO_SET_IOMMU:
		if (!fake.container_set || fake.iommu_set || value != VFIO_TYPE1v2_IOMMU)
			return -EINVAL;
		if (fake.set_iommu_error)
			return -fake.set_iommu_error;
		fake.iommu_set = true;
		return 0;
	default:
		return fake.iommu_set ? -fake_type1(request, argument) : -EINVAL;
	}
}

static inline int fake_device_fd(const char *name)
{
	if (!fake.iommu_set)
		return -EINVAL;
	if (strcmp(name, fake.host.address) != 0)
		return -ENODEV;
	if (fake.open_again && fake.open_again--)
		return -EAGAIN;
	int fd = open(host_path(&fake.host, "registers"), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	fake.fds[fd] = FAKE_DEVICE;
	return fd;
}

static inline int fake_group(unsigned long request, void *argument)
{
	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)argument)->flags = fake.viable ? VFIO_GROUP_FLAGS_VIABLE : 0;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		if (fake.fds[*(int *)argument] != FAKE_CONTAINER)
			return -EBADF;
		if (!fake.viable)
			return -EPERM;
		fake.container_set = true;
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		return fake_device_fd(argument);
	default:
		return -ENOTTY;
	}
}

static inline int fake_ioctl(int fd, unsigned long request, void *argument)
{
	if (fake_fails("ioctl"))
		return -1;
	fake.touches++;
	int rc = -ENOTTY;
	switch (fake.fds[fd]) {
	case FAKE_CONTAINER:
		rc = fake_container(request, argument);
		break;
	case FAKE_GROUP:
		rc = fake_group(request, argument);
		break;
	case FAKE_IOMMUFD:
		rc = -fake_iommufd(request, argument, fake.map_file);
		break;
	case FAKE_CDEV:
		rc = fake_cdev(request, argument);
		break;
	case FAKE_DEVICE:
		rc = fake_device(request, argument);
		break;
	case FAKE_NOTHING:
		break;
	}
	return rc < 0 ? fake_result(-rc) : rc;
}

/* ------------------------------------------------------------------ the other calls */

static inline void *fake_mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (fake_fails("mmap"))
		return MAP_FAILED;
	void *at = mmap(address, bytes, prot, flags, fd, offset);
	if (at != MAP_FAILED)
		fake_vma_add(at, bytes, prot, flags, fd, offset);
	return at;
}

static inline int fake_munmap(void *address, size_t bytes)
{
	fake_vma_forget((uintptr_t)address, bytes);
	fake_iommu.mmaps--;
	return munmap(address, bytes);
}

static inline ssize_t fake_read(int fd, void *data, size_t bytes)
{
	return fake_fails("read") ? -1 : read(fd, data, bytes);
}

static inline ssize_t fake_pread(int fd, void *data, size_t bytes, off_t offset)
{
	bool config = (uint64_t)offset >= FAKE_CONFIG_OFFSET;

	if (fake_fails("pread"))
		return -1;
	fake.touches += fake.fds[fd] != FAKE_NOTHING;
	if (!config)
		return pread(fd, data, bytes, offset);
	if (fake.config_error)
		return fake_result(EIO);
	memcpy(data, (uint8_t *)fake.config + ((uint64_t)offset - FAKE_CONFIG_OFFSET), bytes);
	if (fake.config_dead)
		memset(data, 0xff, bytes);
	return (ssize_t)bytes;
}

static inline ssize_t fake_pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	if (fake_fails("pwrite"))
		return -1;
	fake.touches++;
	if ((uint64_t)offset < FAKE_CONFIG_OFFSET)
		return pwrite(fd, data, bytes, offset);
	memcpy((uint8_t *)fake.config + ((uint64_t)offset - FAKE_CONFIG_OFFSET), data, bytes);
	fake.config[2] = (uint16_t)(fake.config[2] & ~fake.stuck_command);
	return (ssize_t)bytes;
}

static inline ssize_t fake_readlink(const char *path, char *target, size_t bytes)
{
	return fake_fails("readlink") ? -1 : readlink(path, target, bytes);
}

static inline int fake_access(const char *path, int mode)
{
	return fake_fails("access") ? -1 : access(path, mode);
}

static inline DIR *fake_opendir(const char *path)
{
	return fake_fails("opendir") ? NULL : opendir(path);
}

static inline int fake_fstat(int fd, struct stat *out)
{
	return fake_fails("fstat") ? -1 : fstat(fd, out);
}

static inline int fake_fcntl(int fd, int command, int argument)
{
	return fake_fails("fcntl") ? -1 : fcntl(fd, command, argument);
}

static inline int fake_flock(int fd, int operation)
{
	return fake_fails("flock") ? -1 : flock(fd, operation);
}

static inline int fake_eventfd(unsigned initial, int flags)
{
	return fake_fails("eventfd") ? -1 : eventfd(initial, flags);
}

/* Nobody sends news here. */
static inline int fake_uevent_open(void)
{
	return fake_fails("uevent_open") ? -errno : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static inline int fake_epoll_create1(int flags)
{
	return fake_fails("epoll_create1") ? -1 : epoll_create1(flags);
}

static inline int fake_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	return fake_fails("epoll_ctl") ? -1 : epoll_ctl(epoll, operation, fd, event);
}

static inline int fake_getrlimit(int resource, struct rlimit *out)
{
	if (fake_fails("getrlimit"))
		return -1;
	ck_assert_int_eq(resource, RLIMIT_MEMLOCK);
	*out = (struct rlimit){fake_iommu.limit, fake_iommu.limit};
	return 0;
}

/* The kernel's news of devices: messages, and readable when there is one. */
static inline int fake_uevent_open(void)
{
	int ends[2];

	if (fake_fails("uevent_open"))
		return -errno;
	ck_assert_int_eq(fake.news, -1);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	fake.news_fd = ends[0];
	fake.news = ends[1];
	return ends[0];
}

static inline void fake_announce(const char *message)
{
	ck_assert_int_eq(send(fake.news, message, strlen(message) + 1, 0), (ssize_t)strlen(message) + 1);
}

static inline void fake_pause(uint64_t ns)
{
	ck_assert_uint_le(ns, 100000000u);
	fake.pauses++;
}

static const struct kernel_calls fake_calls = {
    .open = fake_open,
    .close = fake_close,
    .ioctl = fake_ioctl,
    .mmap = fake_mmap,
    .munmap = fake_munmap,
    .read = fake_read,
    .pread = fake_pread,
    .pwrite = fake_pwrite,
    .readlink = fake_readlink,
    .access = fake_access,
    .opendir = fake_opendir,
    .fstat = fake_fstat,
    .fcntl = fake_fcntl,
    .flock = fake_flock,
    .eventfd = fake_eventfd,
    .uevent_open = fake_uevent_open,
    .epoll_create1 = fake_epoll_create1,
    .epoll_ctl = fake_epoll_ctl,
    .getrlimit = fake_getrlimit,
    .uevent_open = fake_uevent_open,
    .pause_ns = fake_pause,
};

/* ------------------------------------------------------------------ for tests */

static inline void fake_start(bool pci)
{
	const uint32_t level = VFIO_IRQ_INFO_EVENTFD | 2u | VFIO_IRQ_INFO_AUTOMASKED, edge = VFIO_IRQ_INFO_EVENTFD;

	fake = (struct fake_kernel){.pci = pci,
				    .map_file = true,
				    .viable = true,
				    .irq_count = pci ? FAKE_IRQS : 1,
				    .device_flags = pci ? VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET
							: VFIO_DEVICE_FLAGS_PLATFORM,
				    .region_flags = 7,
				    .region_bytes = FAKE_REGION_BYTES,
				    .config = {0x1f6e, 0x1234},
				    .hot_group = 7,
				    .fail_errno = EIO,
				    .news = -1};
	fake_iommu = (struct fake_iommu){.limit = 1ull << 40,
					 .max_entries = 65535,
					 .page = FAKE_PAGE,
					 .aperture_last = (1ull << 39) - 1,
					 .hole_first = 0xfee00000,
					 .hole_last = 0xfeefffff};
	for (int i = 0; i < FAKE_IRQS; i++)
		fake.irqs[i] = (struct fake_irq){.count = 1, .flags = i == 0 ? level : edge, .eventfd = -1};
	host_open(&fake.host, pci);
	ck_assert_int_eq(truncate(host_path(&fake.host, "registers"), FAKE_REGION_BYTES), 0);
	ck_assert_int_eq(truncate(host_path(&fake.host, "dev/vfio/devices/vfio3"), FAKE_REGION_BYTES), 0);
	kernel_calls_set(&fake_calls);
}

static inline int fake_open_device(enum vfio_iommu iommu, struct vfio_device **device, char why[512])
{
	const struct vfio_kernel_options options = {.iommu = iommu, .sys = fake.host.sys, .dev = fake.host.dev};

	return vfio_kernel_open(fake.host.address, &options, device, why, 512);
}

static inline struct vfio_device *fake_device_open(enum vfio_iommu iommu)
{
	struct vfio_device *device = NULL;
	char why[512];
	int rc = fake_open_device(iommu, &device, why);

	ck_assert_msg(rc == 0, "%d: %s", rc, why);
	return device;
}

static inline unsigned fake_open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* What a process has to have given back. Descriptors are counted by the caller: it knows how many there were. */
static inline void fake_nothing_left(void)
{
	ck_assert_int_eq(fake_iommu.mmaps, 0);
	ck_assert_uint_eq(fake_iommu.vma_count, 0);
	ck_assert_uint_eq(fake_iommu.pinned, 0);
	ck_assert(!fake.bound && !fake.container_set && !fake.iommu_set);
	ck_assert_int_eq(fake.news, -1);
	for (int i = 0; i < FAKE_TABLES; i++)
		ck_assert(!fake_iommu.tables[i].live && fake_iommu.tables[i].count == 0);
	for (int i = 0; i < FAKE_IRQS; i++)
		ck_assert_int_eq(fake.irqs[i].eventfd, -1);
	for (int i = 0; i < FAKE_FDS; i++)
		ck_assert_int_eq(fake.fds[i], FAKE_NOTHING);
}

static inline void fake_end(void)
{
	fake_nothing_left();
	kernel_calls_set(NULL);
	host_close(&fake.host);
}

static inline bool fake_readable(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	return poll(&pollfd, 1, 0) == 1;
}

static inline int fake_memfd(uint64_t bytes)
{
	int fd = memfd_create("npu-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static inline ino_t fake_inode(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

#endif
