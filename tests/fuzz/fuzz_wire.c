/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon behind its socket, against a hostile client and a device that lies: framing, decoding, dispatch, session,
 * jobs, completions, budgets, recovery. When the client is gone, nothing is left. Input: a conversation, see
 * wire_rig.h.
 */
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wire_rig.h"

#define MAX_STEPS 256

static int lowest_free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig;
	size_t at = 0;

	rig_prepare();
	int before = lowest_free_fd();
	rig_open(&rig);
	for (int i = 0; i < MAX_STEPS && size - at >= 2; i++) {
		at += rig_play(&rig, data + at, size - at);
		if (i % 4 == 3)
			(void)rig_drain(&rig);
	}
	(void)rig_drain(&rig);
	rig_close(&rig);
	require(before == lowest_free_fd());
	return 0;
}
