/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of a session: slots, the arena inside its window, handles. */
#include "daemon/util/handles.h"
#include "tests/unit/daemon/world.h"

START_TEST(sessions_get_different_slots_while_there_are_any)
{
	struct world world;
	world_open(&world);
	unsigned seen = 0;

	for (int i = 0; i < 7; i++)
		seen |= 1u << world_session(&world)->space->slot;
	ck_assert_uint_eq(seen, 0xfe);
	ck_assert_uint_eq(world_session(&world)->space->slot, 1);
	world_close(&world);
}
END_TEST

START_TEST(buffers_lie_in_the_client_part_of_the_window_and_never_overlap)
{
	struct world world;
	world_open(&world);
	struct session *session = world_session(&world);
	uint64_t end = 0;

	for (int i = 0; i < 20; i++) {
		struct buffer_request request = {.bytes = 12288, .align = i % 2 ? 65536 : 0};
		struct buffer *buffer;
		ck_assert_int_eq(try_import(session, make_memory(12288, F_SEAL_SHRINK), &request, &buffer, NULL), 0);
		uint64_t at = buffer->map.iova.v - session->space->base.v;
		ck_assert_uint_ge(at, NPU_CLIENT_OFFSET);
		ck_assert_uint_le(at + 12288, IOVA_SLOT_USABLE_BYTES);
		ck_assert_uint_eq(at % (i % 2 ? 65536 : 4096), 0);
		if (i % 2 == 0 && i > 0)
			ck_assert_uint_ne(at, end);
		end = at;
	}
	/* one that cannot fit any more says which limit */
	struct buffer_request huge = {.bytes = 3ull << 30};
	struct fail fail;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct buffer *buffer;
	ck_assert_int_eq(ftruncate(fd, 3ll << 30), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ck_assert_int_eq(try_import(session, fd, &huge, &buffer, &fail), -EINVAL);
	world_close(&world);
}
END_TEST

START_TEST(the_arena_gives_back_what_it_gave)
{
	const struct space_reach reach = {.generation = NPU_GEN_V3};
	struct address_space space;
	uint32_t a, b, c, again;

	ck_assert_int_eq(address_space_init(&space, &reach, 3), 0);
	ck_assert_int_eq(address_space_open_arena(&space), 0);
	ck_assert_uint_eq(space.pieces[0].iova.v, (3ull << 32) + ARENA_OFFSET);
	ck_assert_int_eq(arena_alloc(&space, 4096, &a), 0);
	ck_assert_int_eq(arena_alloc(&space, 8192 + 1, &b), 0);
	ck_assert_int_eq(arena_alloc(&space, 1, &c), 0);
	/* page 0 is the daemon's */
	ck_assert_uint_eq(a, 4096);
	ck_assert_uint_eq(b, 8192);
	ck_assert_uint_eq(c, 8192 + 3 * 4096);
	arena_release(&space, b, 8192 + 1);
	ck_assert_int_eq(arena_alloc(&space, 3 * 4096, &again), 0);
	ck_assert_uint_eq(again, b);
	ck_assert_int_eq(arena_alloc(&space, ARENA_BYTES, &again), -ENOSPC);
	ck_assert_uint_eq(space.pages_used, 6);
	address_space_fini(&space);
}
END_TEST

START_TEST(every_hold_tcb_lies_in_page_zero_behind_the_code)
{
	for (uint32_t i = 0; i < 2 * ARENA_HOLDS; i++) {
		ck_assert_uint_ge(arena_hold_offset(i), 16);
		ck_assert_uint_le(arena_hold_offset(i) + ZY_TCB_BYTES, ARENA_PAGE);
		ck_assert_uint_eq(arena_hold_offset(i), arena_hold_offset(i + ARENA_HOLDS));
	}
}
END_TEST

START_TEST(a_stale_handle_finds_nothing)
{
	struct handles handles;
	uint64_t first, second, third;
	int objects[3];

	handles_init(&handles, 2);
	ck_assert_int_eq(handles_add(&handles, &objects[0], &first), 0);
	ck_assert_ptr_eq(handles_remove(&handles, first), &objects[0]);
	ck_assert_ptr_null(handles_get(&handles, first));
	ck_assert_ptr_null(handles_remove(&handles, first));
	ck_assert_int_eq(handles_add(&handles, &objects[1], &second), 0);
	ck_assert_uint_ne(first, second);
	ck_assert_ptr_null(handles_get(&handles, first));
	ck_assert_ptr_eq(handles_get(&handles, second), &objects[1]);
	ck_assert_int_eq(handles_add(&handles, &objects[2], &third), 0);
	ck_assert_int_eq(handles_add(&handles, &objects[2], &third), -ENOSPC);
	/* guesses */
	ck_assert_ptr_null(handles_get(&handles, 0));
	ck_assert_ptr_null(handles_get(&handles, UINT64_MAX));
	ck_assert_ptr_null(handles_get(&handles, second ^ 1ull << 40));
	handles_fini(&handles);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("space");
	TCase *tcase = tcase_create("space");

	tcase_add_test(tcase, sessions_get_different_slots_while_there_are_any);
	tcase_add_test(tcase, buffers_lie_in_the_client_part_of_the_window_and_never_overlap);
	tcase_add_test(tcase, the_arena_gives_back_what_it_gave);
	tcase_add_test(tcase, every_hold_tcb_lies_in_page_zero_behind_the_code);
	tcase_add_test(tcase, a_stale_handle_finds_nothing);
	suite_add_tcase(suite, tcase);
	return suite_main(suite);
}
