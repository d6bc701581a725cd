/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile executables on a device behind a real IOMMU: each names an address that is not its session's. The kernel's
 * log has to say that the access was refused; the job ends as its owner's failure, and nobody else notices. The
 * device's own table is switched off (npu-emu --blind-dma), so nothing else stands in the way.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libclient/objects.h"
#include "tests/integration/forge.h"
#include "tests/vm/guest/kernel_log.h"

#define BUDGET_NS (20ull * SECOND_NS)
#define PAGE 4096u
#define ATTEMPTS 40u /* twelve seconds of silence */

static int kernel_log;
static struct harness *harness;

static void setup(void)
{
	ck_assert_msg(harness_has_kernel_device(), "NPUD_TEST_ADDRESS has to name the device");
	kernel_log = kernel_log_open();
	harness = harness_start(NULL);
}

static void teardown(void)
{
	harness_stop(harness);
	close(kernel_log);
}

/* Ended as the owner's failure, with the place in its chain. */
static void expect_failed(struct npu_result result)
{
	ck_assert_msg(result.outcome == NPU_FAULT || result.outcome == NPU_TIMEOUT || result.outcome == NPU_EXCEPTION,
		      "%s: %s", npu_outcome_name(result.outcome), result.message);
	if (result.outcome == NPU_FAULT)
		ck_assert_uint_ne(result.tcb_pointer, 0);
}

/* True when the kernel says so; false to let it happen again, as its log leaves lines out; not for ever. */
static bool was_refused(struct target target, unsigned attempt)
{
	uint64_t address = target.base + target.address;

	if (kernel_log_refused(kernel_log, address, 4))
		return true;
	ck_assert_msg(attempt < ATTEMPTS, "the kernel does not say that it refused %#" PRIx64, address);
	return false;
}

static void attack_and_expect_refusal(const struct attacker *attacker, const struct victim *victim,
				      struct target target, enum attack attack)
{
	unsigned attempt = 0;

	do {
		write_forged(attacker, target, attack);
		expect_failed(wait_for(attacker->connection, submit(attacker->job, BUDGET_NS)));
		expect_nothing_seen(attacker);
	} while (!was_refused(target, attempt++));
	expect_unharmed(victim);
}

START_TEST(another_sessions_memory_is_refused_by_the_iommu)
{
	struct victim victim = victim_start(harness);
	struct attacker attacker = attacker_start(harness, true);

	expect_unharmed(&victim);
	attack_and_expect_refusal(&attacker, &victim, victim.where, (enum attack)_i);
	npu_disconnect(attacker.connection);
	npu_disconnect(victim.connection);
}
END_TEST

/* What a session had mapped before it ended: its window belongs to nobody, or to somebody else. */
START_TEST(the_window_of_a_session_that_ended_is_refused_by_the_iommu)
{
	struct victim gone = victim_start(harness), victim = victim_start(harness);
	struct attacker attacker = attacker_start(harness, true);
	struct target stale = gone.where;

	expect_unharmed(&gone);
	npu_disconnect(gone.connection);
	attack_and_expect_refusal(&attacker, &victim, stale, READ_BY_OTHER_REGION);
	attack_and_expect_refusal(&attacker, &victim, stale, WRITE_BY_OTHER_REGION);
	npu_disconnect(attacker.connection);
	npu_disconnect(victim.connection);
}
END_TEST

/* Where a page of this process lies in the machine's memory. */
static uint64_t physical(const void *page)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / PAGE * sizeof(entry))),
			 sizeof(entry));
	close(fd);
	ck_assert_msg(entry >> 63, "the page is not in memory");
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

START_TEST(a_physical_address_is_refused_by_the_iommu)
{
	struct victim victim = victim_start(harness);
	struct attacker attacker = attacker_start(harness, true);
	uint32_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(mlock(page, PAGE), 0);
	for (unsigned i = 0; i < PAGE / 4; i++)
		page[i] = CANARY;
	uint64_t address = physical(page);
	struct target target = {address & ~0xffffffffull, (uint32_t)address};
	attack_and_expect_refusal(&attacker, &victim, target, READ_BY_OTHER_REGION);
	attack_and_expect_refusal(&attacker, &victim, target, WRITE_BY_OTHER_REGION);
	for (unsigned i = 0; i < PAGE / 4; i++)
		ck_assert_uint_eq(page[i], CANARY);
	munmap(page, PAGE);
	npu_disconnect(attacker.connection);
	npu_disconnect(victim.connection);
}
END_TEST

static void reach(struct npu_connection *connection, struct npu_job *job, uint32_t address)
{
	struct target target = {base_of(connection), address};
	unsigned attempt = 0;

	do {
		input_of(job)[0] = address;
		input_of(job)[1] = 0xdeadbeef;
		output_of(job)[0] = 0;
		expect_failed(wait_for(connection, submit(job, BUDGET_NS)));
		ck_assert_uint_eq(output_of(job)[0], 0);
	} while (!was_refused(target, attempt++));
}

START_TEST(weights_and_program_are_read_only_for_the_iommu)
{
	struct victim victim = victim_start(harness);
	struct npu_connection *connection = harness_connect(harness);
	struct program program = program_constants(16);
	program.constant_bytes = 4 * PAGE;
	struct npu_job *job = job_of(connection, program), *poke = job_of(connection, program_poke());
	const struct npu_plan *plan = &job->graph->plan;
	uint32_t weights = job->graph->pool.npu_address + (uint32_t)plan->weights[0].offset;

	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	/* QEMU reports a forbidden write only where it has not cached the page for reading: the last one nobody read */
	reach(connection, poke, weights + 3 * PAGE);
	input_of(poke)[0] = job->graph->pool.npu_address + (uint32_t)plan->text.offset;
	expect_failed(wait_for(connection, submit(poke, BUDGET_NS)));
	ASSERT_OUTCOME(run(connection, job), NPU_DONE);
	ck_assert_uint_eq(output_of(job)[0], 0x03020100);
	expect_unharmed(&victim);
	npu_disconnect(connection);
	npu_disconnect(victim.connection);
}
END_TEST

START_TEST(freed_memory_is_refused_by_the_iommu)
{
	struct victim victim = victim_start(harness);
	struct npu_connection *connection = harness_connect(harness);
	struct npu_job *peek = job_of(connection, program_peek()), *poke = job_of(connection, program_poke());
	struct victim freed = victim_in(connection, 0);

	/* as long as it is mapped it can be read, or what follows would show nothing */
	ASSERT_OUTCOME(run(connection, freed.job), NPU_DONE);
	input_of(peek)[0] = freed.where.address;
	ASSERT_OUTCOME(run(connection, peek), NPU_DONE);
	ck_assert_uint_eq(output_of(peek)[0], CANARY);
	ASSERT_NPU(npu_job_free(freed.job));
	reach(connection, peek, freed.where.address);
	reach(connection, poke, freed.where.address);
	expect_unharmed(&victim);
	npu_disconnect(connection);
	npu_disconnect(victim.connection);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("refused");
	TCase *all = tcase_create("refused");

	tcase_set_timeout(all, 120);
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_loop_test(all, another_sessions_memory_is_refused_by_the_iommu, 0, ATTACKS);
	tcase_add_test(all, the_window_of_a_session_that_ended_is_refused_by_the_iommu);
	tcase_add_test(all, a_physical_address_is_refused_by_the_iommu);
	tcase_add_test(all, weights_and_program_are_read_only_for_the_iommu);
	tcase_add_test(all, freed_memory_is_refused_by_the_iommu);
	suite_add_tcase(suite, all);
	return suite_main(suite);
}
