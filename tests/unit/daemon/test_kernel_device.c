/* SPDX-License-Identifier: Apache-2.0 */
/* A device of the kernel at work: registers that may vanish, its interrupt, its life and its resets. */
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/vfio/mmio.h"
#include "tests/unit/daemon/fake_kernel.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define ERR VFIO_PCI_ERR_IRQ_INDEX
#define REQ VFIO_PCI_REQ_IRQ_INDEX

static enum vfio_iommu kind_of(int i)
{
	return i ? VFIO_IOMMU_TYPE1 : VFIO_IOMMU_IOMMUFD;
}

/* The file behind region 0 of either interface. */
static const char *registers_path(const struct vfio_device *device)
{
	bool cdev = strcmp(device->ops->name, "iommufd") == 0;

	return host_path(&fake.host, cdev ? "dev/vfio/devices/vfio3" : "registers");
}

static void drain(int fd)
{
	uint64_t count;

	ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
}

/* Every call says so at once, and the kernel hears nothing of it. */
static void assert_gone(struct vfio_device *device)
{
	const struct vfio_ops *ops = device->ops;
	struct vfio_space *space = NULL;
	unsigned touches = fake.touches;
	uint32_t value;

	ck_assert_int_eq(ops->reg_read(device, 0, &value), -ENODEV);
	ck_assert_int_eq(ops->reg_write(device, 0, 1), -ENODEV);
	ck_assert_int_eq(ops->irq_unmask(device), -ENODEV);
	ck_assert_int_eq(ops->reset(device), -ENODEV);
	ck_assert_int_eq(ops->life(device), -ENODEV);
	ck_assert_int_eq(ops->map(device, NULL, 0, 0, (iova_t){0}, FAKE_PAGE, VFIO_READ), -ENODEV);
	ck_assert_int_eq(ops->unmap(device, NULL, (iova_t){0}, FAKE_PAGE), -ENODEV);
	if (ops->space_new) {
		ck_assert_int_eq(ops->space_new(device, &space), -ENODEV);
		ck_assert_int_eq(ops->attach(device, NULL), -ENODEV);
	}
	ck_assert_uint_eq(fake.touches, touches);
}

/* ------------------------------------------------------------------ registers */

/* _i: bit 0 the interface, bits 1 and 2: mapped, not mappable, mappable in part */
START_TEST(registers_are_read_and_written_in_place)
{
	struct vfio_device *device;
	uint32_t value = 0, word = 0x12345678;

	fake_start(true);
	if (_i / 2 == 1)
		fake.region_flags = 3;
	fake.region_sparse = _i / 2 == 2;
	device = fake_device_open(kind_of(_i % 2));
	ck_assert_int_eq(fake_iommu.mmaps, _i / 2 == 0);
	int fd = open(registers_path(device), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, &word, 4, 0x104), 4);
	ck_assert_int_eq(device->ops->reg_read(device, 0x104, &value), 0);
	ck_assert_uint_eq(value, 0x12345678);
	ck_assert_int_eq(device->ops->reg_write(device, FAKE_REGION_BYTES - 4, 0xcafe), 0);
	ck_assert_int_eq(pread(fd, &word, 4, FAKE_REGION_BYTES - 4), 4);
	ck_assert_uint_eq(word, 0xcafe);
	ck_assert_int_eq(device->ops->reg_read(device, FAKE_REGION_BYTES, &value), -EINVAL);
	ck_assert_int_eq(device->ops->reg_read(device, 2, &value), -EINVAL);
	ck_assert_int_eq(device->ops->reg_write(device, UINT32_MAX - 3, 0), -EINVAL);
	close(fd);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(registers_that_vanish_cost_the_device_and_not_the_process)
{
	struct vfio_device *device;
	uint32_t value = 7;

	fake_start(_i < 2);
	device = fake_device_open(kind_of(_i % 2));
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	/* what a reset or an unplugged device does to the mapping */
	ck_assert_int_eq(truncate(registers_path(device), 0), 0);
	value = 7;
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -ENODEV);
	ck_assert_uint_eq(value, 7);
	ck_assert_int_eq(truncate(registers_path(device), FAKE_REGION_BYTES), 0);
	assert_gone(device); /* and stays gone */
	vfio_close(device);

	ck_assert_int_eq(truncate(host_path(&fake.host, "registers"), FAKE_REGION_BYTES), 0);
	device = fake_device_open(kind_of(_i % 2));
	ck_assert_int_eq(truncate(registers_path(device), 0), 0);
	ck_assert_int_eq(device->ops->reg_write(device, 0, 1), -ENODEV);
	assert_gone(device);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_failing_region_read_costs_the_device)
{
	struct vfio_device *device;
	uint32_t value;

	fake_start(true);
	fake.region_flags = 3;
	device = fake_device_open(kind_of(_i));
	fake.fail_at = fake.calls + 1;
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -ENODEV);
	assert_gone(device);
	vfio_close(device);
	device = fake_device_open(kind_of(_i));
	fake.fail_at = fake.calls + 1;
	ck_assert_int_eq(device->ops->reg_write(device, 0, 1), -ENODEV);
	assert_gone(device);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(all_ones_are_a_value_while_the_vendor_id_answers)
{
	struct vfio_device *device;
	uint32_t value = 0;

	fake_start(true);
	device = fake_device_open(kind_of(_i % 2));
	ck_assert_int_eq(device->ops->reg_write(device, 0, UINT32_MAX), 0);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	ck_assert_uint_eq(value, UINT32_MAX);
	if (_i / 2)
		fake.config_dead = true;
	else
		fake.config_error = true;
	ck_assert_int_eq(device->ops->reg_read(device, 4, &value), 0); /* not all ones: nobody asks */
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), -ENODEV);
	assert_gone(device);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(all_ones_of_a_platform_device_are_for_others_to_judge)
{
	struct vfio_device *device;
	uint32_t value = 0;

	fake_start(false);
	device = fake_device_open(kind_of(_i));
	unsigned calls = fake.calls;
	ck_assert_int_eq(device->ops->reg_write(device, 0, UINT32_MAX), 0);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0);
	ck_assert_uint_eq(value, UINT32_MAX);
	ck_assert_uint_eq(fake.calls, calls); /* mapped: no system call for a register */
	vfio_close(device);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ the guard and everybody else's SIGBUS */

static volatile sig_atomic_t seen;
static sigjmp_buf back;

static void own_handler(int number)
{
	seen = number;
	siglongjmp(back, 1);
}

static void own_action(int number, siginfo_t *info, void *context)
{
	(void)context;
	own_handler(info->si_code > 0 ? number : -1);
}

static volatile uint32_t *vanished(void)
{
	int fd = fake_memfd(FAKE_PAGE);
	void *at = mmap(NULL, FAKE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	close(fd);
	return at;
}

START_TEST(other_faults_reach_the_handler_that_was_there)
{
	struct sigaction action = {.sa_handler = own_handler};
	volatile uint32_t *at = vanished();
	uint32_t value;

	if (_i)
		action = (struct sigaction){.sa_sigaction = own_action, .sa_flags = SA_SIGINFO};
	ck_assert_int_eq(sigaction(SIGBUS, &action, NULL), 0);
	mmio_guard_install();
	mmio_guard_install();
	ck_assert_int_eq(mmio_read(at, &value), -ENODEV);
	ck_assert_int_eq(mmio_write(at, 1), -ENODEV);
	ck_assert_int_eq(mmio_read(at, &value), -ENODEV); /* again: nothing stayed blocked */
	ck_assert_int_eq(seen, 0);
	if (sigsetjmp(back, 1) == 0) {
		*at = 1;
		ck_abort_msg("the fault was swallowed");
	}
	ck_assert_int_eq(seen, SIGBUS);
	ck_assert_int_eq(mmio_read(at, &value), -ENODEV);
	munmap((void *)(uintptr_t)at, FAKE_PAGE);
}
END_TEST

/* 0: a fault, 1: sent by somebody, 2: sent, but ignored before */
START_TEST(without_a_handler_the_process_ends_as_ever)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		signal(SIGBUS, _i == 2 ? SIG_IGN : SIG_DFL);
		mmio_guard_install();
		if (_i == 0)
			*vanished() = 1;
		else
			raise(SIGBUS);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(_i == 2 ? WIFEXITED(status) : WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, 1);
}
END_TEST

/* ------------------------------------------------------------------ interrupt */

START_TEST(the_best_interrupt_is_armed)
{
	static const uint32_t order[] = {MSIX, MSI, INTX};
	struct vfio_device *device;

	fake_start(true);
	for (int i = 0; i < _i % 3; i++) {
		if (_i < 3)
			fake.irqs[order[i]].count = 0; /* there is none */
		else
			fake.irqs[order[i]].refuse = i ? -ENOSPC : 1; /* positive: fewer vectors than asked for */
	}
	device = fake_device_open(VFIO_IOMMU_AUTO);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fake.irqs[order[i]].eventfd >= 0, i == _i % 3);
	ck_assert(!fake_readable(device->irq_fd));
	fake_raise(order[_i % 3]);
	ck_assert(fake_readable(device->irq_fd));
	drain(device->irq_fd);
	uint64_t count; /* it does not block */
	ck_assert_int_eq(read(device->irq_fd, &count, sizeof(count)), -1);
	ck_assert_int_eq(errno, EAGAIN);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(without_any_interrupt_each_reason_is_given)
{
	struct vfio_device *device = NULL;
	char why[512];

	fake_start(_i);
	fake.irqs[0].refuse = -EINVAL;
	fake.irqs[MSI].refuse = -ENOSPC;
	fake.irqs[MSIX].count = 0;
	ck_assert_int_lt(fake_open_device(VFIO_IOMMU_TYPE1, &device, why), 0);
	ck_assert_ptr_null(device);
	if (_i)
		ck_assert_ptr_nonnull(strstr(why, "MSI-X: the device has none, MSI: No space left on device, INTx: "));
	else
		ck_assert_ptr_nonnull(strstr(why, "arming interrupt 0: Invalid argument (EINVAL)"));
	fake.irq_count = 0;
	ck_assert_int_eq(fake_open_device(VFIO_IOMMU_TYPE1, &device, why), -ENOTSUP);
	fake_end();
}
END_TEST

/* _i: 0 PCI INTx, 1 platform level */
START_TEST(a_level_interrupt_is_masked_until_it_is_unmasked)
{
	struct vfio_device *device;

	fake_start(_i == 0);
	fake.irqs[MSIX].count = fake.irqs[MSI].count = 0;
	device = fake_device_open(VFIO_IOMMU_AUTO);
	fake_raise(0);
	drain(device->irq_fd);
	fake_raise(0);
	ck_assert(!fake_readable(device->irq_fd));
	ck_assert_int_eq(device->ops->irq_unmask(device), 0);
	ck_assert_uint_eq(fake.irqs[0].unmasks, 1);
	fake_raise(0);
	ck_assert(fake_readable(device->irq_fd));
	vfio_close(device);
	fake_end();
}
END_TEST

/* _i: 0 PCI MSI-X, 1 platform edge */
START_TEST(an_edge_is_never_unmasked)
{
	struct vfio_device *device;

	fake_start(_i == 0);
	if (_i)
		fake.irqs[0].flags = VFIO_IRQ_INFO_EVENTFD;
	device = fake_device_open(VFIO_IOMMU_AUTO);
	unsigned touches = fake.touches;
	ck_assert_int_eq(device->ops->irq_unmask(device), 0);
	ck_assert_uint_eq(fake.touches, touches); /* the kernel would refuse */
	for (int i = 0; i < 3; i++) {
		fake_raise(_i ? 0 : MSIX);
		drain(device->irq_fd);
	}
	vfio_close(device);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ life */

START_TEST(an_error_event_ends_the_device)
{
	struct vfio_device *device;

	fake_start(true);
	device = fake_device_open(kind_of(_i));
	ck_assert(!fake_readable(device->life_fd));
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_OK);
	fake_raise(ERR);
	ck_assert(fake_readable(device->life_fd));
	ck_assert_int_eq(device->ops->life(device), -ENODEV);
	ck_assert(!fake_readable(device->life_fd)); /* a loop would spin */
	assert_gone(device);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_release_request_is_remembered_and_does_not_spin)
{
	struct vfio_device *device;
	uint32_t value;

	fake_start(true);
	device = fake_device_open(kind_of(_i));
	fake_raise(REQ);
	fake_raise(REQ); /* the kernel repeats itself */
	ck_assert(fake_readable(device->life_fd));
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_RELEASE);
	ck_assert(!fake_readable(device->life_fd));
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_RELEASE);
	ck_assert_int_eq(device->ops->reg_read(device, 0, &value), 0); /* work may be finished */
	fake_raise(ERR);
	ck_assert_int_eq(device->ops->life(device), -ENODEV);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_device_without_such_events_opens_too)
{
	struct vfio_device *device;

	fake_start(true);
	fake.irqs[ERR].count = 0; /* conventional PCI */
	fake.irq_count = _i ? 4 : FAKE_IRQS; /* an old kernel knows no release request */
	device = fake_device_open(VFIO_IOMMU_AUTO);
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_OK);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_platform_device_is_released_by_the_kernels_news)
{
	struct vfio_device *device;

	fake_start(false);
	device = fake_device_open(kind_of(_i));
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_OK);
	fake_announce("remove@/devices/platform/20000000.npu/vfio-dev/vfio4");
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_OK);
	ck_assert(!fake_readable(device->life_fd));
	fake_announce("remove@/devices/platform/" HOST_PLATFORM "/vfio-dev/vfio3");
	ck_assert(fake_readable(device->life_fd));
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_RELEASE);
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_RELEASE);
	vfio_close(device);
	fake_end();
}
END_TEST

/* The last call of an open is the one for news. */
START_TEST(a_platform_device_opens_without_news)
{
	struct vfio_device *device;

	fake_start(false);
	device = fake_device_open(kind_of(_i));
	fake.fail_at = fake.calls;
	vfio_close(device);
	fake.calls = 0;
	device = fake_device_open(kind_of(_i));
	ck_assert_str_eq(fake.failed, "uevent_open");
	ck_assert_int_eq(device->life_fd, -1);
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_OK);
	vfio_close(device);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ reset */

START_TEST(memory_and_bus_mastering_are_on_after_open_and_after_reset)
{
	struct vfio_device *device;

	fake_start(true);
	fake.config[2] = 0x400; /* what else is there stays */
	device = fake_device_open(kind_of(_i));
	ck_assert_uint_eq(fake.config[2], 0x406);
	ck_assert_int_eq(device->ops->reset(device), 0);
	ck_assert_uint_eq(fake.resets, 1);
	ck_assert_uint_eq(fake.config[2], 0x006);
	fake.stuck_command = 4;
	ck_assert_int_eq(device->ops->reset(device), -EIO);
	fake.stuck_command = 0;
	fake.config_dead = true;
	ck_assert_int_eq(device->ops->reset(device), -ENODEV);
	assert_gone(device);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(maps_and_the_interrupt_survive_a_reset)
{
	struct vfio_device *device;
	int memory = fake_memfd(FAKE_PAGE);

	fake_start(true);
	fake.irqs[MSIX].count = fake.irqs[MSI].count = 0;
	device = fake_device_open(VFIO_IOMMU_TYPE1);
	ck_assert_int_eq(device->ops->map(device, NULL, memory, 0, (iova_t){0}, FAKE_PAGE, VFIO_READ), 0);
	fake_raise(INTX); /* masked now, and the reset takes its cause away */
	drain(device->irq_fd);
	ck_assert_int_eq(device->ops->reset(device), 0);
	ck_assert_ptr_nonnull(fake_dma(0, 0));
	fake_raise(INTX);
	ck_assert(fake_readable(device->irq_fd));
	close(memory);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_lock_is_waited_for_a_bounded_number_of_times)
{
	struct vfio_device *device;

	fake_start(true);
	if (_i / 2)
		fake.device_flags = VFIO_DEVICE_FLAGS_PCI; /* hot reset */
	fake.hot_flags = _i % 2 ? 0 : VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	device = fake_device_open(kind_of(_i % 2));
	fake.reset_again = 5;
	ck_assert_int_eq(device->ops->reset(device), 0);
	ck_assert_uint_eq(fake.pauses, 5);
	ck_assert_uint_eq(fake.resets + fake.hot_resets, 1);
	fake.reset_again = 1000000;
	ck_assert_int_eq(device->ops->reset(device), _i / 2 ? -EBUSY : -EAGAIN);
	ck_assert_uint_le(fake.pauses, 100);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_hot_reset_needs_everything_to_be_ours)
{
	const uint32_t devid = VFIO_PCI_HOT_RESET_FLAG_DEV_ID, owned = devid | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	struct vfio_device *device;

	fake_start(true);
	fake.device_flags = VFIO_DEVICE_FLAGS_PCI;
	device = fake_device_open(kind_of(_i));
	if (_i)
		fake.hot_group = 8; /* somebody else's */
	else
		fake.hot_flags = devid;
	ck_assert_int_eq(device->ops->reset(device), -ENOTSUP);
	ck_assert_uint_eq(fake.hot_resets, 0);
	fake.hot_group = 7;
	fake.hot_flags = _i ? 0 : owned;
	ck_assert_int_eq(device->ops->reset(device), 0);
	ck_assert_uint_eq(fake.hot_resets, 1);
	ck_assert_uint_eq(fake.hot_count_seen, _i ? 1 : 0); /* groups are shown, devices are known */
	ck_assert_uint_eq(fake.config[2], 6);
	/* on the root bus there is nothing to reset, which does not mean that the device is gone */
	fake.hot_error = ENODEV;
	ck_assert_int_eq(device->ops->reset(device), -ENOTSUP);
	ck_assert_int_eq(device->ops->life(device), VFIO_LIFE_OK);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_platform_device_is_reset_only_by_its_handler)
{
	struct vfio_device *device;

	fake_start(false);
	device = fake_device_open(kind_of(_i));
	ck_assert_int_eq(device->ops->reset(device), -ENOTSUP);
	vfio_close(device);
	fake.device_flags |= VFIO_DEVICE_FLAGS_RESET;
	device = fake_device_open(kind_of(_i));
	ck_assert_int_eq(device->ops->reset(device), 0);
	ck_assert_uint_eq(fake.resets, 1);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_device_that_the_kernel_lost_is_lost)
{
	struct vfio_device *device;

	fake_start(false);
	device = fake_device_open(kind_of(_i));
	fake.fail_at = fake.calls + 1;
	fake.fail_errno = ENODEV;
	ck_assert_int_eq(device->ops->irq_unmask(device), -ENODEV);
	assert_gone(device);
	vfio_close(device);
	fake_end();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("kernel_device");
	TCase *tc = tcase_create("device");

	tcase_add_loop_test(tc, registers_are_read_and_written_in_place, 0, 6);
	tcase_add_loop_test(tc, registers_that_vanish_cost_the_device_and_not_the_process, 0, 4);
	tcase_add_loop_test(tc, a_failing_region_read_costs_the_device, 0, 2);
	tcase_add_loop_test(tc, all_ones_are_a_value_while_the_vendor_id_answers, 0, 4);
	tcase_add_loop_test(tc, all_ones_of_a_platform_device_are_for_others_to_judge, 0, 2);
	tcase_add_loop_test(tc, other_faults_reach_the_handler_that_was_there, 0, 2);
	tcase_add_loop_test(tc, without_a_handler_the_process_ends_as_ever, 0, 3);
	tcase_add_loop_test(tc, the_best_interrupt_is_armed, 0, 6);
	tcase_add_loop_test(tc, without_any_interrupt_each_reason_is_given, 0, 2);
	tcase_add_loop_test(tc, a_level_interrupt_is_masked_until_it_is_unmasked, 0, 2);
	tcase_add_loop_test(tc, an_edge_is_never_unmasked, 0, 2);
	tcase_add_loop_test(tc, an_error_event_ends_the_device, 0, 2);
	tcase_add_loop_test(tc, a_release_request_is_remembered_and_does_not_spin, 0, 2);
	tcase_add_loop_test(tc, a_device_without_such_events_opens_too, 0, 2);
	tcase_add_loop_test(tc, a_platform_device_is_released_by_the_kernels_news, 0, 2);
	tcase_add_loop_test(tc, a_platform_device_opens_without_news, 0, 2);
	tcase_add_loop_test(tc, memory_and_bus_mastering_are_on_after_open_and_after_reset, 0, 2);
	tcase_add_test(tc, maps_and_the_interrupt_survive_a_reset);
	tcase_add_loop_test(tc, a_lock_is_waited_for_a_bounded_number_of_times, 0, 4);
	tcase_add_loop_test(tc, a_hot_reset_needs_everything_to_be_ours, 0, 2);
	tcase_add_loop_test(tc, a_platform_device_is_reset_only_by_its_handler, 0, 2);
	tcase_add_loop_test(tc, a_device_that_the_kernel_lost_is_lost, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_main(suite());
}
