/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs through the vfio-user server: memory with and without descriptors, unmaps, resets and deaths in their middle. */
#include "tests/unit/emulator/vfu_client.h"

static struct server server;
static struct client client;
static struct rig rig; /* only its memory */

static void setup(void)
{
	server_start(&server, true);
	client_open(&client, &server);
}

static void teardown(void)
{
	close(client.fd);
	server_stop(&server);
}

static void memory_open(void)
{
	rig.memfd = memfd_create("client", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(rig.memfd, RIG_BYTES), 0);
	rig.memory = mmap(NULL, RIG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, rig.memfd, 0);
	rig_end(&rig, RIG_TEXT);
}

static void memory_close(void)
{
	munmap(rig.memory, RIG_BYTES);
	close(rig.memfd);
}

START_TEST(sixteen_thousand_maps_of_one_file_take_one_host_mapping)
{
	int before = rig_count_fds();

	memory_open();
	for (uint64_t i = 0; i < 16384; i++)
		ck_assert_int_eq(client_map(&client, rig.memfd, (i % 4096) * 4096, RIG_BASE + i * 4096, 4096, 3), 0);
	ck_assert_int_eq(rig_count_fds(), before + 1);
	ck_assert_uint_eq(dma_map_count(server.dma), 16384);
	ck_assert_int_eq(client_unmap(&client, RIG_BASE, 16384 * 4096ull, 0), 0);
	ck_assert_uint_eq(dma_map_count(server.dma), 0);
	memory_close();
}
END_TEST

/* ------------------------------------------------------------------ jobs through the socket */

static int bind_msix(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	ck_assert_int_eq(client_irq(&client, 0x24, VFU_IRQ_MSIX, 0, 1, &fd, 1), 0);
	return fd;
}

START_TEST(a_job_runs_and_interrupts)
{
	memory_open();
	int irq = bind_msix();
	uint32_t last = rig_chain(&rig, 4, ZY3_INTR_CORE);

	ck_assert_int_eq(client_map(&client, rig.memfd, 0, RIG_BASE, RIG_BYTES, 3), 0);
	client_init_device(&client);
	client_dispatch(&client, RIG_CHAIN);
	ck_assert(event_within(irq, RIG_WAIT_MS));
	ck_assert_uint_eq(client_r(&client, RIG_INTR_STATUS) & 0xfff, 0x201);
	ck_assert_uint_eq(client_r(&client, RIG_TCB_PTR), last);
	client_w(&client, RIG_STATUS, 1);
	ck_assert(!event_within(irq, 0));
	close(irq);
	memory_close();
}
END_TEST

START_TEST(a_vanishing_client_leaves_nothing_behind)
{
	memory_open();
	int irq = bind_msix();
	uint32_t at = rig_insn(&rig, RIG_TEXT, INSN(ISA_JMP, .a = 0));

	rig_end(&rig, at);
	rig_chain(&rig, 4, ZY3_INTR_CORE);
	ck_assert_int_eq(client_map(&client, rig.memfd, 0, RIG_BASE, RIG_BYTES, 3), 0);
	client_init_device(&client);
	client_dispatch(&client, RIG_CHAIN); /* runs for ever */
	pthread_mutex_lock(&server.device->lock);
	memset(server.device->chip.gm, 0x5a, 64);
	pthread_mutex_unlock(&server.device->lock);
	close(client.fd);
	client_open(&client, &server);
	ck_assert_uint_eq(dma_map_count(server.dma), 0);
	ck_assert_uint_eq(client_r(&client, RIG_STATUS), ZY3_STATUS_IDLE);
	ck_assert_uint_eq(client_r(&client, 0xc04), 0);
	pthread_mutex_lock(&server.device->lock);
	ck_assert_uint_eq(server.device->chip.gm[0], 0);
	pthread_mutex_unlock(&server.device->lock);
	close(irq);
	memory_close();
}
END_TEST

START_TEST(device_reset_and_flr_keep_maps_and_eventfds)
{
	memory_open();
	int irq = bind_msix();

	ck_assert_int_eq(client_map(&client, rig.memfd, 0, RIG_BASE, RIG_BYTES, 3), 0);
	client_init_device(&client);
	client_write(&client, VFU_REGION_CONFIG, 0x10, 0xf0000000, 4);
	client_write(&client, VFU_REGION_CONFIG, 0x04, 0x406, 2);
	if (_i)
		client_write(&client, VFU_REGION_CONFIG, 0x48, 0x8000, 2);
	else
		ck_assert_int_eq(client_call(&client, VFU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	ck_assert_uint_eq(client_r(&client, RIG_STATUS), ZY3_STATUS_IDLE);
	ck_assert_uint_eq(client_r(&client, 0x20), 0);
	ck_assert_uint_eq(client_read(&client, VFU_REGION_CONFIG, 0x04, 2), 0);
	ck_assert_uint_eq(client_read(&client, VFU_REGION_CONFIG, 0x10, 4), 0);
	ck_assert_uint_eq(client_read(&client, VFU_REGION_CONFIG, 0x48, 2) & 0x8000, 0);
	rig_chain(&rig, 4, ZY3_INTR_CORE);
	client_init_device(&client);
	client_dispatch(&client, RIG_CHAIN);
	ck_assert(event_within(irq, RIG_WAIT_MS));
	close(irq);
	memory_close();
}
END_TEST

START_TEST(an_unmap_under_a_spinning_program_is_bounded_and_faults_it)
{
	memory_open();
	int irq = bind_msix();
	uint32_t at = rig_insn(&rig, RIG_TEXT, INSN(ISA_LD32, 1, .a = RIG_DATA));

	at = rig_insn(&rig, at, INSN(ISA_ST32, 0, 0, 0, .a = RIG_DATA));
	rig_insn(&rig, at, INSN(ISA_JMP, .a = (uint32_t)-32));
	rig_chain(&rig, 4, ZY3_INTR_CORE);
	/* the data page is a mapping of its own */
	ck_assert_int_eq(client_map(&client, rig.memfd, 0, RIG_BASE, RIG_DATA, 3), 0);
	ck_assert_int_eq(client_map(&client, rig.memfd, RIG_DATA, RIG_BASE + RIG_DATA, 4096, 3), 0);
	client_init_device(&client);
	client_dispatch(&client, RIG_CHAIN);
	*rig_word(&rig, RIG_DATA) = 1;
	for (uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull; rig_get(&rig, RIG_DATA);)
		ck_assert_uint_lt(emu_now_ns(), until);
	ck_assert_int_eq(client_unmap(&client, RIG_BASE + RIG_DATA, 4096, 0), 0);
	/* from here on nobody writes */
	*rig_word(&rig, RIG_DATA) = 1;
	ck_assert(event_within(irq, RIG_WAIT_MS));
	ck_assert_uint_eq(client_r(&client, RIG_INTR_STATUS) & 0xfff, 0x409);
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA), 1);
	close(irq);
	memory_close();
}
END_TEST

/* ------------------------------------------------------------------ DMA by message */

/* Serves one command of the server's from the rig's memory; checks that the range is mapped by the test. */
static void serve_dma(void)
{
	struct vfu_dma_access access;
	static uint8_t reply[1 << 17];
	bool read = client.header.command == VFU_DMA_READ;

	ck_assert(read || client.header.command == VFU_DMA_WRITE);
	ck_assert_uint_eq(client.header.flags, 0);
	memcpy(&access, client.body, sizeof(access));
	ck_assert_uint_ge(access.address, RIG_BASE);
	ck_assert_uint_le(access.count, 65536); /* what this client announced */
	ck_assert_uint_le(access.address - RIG_BASE + access.count, RIG_BYTES);
	uint8_t *memory = rig.memory + (access.address - RIG_BASE);
	size_t extra = read ? access.count : 0;
	struct vfu_header header = {client.header.id, client.header.command,
				    (uint32_t)(sizeof(header) + sizeof(access) + extra), VFU_FLAG_REPLY, 0};

	if (!read)
		memcpy(memory, client.body + sizeof(access), access.count);
	memcpy(reply, &header, sizeof(header));
	memcpy(reply + sizeof(header), &access, sizeof(access));
	memcpy(reply + sizeof(header) + sizeof(access), memory, extra);
	client_send_all(&client, reply, header.size);
}

static void dispatch_posted(void)
{
	struct {
		uint64_t offset;
		uint32_t region;
		uint32_t count;
		uint32_t value;
	} __attribute__((packed)) body = {0x0, VFU_REGION_BAR0, 4, 4};

	client_w(&client, 0x8, (uint32_t)(RIG_BASE >> 32));
	client_w(&client, 0xc, (uint32_t)RIG_BASE + RIG_CHAIN);
	client_send(&client, VFU_REGION_WRITE, 0, &body, 20, NULL, 0);
}

START_TEST(memory_without_a_descriptor_is_reached_by_messages)
{
	memory_open();
	int irq = bind_msix();
	uint32_t at = rig_insn(&rig, RIG_TEXT, INSN(ISA_LD32, 1, .a = RIG_DATA));

	at = rig_insn(&rig, at, INSN(ISA_ST32, 0, 0, 1, .a = RIG_DATA + 64));
	rig_end(&rig, at);
	*rig_word(&rig, RIG_DATA) = 0xabcd1234;
	rig_chain(&rig, 2, ZY3_INTR_CORE);
	ck_assert_int_eq(client_map(&client, -1, 0, RIG_BASE, RIG_BYTES, 3), 0);
	client_init_device(&client);
	dispatch_posted();
	/* the doorbell is answered first, only then does the device ask for memory */
	ck_assert(client_receive(&client));
	ck_assert_uint_eq(client.header.flags, VFU_FLAG_REPLY);
	ck_assert_uint_eq(client.header.id, client.id);
	while (!event_within(irq, 0)) {
		struct pollfd fd = {.fd = client.fd, .events = POLLIN};

		if (poll(&fd, 1, 10) == 1) {
			ck_assert(client_receive(&client));
			serve_dma();
		}
	}
	ck_assert_uint_eq(rig_get(&rig, RIG_DATA + 64), 0xabcd1234);
	ck_assert_uint_eq(rig_tcb(&rig, RIG_CHAIN + 256)->task.tec_id, 1);
	ck_assert_uint_eq(client_r(&client, RIG_INTR_STATUS) & 0xfff, 0x201);
	close(irq);
	memory_close();
}
END_TEST

START_TEST(commands_are_served_while_a_dma_reply_is_awaited)
{
	memory_open();
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	ck_assert_int_eq(client_map(&client, -1, 0, RIG_BASE, RIG_BYTES, 3), 0);
	client_init_device(&client);
	dispatch_posted();
	ck_assert(client_receive(&client));
	ck_assert(client_receive(&client)); /* the request for the first TCB, left unanswered */
	ck_assert_uint_eq(client.header.command, VFU_DMA_READ);
	uint16_t asked = client.header.id;

	ck_assert_uint_eq(client_r(&client, 0x50), 0x00010003);
	/* an unmap does not wait for the answer, and nothing more is asked for */
	ck_assert_int_eq(client_unmap(&client, RIG_BASE, RIG_BYTES, 0), 0);
	uint64_t until = emu_now_ns() + RIG_WAIT_MS * 1000000ull;

	while (!(client_r(&client, RIG_STATUS) & ZY3_INTR_ERROR))
		ck_assert_uint_lt(emu_now_ns(), until);
	/* a late answer is nobody's */
	struct vfu_header late = {asked, VFU_DMA_READ, 16 + 16, VFU_FLAG_REPLY, 0};
	uint8_t message[32] = {0};

	memcpy(message, &late, sizeof(late));
	client_send_all(&client, message, sizeof(message));
	ck_assert_uint_eq(client_r(&client, 0x50), 0x00010003);
	memory_close();
}
END_TEST

START_TEST(a_reset_or_death_during_dma_is_clean)
{
	memory_open();
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	ck_assert_int_eq(client_map(&client, -1, 0, RIG_BASE, RIG_BYTES, 3), 0);
	client_init_device(&client);
	dispatch_posted();
	ck_assert(client_receive(&client));
	ck_assert(client_receive(&client));
	ck_assert_uint_eq(client.header.command, VFU_DMA_READ);
	if (_i == 0) {
		ck_assert_int_eq(client_call(&client, VFU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	} else if (_i == 1) {
		client_w(&client, 0x20, 1);
		ck_assert_uint_eq(client_r(&client, 0x20), 2);
	} else {
		close(client.fd);
		client_open(&client, &server);
	}
	ck_assert_uint_eq(client_r(&client, RIG_STATUS), ZY3_STATUS_IDLE);
	memory_close();
}
END_TEST

START_TEST(refused_dma_is_a_fault_of_the_program_not_of_the_connection)
{
	memory_open();
	int irq = bind_msix();

	rig_insn(&rig, RIG_TEXT, INSN(ISA_LD32, 1, .a = RIG_DATA));
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	ck_assert_int_eq(client_map(&client, -1, 0, RIG_BASE, RIG_BYTES, 3), 0);
	client_init_device(&client);
	dispatch_posted();
	ck_assert(client_receive(&client));
	while (!event_within(irq, 0)) {
		struct pollfd fd = {.fd = client.fd, .events = POLLIN};
		struct vfu_dma_access access;

		if (poll(&fd, 1, 10) != 1)
			continue;
		ck_assert(client_receive(&client));
		memcpy(&access, client.body, sizeof(access));
		struct vfu_header refusal = {client.header.id, client.header.command, 16, 0x21, ENODEV};

		if (access.address - RIG_BASE == RIG_DATA)
			client_send_all(&client, &refusal, sizeof(refusal));
		else
			serve_dma();
	}
	ck_assert_uint_eq(client_r(&client, RIG_INTR_STATUS) & 0xfff, 0x409);
	ck_assert_uint_eq(client_r(&client, RIG_TCB_PTR), RIG_CHAIN + 128);
	close(irq);
	memory_close();
}
END_TEST

#define BIG_WORDS 100000u
#define BIG_TO (RIG_DATA + 0x100000u)

/* Task 0 copies BIG_WORDS words from RIG_DATA to BIG_TO; memory is mapped by the page, without descriptors. */
static void big_copy_prepare(void)
{
	struct isa_record *record = (void *)(rig.memory + RIG_PARAM);
	uint32_t bytes = sizeof(*record) + 2 * sizeof(record->operand[0]);

	*record = (struct isa_record){ISA_T_COPY, bytes, 0, 2};
	for (unsigned i = 0; i < 2; i++)
		record->operand[i] = (struct isa_operand){
		    .addr = i ? RIG_DATA : BIG_TO, .dtype = 0xb, .rank = 1, .dims = {BIG_WORDS}, .strides = {1}};
	for (uint32_t i = 0; i < BIG_WORDS; i++)
		*rig_word(&rig, RIG_DATA + 4 * i) = i + 1;
	rig_end(&rig, rig_insn(&rig, RIG_TEXT, INSN(ISA_TENSOR, .a = ISA_T_COPY, .c = bytes)));
	rig_chain(&rig, 1, ZY3_INTR_CORE);
	for (uint64_t at = 0; at < RIG_DATA + 0x200000u; at += DMA_PAGE_BYTES)
		ck_assert_int_eq(client_map(&client, -1, 0, RIG_BASE + at, DMA_PAGE_BYTES, 3), 0);
	client_init_device(&client);
	dispatch_posted();
	ck_assert(client_receive(&client));
}

START_TEST(large_transfers_come_in_pieces_that_a_socket_takes_whole)
{
	static struct client asked[VFU_CHUNKS];
	unsigned most = 0, messages = 0;

	memory_open();
	int irq = bind_msix();

	big_copy_prepare();
	while (!event_within(irq, 0)) {
		struct pollfd fd = {.fd = client.fd, .events = POLLIN};
		unsigned count = 0;

		/* everything that is asked for without an answer in between */
		while (poll(&fd, 1, 20) == 1) {
			ck_assert_uint_lt(count, VFU_CHUNKS);
			ck_assert(client_receive(&client));
			asked[count++] = client;
		}
		most = count > most ? count : most;
		messages += count;
		/* answered in the other order */
		while (count--) {
			struct vfu_dma_access access;

			client = asked[count];
			memcpy(&access, client.body, sizeof(access));
			if (client.header.command == VFU_DMA_READ)
				ck_assert_uint_le(access.count, 32768);
			serve_dma();
		}
	}
	ck_assert_uint_eq(most, VFU_CHUNKS);
	/* not one for each of the 200 pages */
	ck_assert_uint_lt(messages, 60);
	ck_assert_int_eq(memcmp(rig.memory + RIG_DATA, rig.memory + BIG_TO, 4 * BIG_WORDS), 0);
	close(irq);
	memory_close();
}
END_TEST

START_TEST(one_refused_piece_is_a_fault_and_the_answers_to_the_others_are_nobodys)
{
	bool refused = false;

	memory_open();
	int irq = bind_msix();

	big_copy_prepare();
	while (!event_within(irq, 0)) {
		struct pollfd fd = {.fd = client.fd, .events = POLLIN};
		struct vfu_dma_access access;

		if (poll(&fd, 1, 10) != 1)
			continue;
		ck_assert(client_receive(&client));
		memcpy(&access, client.body, sizeof(access));
		struct vfu_header refusal = {client.header.id, client.header.command, 16, 0x21, ENODEV};

		if (!refused && access.address >= RIG_BASE + RIG_DATA + 0x8000u) {
			refused = true;
			client_send_all(&client, &refusal, sizeof(refusal));
		} else {
			serve_dma();
		}
	}
	ck_assert(refused);
	for (struct pollfd fd = {.fd = client.fd, .events = POLLIN}; poll(&fd, 1, 20) == 1;) {
		ck_assert(client_receive(&client));
		serve_dma();
	}
	ck_assert_uint_eq(client_r(&client, RIG_INTR_STATUS) & 0xfff, 0x409);
	ck_assert_uint_eq(*rig_word(&rig, BIG_TO), 0);
	/* what is still on its way takes no room for ever: the next job runs */
	rig_end(&rig, RIG_TEXT);
	ck_assert_int_eq(client_call(&client, VFU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	client_init_device(&client);
	dispatch_posted();
	ck_assert(client_receive(&client));
	while (!event_within(irq, 0)) {
		struct pollfd fd = {.fd = client.fd, .events = POLLIN};

		if (poll(&fd, 1, 10) == 1) {
			ck_assert(client_receive(&client));
			serve_dma();
		}
	}
	ck_assert_uint_eq(client_r(&client, RIG_INTR_STATUS) & 0xfff, 0x201);
	close(irq);
	memory_close();
}
END_TEST

/* ------------------------------------------------------------------ the server's life */

START_TEST(a_second_instance_on_the_path_is_refused_and_a_stale_socket_is_not)
{
	struct vfu second;
	struct pci pci;

	ck_assert_int_eq(pci_init(&pci, true), 0);
	ck_assert_int_eq(vfu_init(&second, server.path, server.device, &pci, server.dma), -EADDRINUSE);
	server.device->irq = NULL;
	ck_assert_uint_eq(client_r(&client, 0x50), 0x00010003); /* the first one did not notice */
	close(client.fd);
	/* what a crash leaves: a socket nobody serves, a lock file nobody holds */
	char stale[128];

	snprintf(stale, sizeof(stale), "%s2", server.path);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, stale);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	ck_assert_int_eq(vfu_init(&second, stale, server.device, &pci, server.dma), 0);
	vfu_destroy(&second);
	ck_assert_int_eq(access(stale, F_OK), -1);
	pci_destroy(&pci);
	client.fd = -1;
}
END_TEST

static void add(TCase *tcase, Suite *suite)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("vfu_jobs");
	TCase *jobs = tcase_create("jobs");

	tcase_add_test(jobs, sixteen_thousand_maps_of_one_file_take_one_host_mapping);
	add(jobs, suite);
	tcase_add_test(jobs, a_job_runs_and_interrupts);
	tcase_add_test(jobs, a_vanishing_client_leaves_nothing_behind);
	tcase_add_loop_test(jobs, device_reset_and_flr_keep_maps_and_eventfds, 0, 2);
	tcase_add_test(jobs, an_unmap_under_a_spinning_program_is_bounded_and_faults_it);
	tcase_add_test(jobs, memory_without_a_descriptor_is_reached_by_messages);
	tcase_add_test(jobs, commands_are_served_while_a_dma_reply_is_awaited);
	tcase_add_loop_test(jobs, a_reset_or_death_during_dma_is_clean, 0, 3);
	tcase_add_test(jobs, refused_dma_is_a_fault_of_the_program_not_of_the_connection);
	tcase_add_test(jobs, large_transfers_come_in_pieces_that_a_socket_takes_whole);
	tcase_add_test(jobs, one_refused_piece_is_a_fault_and_the_answers_to_the_others_are_nobodys);
	tcase_add_test(jobs, a_second_instance_on_the_path_is_refused_and_a_stale_socket_is_not);
	return suite_main(suite);
}
