/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a device of the kernel: which interface is chosen, what is refused, and whether the reason helps. */
#include "tests/unit/daemon/fake_kernel.h"

#define MEBI (1ull << 20)

static char why[512];

static int open_as(enum vfio_iommu iommu, struct vfio_device **device)
{
	return fake_open_device(iommu, device, why);
}

/* Fails with `error`, says all of `words`, and leaves nothing. */
static void refused(enum vfio_iommu iommu, int error, const char *const *words)
{
	struct vfio_device *device = NULL;
	unsigned fds = fake_open_fds();
	int rc = open_as(iommu, &device);

	ck_assert_msg(rc == error, "%d, not %d: %s", rc, error, why);
	ck_assert_ptr_null(device);
	for (; *words; words++)
		ck_assert_msg(strstr(why, *words), "\"%s\" is not in: %s", *words, why);
	ck_assert_uint_eq(fake_open_fds(), fds);
	fake_nothing_left();
}
#define REFUSED(iommu, error, ...) refused(iommu, error, (const char *const[]){__VA_ARGS__, NULL})

/* ------------------------------------------------------------------ choice */

START_TEST(iommufd_comes_first_and_nothing_has_to_be_explained)
{
	struct vfio_device *device;

	fake_start(_i);
	ck_assert_int_eq(open_as(VFIO_IOMMU_AUTO, &device), 0);
	ck_assert_str_eq(device->ops->name, "iommufd");
	ck_assert_str_eq(why, "");
	ck_assert_ptr_nonnull(device->ops->attach);
	ck_assert_uint_eq(device->mmio_bytes, FAKE_REGION_BYTES);
	ck_assert_uint_eq(device->page_bytes, FAKE_PAGE);
	ck_assert_uint_eq(device->mappings, 0);
	ck_assert_int_ge(device->irq_fd, 0);
	ck_assert_int_ge(device->life_fd, 0);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(type1_takes_over_and_says_why)
{
	struct vfio_device *device;

	fake_start(_i);
	ck_assert_int_eq(unlink(host_path(&fake.host, "dev/iommu")), 0);
	ck_assert_int_eq(open_as(VFIO_IOMMU_AUTO, &device), 0);
	ck_assert_str_eq(device->ops->name, "type1");
	ck_assert_ptr_null(device->ops->space_new);
	ck_assert_ptr_null(device->ops->space_free);
	ck_assert_ptr_null(device->ops->attach);
	ck_assert_uint_eq(device->max_mappings, 65535);
	ck_assert_ptr_nonnull(strstr(why, "iommufd: open "));
	ck_assert_ptr_nonnull(strstr(why, "/dev/iommu: No such file or directory (ENOENT)"));
	ck_assert_ptr_null(strstr(why, "type1"));
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(a_forced_interface_is_the_only_one_tried)
{
	struct vfio_device *device;

	fake_start(true);
	ck_assert_int_eq(open_as(VFIO_IOMMU_TYPE1, &device), 0);
	ck_assert_str_eq(device->ops->name, "type1");
	vfio_close(device);
	ck_assert_int_eq(unlink(host_path(&fake.host, "dev/iommu")), 0);
	REFUSED(VFIO_IOMMU_IOMMUFD, -ENOENT, "iommufd: open", "ENOENT");
	ck_assert_ptr_null(strstr(why, "type1"));
	fake_end();
}
END_TEST

START_TEST(every_candidate_is_named_with_its_call_and_errno)
{
	fake_start(true);
	ck_assert_int_eq(unlink(host_path(&fake.host, "dev/iommu")), 0);
	ck_assert_int_eq(unlink(host_path(&fake.host, "dev/vfio/vfio")), 0);
	REFUSED(VFIO_IOMMU_AUTO, -ENOENT, "iommufd: open ",
		"/dev/iommu: No such file or directory (ENOENT); type1: open ",
		"/dev/vfio/vfio: No such file or directory (ENOENT)");
	fake_end();
}
END_TEST

START_TEST(a_kernel_without_character_devices_is_named)
{
	struct vfio_device *device;

	fake_start(true);
	ck_assert_int_eq(unlink(host_path(&fake.host, "sys/devices/%s/vfio-dev/vfio3/dev", HOST_PCI)), 0);
	ck_assert_int_eq(rmdir(host_path(&fake.host, "sys/devices/%s/vfio-dev/vfio3", HOST_PCI)), 0);
	ck_assert_int_eq(open_as(VFIO_IOMMU_AUTO, &device), 0);
	ck_assert_str_eq(device->ops->name, "type1");
	ck_assert_ptr_nonnull(strstr(why, "VFIO_DEVICE_CDEV"));
	vfio_close(device);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ refusals */

START_TEST(an_address_is_no_path)
{
	static const char *const addresses[] = {"", ".", "..", "../x", "a/b", "/dev/vfio"};
	struct vfio_device *device = NULL;

	fake_start(true);
	for (unsigned i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		fake.host.address = addresses[i];
		ck_assert_int_eq(open_as(VFIO_IOMMU_AUTO, &device), -EINVAL);
	}
	fake.host.address = "0000:02:00.0";
	REFUSED(VFIO_IOMMU_AUTO, -ENOENT, "0000:02:00.0: no such device");
	fake_end();
}
END_TEST

START_TEST(an_acpi_device_is_found_on_the_platform_bus)
{
	struct vfio_device *device;

	fake_start(false);
	fake.host.address = "CIXH4000:00";
	host_add_device(&fake.host, "platform", "CIXH4000:00", "vfio-platform");
	host_file(host_path(&fake.host, "sys/devices/CIXH4000:00/vfio-dev/vfio3/dev"), "");
	ck_assert_msg(open_as(VFIO_IOMMU_AUTO, &device) == 0, "%s", why);
	vfio_close(device);
	ck_assert_msg(open_as(VFIO_IOMMU_TYPE1, &device) == 0, "%s", why);
	vfio_close(device);
	fake_end();
}
END_TEST

START_TEST(the_present_driver_and_the_remedy_are_named)
{
	fake_start(_i);
	host_add_device(&fake.host, fake.host.bus, fake.host.address, "armchina-npu");
	REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "armchina-npu", "npuctl bind ", fake.host.address);
	ck_assert_int_eq(unlink(host_path(&fake.host, "sys/devices/%s/driver", fake.host.address)), 0);
	REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "no driver", _i ? "vfio-pci" : "vfio-platform", "npuctl bind ");
	if (!_i)
		REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "coherent", "reset_required=0");
	fake_end();
}
END_TEST

START_TEST(no_iommu_is_refused_whatever_its_shape)
{
	char name[512];

	fake_start(true);
	switch (_i) {
	case 0: /* no group at all */
		ck_assert_int_eq(unlink(host_path(&fake.host, "sys/devices/%s/iommu_group", HOST_PCI)), 0);
		REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "no IOMMU isolates it");
		break;
	case 1: /* a group that VFIO made up */
		host_file(host_path(&fake.host, "sys/kernel/iommu_groups/" HOST_GROUP "/name"), "vfio-noiommu\n");
		REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "no-IOMMU mode", "isolates");
		break;
	case 2: /* its node */
		host_file(host_path(&fake.host, "dev/vfio/noiommu-" HOST_GROUP), "");
		REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "no-IOMMU mode", "isolates");
		break;
	default: /* its character device */
		snprintf(name, sizeof(name), "%s", host_path(&fake.host, "sys/devices/" HOST_PCI "/vfio-dev/vfio3"));
		ck_assert_int_eq(rename(name, host_path(&fake.host, "sys/devices/" HOST_PCI "/vfio-dev/noiommu-vfio3")),
				 0);
		REFUSED(VFIO_IOMMU_IOMMUFD, -ENOTSUP, "no-IOMMU mode", "isolates");
	}
	fake_end();
}
END_TEST

START_TEST(foreign_devices_of_the_group_are_named)
{
	fake_start(true);
	host_add_device(&fake.host, "pci", "0000:00:1f.0", "e1000e");
	host_add_device(&fake.host, "pci", "0000:00:1e.0", "pcieport"); /* harmless */
	host_add_device(&fake.host, "pci", "0000:00:1d.0", NULL);
	fake.viable = false;
	REFUSED(VFIO_IOMMU_TYPE1, -EPERM, "group 7 is not viable", "0000:00:1f.0 (e1000e)");
	ck_assert_ptr_null(strstr(why, "pcieport"));
	ck_assert_ptr_null(strstr(why, "1d.0"));
	fake.bind_error = EPERM;
	REFUSED(VFIO_IOMMU_IOMMUFD, -EPERM, "0000:00:1f.0 (e1000e)", "EPERM");
	fake_end();
}
END_TEST

START_TEST(unsafe_interrupts_and_incoherent_memory_are_explained)
{
	fake_start(_i);
	fake.set_iommu_error = EPERM;
	REFUSED(VFIO_IOMMU_TYPE1, -EPERM, "remap interrupts", "vfio_iommu_type1.allow_unsafe_interrupts", "EPERM");
	fake.bind_error = EPERM;
	REFUSED(VFIO_IOMMU_IOMMUFD, -EPERM, "remap interrupts", "iommufd.allow_unsafe_interrupts");
	fake.bind_error = EINVAL;
	REFUSED(VFIO_IOMMU_IOMMUFD, -EINVAL, "not cache coherent", "dma-coherent");
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ another process has it */

START_TEST(a_second_opener_is_told_that_the_device_is_busy)
{
	static const enum vfio_iommu kinds[] = {VFIO_IOMMU_IOMMUFD, VFIO_IOMMU_TYPE1, VFIO_IOMMU_AUTO};
	struct vfio_device *first, *second = NULL;

	fake_start(true);
	first = fake_device_open(kinds[_i / 3]);
	ck_assert_int_eq(open_as(kinds[_i % 3], &second), -EBUSY);
	ck_assert_ptr_nonnull(strstr(why, "another process"));
	ck_assert_ptr_nonnull(strstr(why, "EBUSY"));
	ck_assert(_i % 3 != 2 || !strstr(why, "type1")); /* who is asked once need not be asked twice */
	ck_assert_ptr_null(second);
	/* and did not disturb the first */
	uint32_t value;
	ck_assert_int_eq(first->ops->reg_read(first, 0, &value), 0);
	fake_raise(VFIO_PCI_MSIX_IRQ_INDEX);
	ck_assert(fake_readable(first->irq_fd));
	vfio_close(first);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ checks */

START_TEST(region_zero_has_to_be_registers)
{
	fake_start(_i);
	fake.region_flags = VFIO_REGION_INFO_FLAG_READ;
	REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "iommufd: region 0", "type1: region 0");
	fake.region_flags = 7;
	fake.region_bytes = 0;
	REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "region 0", "0 bytes");
	fake.region_bytes = 1ull << 32;
	REFUSED(VFIO_IOMMU_AUTO, -ENOTSUP, "region 0");
	fake.region_bytes = FAKE_REGION_BYTES;
	fake.device_flags ^= VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_PLATFORM;
	REFUSED(VFIO_IOMMU_TYPE1, -ENOTSUP, _i ? "not a PCI device" : "not a platform device");
	fake_end();
}
END_TEST

START_TEST(a_dead_device_is_not_opened)
{
	fake_start(true);
	fake.config_dead = true;
	REFUSED(VFIO_IOMMU_AUTO, -ENODEV, "all ones");
	fake.config_dead = false;
	fake.stuck_command = 4;
	REFUSED(VFIO_IOMMU_AUTO, -EIO, "bus mastering", "EIO");
	fake_end();
}
END_TEST

START_TEST(a_busy_moment_is_waited_for_but_not_for_ever)
{
	struct vfio_device *device;

	fake_start(true);
	fake.open_again = 3;
	device = fake_device_open(VFIO_IOMMU_TYPE1);
	ck_assert_uint_eq(fake.pauses, 3);
	vfio_close(device);
	fake.open_again = 1000;
	REFUSED(VFIO_IOMMU_TYPE1, -EAGAIN, "opening 0000:01:00.0", "EAGAIN");
	ck_assert_uint_le(fake.pauses, 50);
	fake_end();
}
END_TEST

/* ------------------------------------------------------------------ what the IOMMU cannot map */

static bool reserved(const struct vfio_device *device, uint64_t address)
{
	for (uint32_t i = 0; i < device->reserved_count; i++)
		if (address >= device->reserved[i].first &&
		    address - device->reserved[i].first < device->reserved[i].bytes)
			return true;
	return false;
}

START_TEST(holes_and_what_lies_above_are_reserved)
{
	struct vfio_device *device;
	struct iova_space *space;

	fake_start(true);
	device = fake_device_open(_i ? VFIO_IOMMU_TYPE1 : VFIO_IOMMU_IOMMUFD);
	ck_assert_uint_eq(device->reserved_count, 2);
	ck_assert(!reserved(device, 0) && !reserved(device, 0xfedfffff) && reserved(device, 0xfee00000));
	ck_assert(reserved(device, 0xfeefffff) && !reserved(device, 0xfef00000));
	ck_assert(!reserved(device, (1ull << 39) - 1) && reserved(device, 1ull << 39));
	ck_assert(reserved(device, UINT64_MAX - 1));
	/* in the form that the allocator takes */
	ck_assert_int_eq(iova_space_new((struct iova_range){0xf0000000, 256 * MEBI}, device->reserved,
					device->reserved_count, &space),
			 0);
	ck_assert_uint_eq(iova_free_bytes(space), 255 * MEBI);
	iova_space_free(space);
	ck_assert_int_eq(
	    iova_space_new((struct iova_range){1ull << 40, MEBI}, device->reserved, device->reserved_count, &space), 0);
	ck_assert_uint_eq(iova_free_bytes(space), 0);
	iova_space_free(space);
	vfio_close(device);
	fake_end();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("kernel_open");
	TCase *tc = tcase_create("open");

	tcase_add_loop_test(tc, iommufd_comes_first_and_nothing_has_to_be_explained, 0, 2);
	tcase_add_loop_test(tc, type1_takes_over_and_says_why, 0, 2);
	tcase_add_test(tc, a_forced_interface_is_the_only_one_tried);
	tcase_add_test(tc, every_candidate_is_named_with_its_call_and_errno);
	tcase_add_test(tc, a_kernel_without_character_devices_is_named);
	tcase_add_test(tc, an_address_is_no_path);
	tcase_add_test(tc, an_acpi_device_is_found_on_the_platform_bus);
	tcase_add_loop_test(tc, the_present_driver_and_the_remedy_are_named, 0, 2);
	tcase_add_loop_test(tc, no_iommu_is_refused_whatever_its_shape, 0, 4);
	tcase_add_test(tc, foreign_devices_of_the_group_are_named);
	tcase_add_loop_test(tc, unsafe_interrupts_and_incoherent_memory_are_explained, 0, 2);
	tcase_add_loop_test(tc, a_second_opener_is_told_that_the_device_is_busy, 0, 9);
	tcase_add_loop_test(tc, region_zero_has_to_be_registers, 0, 2);
	tcase_add_test(tc, a_dead_device_is_not_opened);
	tcase_add_test(tc, a_busy_moment_is_waited_for_but_not_for_ever);
	tcase_add_loop_test(tc, holes_and_what_lies_above_are_reserved, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return suite_main(suite());
}
