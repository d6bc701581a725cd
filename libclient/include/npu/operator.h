/* SPDX-License-Identifier: Apache-2.0 */
/**
 * DOC: what operators of a host do to its devices, since protocol 1.3
 *
 * Drain a device, reset it, look at its registers. How a device is used is for everybody; the rest needs a right that
 * the daemon's configuration gives. Functions and objects follow the rules of <npu/npu.h>.
 */
#ifndef NPU_OPERATOR_H
#define NPU_OPERATOR_H

#include <npu/npu.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

enum npu_reset_state { NPU_RESET_RUNNING = 1, NPU_RESET_DONE = 2, NPU_RESET_FAILED = 3 };

/* What brought a device back, the gentlest first. */
enum npu_reset_by {
	NPU_RESET_BY_ITSELF = 2, /* its own reset */
	NPU_RESET_BY_TRANSPORT = 3, /* the bus, the platform or the server */
	NPU_RESET_BY_REOPENING = 4, /* it was closed and opened again */
};

/* A reset that an operator asked for. */
struct npu_reset {
	uint32_t number; /* of the device, from 1 on; 0: nobody has asked for one */
	enum npu_reset_state state;
	enum npu_reset_by by; /* NPU_RESET_DONE */
	uint64_t ns; /* from the request to the end */
	char message[512]; /* NPU_RESET_FAILED: why, and what to do */
};

/* What a device is used for, and whether it takes more. */
struct npu_device_usage {
	char name[NPU_NAME_BYTES]; /* as the daemon's configuration calls it */
	enum npu_device_status status;
	char reason[512]; /* why it is not ready */
	bool drained; /* an operator wants it empty: nothing new is accepted for it */
	uint32_t sessions; /* that sit on it */
	uint32_t busy_sessions; /* of them, with a submission that has not ended */
	uint32_t submissions; /* theirs */
	struct npu_reset reset; /* the last one */
};

#define NPU_REGISTERS 24 /* of a device, at most */
#define NPU_REGISTER_FIELDS 5

struct npu_register_field_info {
	char name[32];
	uint32_t value;
};

/* A status register of the device as it was read. */
struct npu_register_info {
	char name[32];
	uint32_t offset;
	uint32_t value;
	uint32_t field_count;
	struct npu_register_field_info fields[NPU_REGISTER_FIELDS]; /* parts of the value */
};

/**
 * npu_device_usage - who is on a device, whether it is drained, how its last reset ended
 * @index: less than npu_device_count()
 *
 * Errors: -ENODEV (there is no such device), -ENOTSUP (the daemon is older than protocol 1.3), -EPROTO, -EPIPE.
 */
int npu_device_usage(struct npu_connection *connection, uint32_t index, struct npu_device_usage *usage);

/**
 * npu_device_drain - let a device finish what it has, and take nothing new
 * @timeout_ns: how long to wait until it is empty; 0 not to wait, or NPU_WAIT_FOREVER
 * @usage: may be NULL; receives the device as it was seen last, on success and on -ETIMEDOUT
 *
 * Sessions go to other devices where they can. It holds until npu_device_resume() or until the daemon ends, whoever
 * asked for it and whatever becomes of him; to ask again is no error. The daemon has to give this user the right
 * "drain". Errors beside those of npu_device_usage(): -EACCES (the right is missing), -ETIMEDOUT (it is drained, and
 * has still something to do).
 */
int npu_device_drain(struct npu_connection *connection, uint32_t index, int64_t timeout_ns,
		     struct npu_device_usage *usage);

/** npu_device_resume - the device takes work again; the right and the errors of npu_device_drain() */
int npu_device_resume(struct npu_connection *connection, uint32_t index);

/**
 * npu_device_reset - reset a device, or bring one back that is offline or gone
 * @timeout_ns: how long to wait for the end; 0 not to wait, or NPU_WAIT_FOREVER
 * @reset: may be NULL; receives what is known of the reset when the call returns
 *
 * What runs there runs again if it is restartable, else it ends NPU_DEVICE_RESET; what has not begun waits. Nobody is
 * blamed. The daemon has to give this user the right "reset". Errors beside those of npu_device_usage(): -EACCES (the
 * right is missing), -EBUSY (a recovery is under way), -ENOTSUP (nothing is left that could bring it back), -EIO (it
 * failed: npu_error() says what to do), -ETIMEDOUT (it goes on).
 */
int npu_device_reset(struct npu_connection *connection, uint32_t index, int64_t timeout_ns, struct npu_reset *reset);

/**
 * npu_registers_read - status registers of a device: a fixed list, whose reading changes nothing
 * @registers: room for NPU_REGISTERS
 *
 * Nothing is written, and no other register can be read. The daemon has to give this user the right "registers".
 * Errors beside those of npu_device_usage(): -EACCES (the right is missing), -EBUSY (the device changes hands or
 * recovers just now: try again).
 *
 * Return: the number of registers, by offset, or a negative errno.
 */
int npu_registers_read(struct npu_connection *connection, uint32_t index,
		       struct npu_register_info registers[NPU_REGISTERS]);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif
