/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI function: config space and its masks, and which eventfd an interrupt means. */
#include "emulator/pci.h"

#include "tests/unit/emulator/vfu_client.h"

static struct pci pci;
static int event[8];
static int fds_before;

static void setup_with(bool msix)
{
	fds_before = rig_count_fds();
	ck_assert_int_eq(pci_init(&pci, msix), 0);
	for (int i = 0; i < 8; i++)
		event[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

static void setup(void)
{
	setup_with(true);
}

static void teardown(void)
{
	pci_destroy(&pci);
	for (int i = 0; i < 8; i++)
		close(event[i]);
	ck_assert_int_eq(rig_count_fds(), fds_before);
}

static uint32_t get(uint64_t at, uint32_t bytes)
{
	uint32_t value = 0;

	pci_read(&pci, VFU_REGION_CONFIG, at, &value, bytes);
	return value;
}

static bool put(uint64_t at, uint32_t value, uint32_t bytes)
{
	bool reset = false;

	pci_write(&pci, VFU_REGION_CONFIG, at, (const uint8_t *)&value, bytes, &reset);
	return reset;
}

/* SET_IRQS with a copy of eventfd `e` per sub-index, e < 0: no descriptor. */
static int irq(uint32_t flags, uint32_t index, uint32_t start, uint32_t count, int e)
{
	const struct vfu_irq_set set = {sizeof(set), flags, index, start, count};
	static const uint8_t ones[4] = {1, 1, 1, 1};
	int fds[8];
	unsigned n = 0;

	for (; e >= 0 && n < count; n++)
		fds[n] = fcntl(event[e + (int)n], F_DUPFD_CLOEXEC, 0);
	int err = pci_irq_set(&pci, &set, ones, fds, n);

	for (unsigned i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return err;
}

static bool fired(int e)
{
	return event_within(event[e], 0);
}

START_TEST(the_function_is_a_processing_accelerator)
{
	ck_assert_uint_eq(get(0x09, 1) | get(0x0a, 1) << 8 | get(0x0b, 1) << 16, 0x120000);
	ck_assert_uint_eq(get(0x0e, 1), 0);
	ck_assert_uint_eq(get(0x06, 2), 0x0010);
	ck_assert_uint_eq(get(0x34, 1), 0x40);
	ck_assert_uint_eq(get(0x3d, 1), 1);
	ck_assert_uint_eq(get(0x30, 4), 0);
	ck_assert_uint_eq(get(0x40, 4), 0x00028010);
	ck_assert_uint_eq(get(0x44, 4), 0x10008000);
	ck_assert_uint_eq(get(0x4c, 4), 0x11);
	ck_assert_uint_eq(get(0x52, 2), 0x11);
	ck_assert_uint_eq(get(0x80, 4), 0x00030011);
	ck_assert_uint_eq(get(0x84, 4), 0x00000004);
	ck_assert_uint_eq(get(0x88, 4), 0x00000804);
}
END_TEST

START_TEST(bars_size_as_their_regions_do)
{
	static const uint32_t masks[] = {0xffff0000, 0, 0, 0, 0xfffff000, 0, 0};

	for (uint32_t bar = 0; bar < 7; bar++) {
		put(0x10 + 4 * bar, 0xffffffff, 4);
		ck_assert_uint_eq(get(0x10 + 4 * bar, 4), masks[bar]);
	}
	put(0x30, 0xfffff800, 4);
	ck_assert_uint_eq(get(0x30, 4), 0);
	put(0x10, 0xfe123456, 4);
	ck_assert_uint_eq(get(0x10, 4), 0xfe120000);
}
END_TEST

START_TEST(only_writable_bits_change)
{
	uint8_t before[PCI_CONFIG_BYTES], after[PCI_CONFIG_BYTES], ones[PCI_CONFIG_BYTES];
	bool reset = false;

	memset(ones, 0xff, sizeof(ones));
	pci_read(&pci, VFU_REGION_CONFIG, 0, before, sizeof(before));
	pci_write(&pci, VFU_REGION_CONFIG, 0, ones, sizeof(ones), &reset);
	pci_read(&pci, VFU_REGION_CONFIG, 0, after, sizeof(after));
	ck_assert(reset);
	ck_assert_int_eq(memcmp(before, after, 4), 0);
	ck_assert_uint_eq(get(0x04, 4), 0x00100407);
	ck_assert_int_eq(memcmp(before + 6, after + 6, 6), 0);
	ck_assert_uint_eq(get(0x48, 2), 0x7fff);
	ck_assert_uint_eq(get(0x82, 2), 0xc003);
	ck_assert_uint_eq(get(0x100, 4), 0);
	/* a dword at the command register touches command and status */
	put(0x04, 0x00100003, 4);
	ck_assert_uint_eq(get(0x04, 4), 0x00100003);
}
END_TEST

START_TEST(function_level_reset_is_bit_15_of_device_control)
{
	ck_assert(!put(0x48, 0x7fff, 2));
	ck_assert(put(0x49, 0x80, 1));
	ck_assert_uint_eq(get(0x48, 2) & 0x8000, 0);
	put(0x04, 0x0007, 2);
	pci_reset(&pci);
	ck_assert_uint_eq(get(0x04, 2), 0);
}
END_TEST

START_TEST(without_msix_there_is_no_trace_of_it)
{
	teardown();
	setup_with(false);
	uint32_t flags, count;

	ck_assert_uint_eq(get(0x40, 2), 0x0010);
	ck_assert_uint_eq(get(0x80, 4), 0);
	put(0x20, 0xffffffff, 4);
	ck_assert_uint_eq(get(0x20, 4), 0);
	ck_assert_uint_eq(pci_region_bytes(&pci, VFU_REGION_BAR4), 0);
	ck_assert_int_eq(pci_irq_info(&pci, VFU_IRQ_MSIX, &flags, &count), 0);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(irq(0x24, VFU_IRQ_MSIX, 0, 1, 0), -EINVAL);
	ck_assert_int_eq(irq(0x21, VFU_IRQ_MSIX, 0, 0, -1), 0); /* disable of what is absent succeeds */
}
END_TEST

START_TEST(the_vector_table_is_memory)
{
	uint32_t value = 0xfee00000, seen = 0;
	bool reset = false;

	pci_write(&pci, VFU_REGION_BAR4, 16, (const uint8_t *)&value, 4, &reset);
	pci_read(&pci, VFU_REGION_BAR4, 16, &seen, 4);
	ck_assert_uint_eq(seen, value);
	pci_read(&pci, VFU_REGION_BAR4, 12, &seen, 4);
	ck_assert_uint_eq(seen, 1);
	pci_write(&pci, VFU_REGION_BAR4, PCI_MSIX_PENDING, (const uint8_t *)&value, 4, &reset);
	pci_read(&pci, VFU_REGION_BAR4, PCI_MSIX_PENDING, &seen, 4);
	ck_assert_uint_eq(seen, 0);
}
END_TEST

/* ------------------------------------------------------------------ interrupts */

START_TEST(a_bound_vector_wins_over_intx)
{
	ck_assert_int_eq(irq(0x24, VFU_IRQ_INTX, 0, 1, 0), 0);
	ck_assert_int_eq(irq(0x24, VFU_IRQ_MSIX, 0, 1, 1), 0);
	pci_interrupt(&pci, true, true);
	ck_assert(fired(1));
	ck_assert(!fired(0));
	ck_assert_uint_eq(get(0x06, 2) & 8, 0);
	pci_interrupt(&pci, true, true); /* the next cause, the line never fell */
	ck_assert(fired(1));
	pci_interrupt(&pci, false, false);
	ck_assert(!fired(1));
	/* disabling the index gives the line back to INTx */
	pci_interrupt(&pci, true, true);
	ck_assert(fired(1));
	ck_assert_int_eq(irq(0x21, VFU_IRQ_MSIX, 0, 0, -1), 0);
	ck_assert(fired(0));
}
END_TEST

START_TEST(an_unbound_vector_is_pending_until_bound)
{
	uint8_t pending = 0;

	ck_assert_int_eq(irq(0x24, VFU_IRQ_MSIX, 2, 1, 2), 0);
	pci_interrupt(&pci, true, true);
	pci_interrupt(&pci, false, false);
	ck_assert(!fired(2));
	pci_read(&pci, VFU_REGION_BAR4, PCI_MSIX_PENDING, &pending, 1);
	ck_assert_uint_eq(pending, 1);
	ck_assert_int_eq(irq(0x24, VFU_IRQ_MSIX, 0, 1, 0), 0);
	ck_assert(fired(0));
	pci_read(&pci, VFU_REGION_BAR4, PCI_MSIX_PENDING, &pending, 1);
	ck_assert_uint_eq(pending, 0);
}
END_TEST

START_TEST(intx_masks_itself_and_fires_again_on_unmask_while_asserted)
{
	ck_assert_int_eq(irq(0x24, VFU_IRQ_INTX, 0, 1, 0), 0);
	pci_interrupt(&pci, true, true);
	ck_assert(fired(0));
	ck_assert_uint_eq(get(0x06, 2) & 8, 8);
	pci_interrupt(&pci, true, true);
	ck_assert(!fired(0));
	ck_assert_int_eq(irq(0x11, VFU_IRQ_INTX, 0, 1, -1), 0);
	ck_assert(fired(0)); /* still asserted */
	pci_interrupt(&pci, false, false);
	ck_assert_int_eq(irq(0x12, VFU_IRQ_INTX, 0, 1, -1), 0); /* by bool */
	ck_assert(!fired(0));
	ck_assert_uint_eq(get(0x06, 2) & 8, 0);
	pci_interrupt(&pci, true, true);
	ck_assert(fired(0));
}
END_TEST

START_TEST(disintx_and_mask_hold_the_event_back)
{
	ck_assert_int_eq(irq(0x24, VFU_IRQ_INTX, 0, 1, 0), 0);
	put(0x04, 0x0400, 2);
	pci_interrupt(&pci, true, true);
	ck_assert(!fired(0));
	ck_assert_uint_eq(get(0x06, 2) & 8, 8);
	put(0x04, 0x0000, 2);
	ck_assert(fired(0));
	ck_assert_int_eq(irq(0x11, VFU_IRQ_INTX, 0, 1, -1), 0);
	ck_assert(fired(0));
	pci_interrupt(&pci, false, false);
	ck_assert_int_eq(irq(0x11, VFU_IRQ_INTX, 0, 1, -1), 0);
	ck_assert_int_eq(irq(0x09, VFU_IRQ_INTX, 0, 1, -1), 0);
	pci_interrupt(&pci, true, true);
	ck_assert(!fired(0));
	/* binding again clears the mask */
	ck_assert_int_eq(irq(0x24, VFU_IRQ_INTX, 0, 1, 1), 0);
	ck_assert(fired(1));
}
END_TEST

START_TEST(a_level_without_a_listener_waits_for_one)
{
	pci_interrupt(&pci, true, true);
	ck_assert_int_eq(irq(0x24, VFU_IRQ_INTX, 0, 1, 0), 0);
	ck_assert(fired(0));
}
END_TEST

START_TEST(the_client_unmasks_through_an_eventfd)
{
	uint64_t one = 1;

	ck_assert_int_eq(irq(0x24, VFU_IRQ_INTX, 0, 1, 0), 0);
	ck_assert_int_eq(irq(0x14, VFU_IRQ_INTX, 0, 1, 1), 0);
	ck_assert_int_ge(pci_unmask_fd(&pci), 0);
	pci_interrupt(&pci, true, true);
	ck_assert(fired(0));
	ck_assert_int_eq((int)write(event[1], &one, sizeof(one)), (int)sizeof(one));
	pci_unmask_event(&pci);
	ck_assert(fired(0));
	ck_assert(!fired(1)); /* consumed */
	pci_unmask_event(&pci); /* nothing written: nothing happens */
	ck_assert(!fired(0));
	ck_assert_int_eq(irq(0x21, VFU_IRQ_INTX, 0, 0, -1), 0);
	ck_assert_int_eq(pci_unmask_fd(&pci), -1);
}
END_TEST

START_TEST(loopback_signals_by_request)
{
	ck_assert_int_eq(irq(0x24, VFU_IRQ_MSIX, 0, 4, 0), 0);
	ck_assert_int_eq(irq(0x21, VFU_IRQ_MSIX, 1, 2, -1), 0);
	ck_assert(!fired(0) && fired(1) && fired(2) && !fired(3));
	ck_assert_int_eq(irq(0x22, VFU_IRQ_MSIX, 3, 1, -1), 0);
	ck_assert(fired(3));
	/* without descriptors: unbind */
	ck_assert_int_eq(irq(0x24, VFU_IRQ_MSIX, 3, 1, -1), 0);
	ck_assert_int_eq(irq(0x21, VFU_IRQ_MSIX, 3, 1, -1), 0);
	ck_assert(!fired(3));
	for (uint32_t index = VFU_IRQ_ERR; index <= VFU_IRQ_REQ; index++) {
		ck_assert_int_eq(irq(0x24, index, 0, 1, 5), 0);
		ck_assert_int_eq(irq(0x21, index, 0, 1, -1), 0);
		ck_assert(fired(5));
		ck_assert_int_eq(irq(0x21, index, 0, 0, -1), 0);
		ck_assert_int_eq(irq(0x21, index, 0, 0, -1), 0); /* twice is fine */
	}
}
END_TEST

START_TEST(nonsense_is_refused)
{
	static const struct {
		uint32_t flags, index, start, count;
		int e;
	} cases[] = {{0x23, 0, 0, 1, -1}, {0x31, 0, 0, 1, -1},          {0x20, 0, 0, 1, -1},
		     {0x01, 0, 0, 1, -1}, {0x64, 2, 0, 1, 0},           {0x24, 5, 0, 1, 0},
		     {0x24, 2, 3, 2, 0},  {0x24, 2, 0xffffffff, 2, -1}, {0x24, 2, 4, 0xffffffff, -1},
		     {0x24, 2, 1, 0, -1}, {0x21, 2, 1, 0, -1},          {0x21, 1, 0, 1, -1},
		     {0x11, 2, 0, 1, -1}, {0x21, 2, 0, 1, 0},           {0x0c, 0, 0, 1, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(irq(cases[i].flags, cases[i].index, cases[i].start, cases[i].count, cases[i].e) < 0,
			      "case %zu was accepted", i);
}
END_TEST

START_TEST(a_full_eventfd_does_not_stop_the_device)
{
	uint64_t full = UINT64_MAX - 1;
	int blocking = eventfd(0, EFD_CLOEXEC), fd = fcntl(blocking, F_DUPFD_CLOEXEC, 0);
	const struct vfu_irq_set set = {sizeof(set), 0x24, VFU_IRQ_MSIX, 0, 1};

	ck_assert_int_eq(pci_irq_set(&pci, &set, NULL, &fd, 1), 0);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq((int)write(blocking, &full, sizeof(full)), (int)sizeof(full));
	pci_interrupt(&pci, true, true); /* returns */
	close(blocking);
}
END_TEST

/* ------------------------------------------------------------------ through the whole server */

START_TEST(a_server_without_msix_interrupts_by_intx)
{
	static struct server server;
	static struct client client;
	static struct rig rig;
	uint64_t one = 1;

	server_start(&server, false);
	client_open(&client, &server);
	rig.memfd = memfd_create("client", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(rig.memfd, RIG_BYTES), 0);
	rig.memory = mmap(NULL, RIG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, rig.memfd, 0);
	rig_end(&rig, RIG_TEXT);
	uint32_t first = rig_init_tcb(&rig, RIG_CHAIN, RIG_CHAIN + 128);
	uint32_t a = rig_group(&rig, first, 1, RIG_TEXT, 0, ZY3_INTR_CORE, first + 128);

	rig_group(&rig, a + 128, 1, RIG_TEXT, ZY3_TCB_DEP_PREVIOUS, ZY3_INTR_CORE, 0);
	ck_assert_int_eq(client_map(&client, rig.memfd, 0, RIG_BASE, RIG_BYTES, 3), 0);
	ck_assert_int_eq(client_irq(&client, 0x24, VFU_IRQ_INTX, 0, 1, &event[0], 1), 0);
	ck_assert_int_eq(client_irq(&client, 0x14, VFU_IRQ_INTX, 0, 1, &event[1], 1), 0);
	client_init_device(&client);
	client_dispatch(&client, RIG_CHAIN);
	ck_assert(event_within(event[0], RIG_WAIT_MS));
	while (!(client_r(&client, RIG_INTR_STATUS) & 1))
		;
	ck_assert_uint_eq(client_read(&client, VFU_REGION_CONFIG, 0x06, 2) & 8, 8);
	client_w(&client, RIG_STATUS, 1); /* clear the device, then unmask: the second completion is pending */
	while (client_r(&client, RIG_TCB_PTR) != a + 128)
		;
	ck_assert(!fired(0));
	ck_assert_int_eq((int)write(event[1], &one, sizeof(one)), (int)sizeof(one));
	ck_assert(event_within(event[0], RIG_WAIT_MS));
	client_w(&client, RIG_STATUS, 1);
	ck_assert_int_eq(client_irq(&client, 0x11, VFU_IRQ_INTX, 0, 1, NULL, 0), 0);
	ck_assert(!fired(0));
	ck_assert_uint_eq(client_read(&client, VFU_REGION_CONFIG, 0x06, 2) & 8, 0);
	close(client.fd);
	munmap(rig.memory, RIG_BYTES);
	close(rig.memfd);
	server_stop(&server);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci");
	TCase *config = tcase_create("config"), *irqs = tcase_create("interrupts");

	tcase_add_checked_fixture(config, setup, teardown);
	tcase_add_test(config, the_function_is_a_processing_accelerator);
	tcase_add_test(config, bars_size_as_their_regions_do);
	tcase_add_test(config, only_writable_bits_change);
	tcase_add_test(config, function_level_reset_is_bit_15_of_device_control);
	tcase_add_test(config, without_msix_there_is_no_trace_of_it);
	tcase_add_test(config, the_vector_table_is_memory);
	suite_add_tcase(suite, config);
	tcase_add_checked_fixture(irqs, setup, teardown);
	tcase_set_timeout(irqs, 30);
	tcase_add_test(irqs, a_bound_vector_wins_over_intx);
	tcase_add_test(irqs, an_unbound_vector_is_pending_until_bound);
	tcase_add_test(irqs, intx_masks_itself_and_fires_again_on_unmask_while_asserted);
	tcase_add_test(irqs, disintx_and_mask_hold_the_event_back);
	tcase_add_test(irqs, a_level_without_a_listener_waits_for_one);
	tcase_add_test(irqs, the_client_unmasks_through_an_eventfd);
	tcase_add_test(irqs, loopback_signals_by_request);
	tcase_add_test(irqs, nonsense_is_refused);
	tcase_add_test(irqs, a_full_eventfd_does_not_stop_the_device);
	tcase_add_test(irqs, a_server_without_msix_interrupts_by_intx);
	suite_add_tcase(suite, irqs);
	return suite_main(suite);
}
