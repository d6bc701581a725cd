/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a socket path to a checked device: connect, VERSION, GET_INFO, class and region 0. Every number of the server is
 * checked before it is used; each refusal says what was found and what was expected.
 */
#include "daemon/vfio/vfu.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define VERSION_MAJOR 0
#define VERSION_MINOR 2
#define VERSION_MAX_BYTES 4096u /* of the server's capabilities */
#define MAX_REGIONS 100u
#define MAX_IRQS 50u
#define PAGE 4096u
#define CLASS_ACCELERATOR 0x1200u

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

int vfu_fail(struct vfu_why why, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why.text, why.bytes, format, args);
	va_end(args);
	return error;
}

static int connect_error(int fd, const char *path, struct vfu_why why)
{
	int error = -errno;

	close(fd);
	if (error == -ENOENT)
		return vfu_fail(why, error, "%s: no such socket: is the device's server running?", path);
	if (error == -ECONNREFUSED)
		return vfu_fail(why, error, "%s: nobody listens: the server has ended", path);
	if (error == -EAGAIN || error == -EINPROGRESS)
		return vfu_fail(why, -ETIMEDOUT, "%s: the server does not accept connections", path);
	return vfu_fail(why, error, "%s: cannot connect: %s", path, strerror(-error));
}

int vfu_connect(const char *path, uint64_t deadline_ns, int *out, struct vfu_why why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {(time_t)(deadline_ns / 1000000000ull),
				  (suseconds_t)(deadline_ns % 1000000000ull / 1000)};

	if (strlen(path) >= sizeof(address.sun_path))
		return vfu_fail(why, -ENAMETOOLONG, "%s: a socket path has at most %zu bytes", path,
				sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vfu_fail(why, -errno, "%s: no socket: %m", path);
	/* The kernel's send timeout also bounds connect() while the server's backlog is full. */
	if (timeout.tv_sec == 0 && timeout.tv_usec == 0)
		timeout.tv_usec = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return connect_error(fd, path, why);
	*out = fd;
	return 0;
}

/* ------------------------------------------------------------------ VERSION */

/* An optional member of the capabilities, inside [low, high]. */
static bool member_number(const json_t *capabilities, const char *name, uint64_t low, uint64_t high, uint64_t *value)
{
	const json_t *member = json_object_get(capabilities, name);

	if (!member)
		return true;
	if (!json_is_integer(member) || json_integer_value(member) < (json_int_t)low ||
	    (uint64_t)json_integer_value(member) > high)
		return false;
	*value = (uint64_t)json_integer_value(member);
	return true;
}

/* The twin socket, if the server made one: -1 none, else an index into the reply's descriptors; -2 nonsense. */
static int twin_index(const json_t *capabilities, unsigned fd_count)
{
	const json_t *twin = json_object_get(capabilities, "twin_socket");
	const json_t *index = json_object_get(twin, "fd_index");

	if (!json_is_true(json_object_get(twin, "supported")))
		return -1;
	if (!json_is_integer(index) || json_integer_value(index) < 0 ||
	    json_integer_value(index) >= (json_int_t)fd_count)
		return -2;
	return (int)json_integer_value(index);
}

static int capabilities_apply(struct vfu *vfu, const json_t *root, const struct vfu_call *call, int *twin,
			      struct vfu_why why)
{
	const json_t *capabilities = json_object_get(root, "capabilities");
	uint64_t fds = VFU_DEFAULT_MAX_MSG_FDS, xfer = VFU_DEFAULT_MAX_DATA_XFER, pages = PAGE,
		 maps = VFU_DEFAULT_MAX_DMA_MAPS;

	if (!member_number(capabilities, "max_msg_fds", 1, UINT32_MAX, &fds))
		return vfu_fail(why, -EPROTO, "VERSION: max_msg_fds has to be a positive number");
	if (!member_number(capabilities, "max_data_xfer_size", 4, UINT32_MAX, &xfer))
		return vfu_fail(why, -EPROTO, "VERSION: max_data_xfer_size has to be at least 4");
	if (!member_number(capabilities, "pgsizes", 1, INT64_MAX, &pages))
		return vfu_fail(why, -EPROTO, "VERSION: pgsizes has to be a mask of page sizes");
	if (!member_number(capabilities, "max_dma_maps", 1, UINT32_MAX, &maps))
		return vfu_fail(why, -EPROTO, "VERSION: max_dma_maps has to be a positive number");
	*twin = twin_index(capabilities, call->reply_fd_count);
	if (*twin == -2)
		return vfu_fail(why, -EPROTO, "VERSION: a twin socket was promised, none came");
	uint64_t page = pages & -pages;
	vfu->server_max_fds = (uint32_t)fds;
	vfu->server_max_xfer = (uint32_t)xfer;
	vfu->base.page_bytes = page < PAGE ? PAGE : page;
	vfu->base.max_mappings = (uint32_t)(maps < VFU_DEFAULT_MAX_DMA_MAPS ? maps : VFU_DEFAULT_MAX_DMA_MAPS);
	return 0;
}

static int version_check(struct vfu *vfu, const struct vfu_call *call, int *twin, struct vfu_why why)
{
	struct vfu_version version;
	const char *text = (const char *)vfu->reply + sizeof(version);
	json_error_t error;

	*twin = -1;
	if (call->reply_bytes < sizeof(version) || call->reply_bytes > VERSION_MAX_BYTES)
		return vfu_fail(why, -EPROTO, "VERSION: a reply of %u bytes", call->reply_bytes);
	memcpy(&version, vfu->reply, sizeof(version));
	if (version.major != VERSION_MAJOR || version.minor > VERSION_MINOR)
		return vfu_fail(why, -EPROTONOSUPPORT, "VERSION: the server speaks %u.%u, this client %d.%d or older",
				version.major, version.minor, VERSION_MAJOR, VERSION_MINOR);
	size_t bytes = call->reply_bytes - sizeof(version);
	if (bytes == 0)
		return capabilities_apply(vfu, NULL, call, twin, why);
	if (text[bytes - 1] != '\0')
		return vfu_fail(why, -EPROTO, "VERSION: capabilities without end");
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(root)) {
		json_decref(root);
		return vfu_fail(why, -EPROTO, "VERSION: capabilities are not a JSON object: %.100s", error.text);
	}
	int rc = capabilities_apply(vfu, root, call, twin, why);
	json_decref(root);
	return rc;
}

int vfu_handshake(struct vfu *vfu, struct vfu_why why)
{
	static const char offer[] = "{\"capabilities\":{\"max_msg_fds\":" TEXT(
	    VFU_MAX_MSG_FDS) ",\"max_data_xfer_size\":"
			     "65536,\"pgsizes\":4096,\"max_dma_maps\":65535,\"twin_socket\":{\"supported\":true}}}";
	const struct vfu_version version = {.major = VERSION_MAJOR, .minor = VERSION_MINOR};
	struct vfu_call call = {.command = VFU_VERSION,
				.payload = &version,
				.payload_bytes = sizeof(version),
				.tail = offer,
				.tail_bytes = sizeof(offer),
				.fd = -1};
	int twin = -1, rc = vfu_call(vfu, &call);

	_Static_assert(VFU_MAX_XFER == 65536, "the number that the offer names");
	if (rc == -ENODEV)
		return vfu_fail(why, -EPROTO, "VERSION: no valid answer in time: not a vfio-user server?");
	if (rc)
		return vfu_fail(why, rc, "VERSION: refused: %s", strerror(-rc));
	rc = version_check(vfu, &call, &twin, why);
	for (unsigned i = 0; i < call.reply_fd_count; i++) {
		if (rc == 0 && (int)i == twin)
			vfu->twin.fd = call.reply_fds[i];
		else
			close(call.reply_fds[i]);
	}
	return rc;
}

/* ------------------------------------------------------------------ device */

static int config_access(struct vfu *vfu, uint16_t command, uint64_t offset, uint32_t *value, uint32_t bytes)
{
	struct vfu_access message = {.offset = offset, .region = VFU_REGION_CONFIG, .count = bytes};
	bool read = command == VFU_REGION_READ;
	uint32_t head = offsetof(struct vfu_access, data);

	memcpy(message.data, value, bytes);
	int rc =
	    vfu_call_simple(vfu, command, &message, read ? head : head + bytes, &message, read ? head + bytes : head);
	if (rc)
		return rc;
	if (message.count != bytes || message.offset != offset)
		return vfu_lose(vfu);
	if (read)
		memcpy(value, message.data, bytes);
	return 0;
}

static int class_check(struct vfu *vfu, struct vfu_why why)
{
	uint32_t class_revision = 0, command = 0;
	int rc = config_access(vfu, VFU_REGION_READ, 0x08, &class_revision, 4);

	if (rc)
		return vfu_fail(why, rc, "configuration space cannot be read: %s", strerror(-rc));
	if (class_revision >> 16 != CLASS_ACCELERATOR)
		return vfu_fail(why, -ENOTSUP, "PCI class %04x: not a processing accelerator (%04x)",
				class_revision >> 16, CLASS_ACCELERATOR);
	/* Memory decoding and bus mastering. A server without a command register may refuse. */
	rc = config_access(vfu, VFU_REGION_READ, 0x04, &command, 2);
	command |= 0x6u;
	if (rc == 0)
		rc = config_access(vfu, VFU_REGION_WRITE, 0x04, &command, 2);
	return rc == -ENODEV ? vfu_fail(why, rc, "the device went away while it was enabled") : 0;
}

static int region_check(struct vfu *vfu, struct vfu_why why)
{
	const struct vfu_region_info request = {.argsz = sizeof(request), .index = VFU_REGION_BAR0};
	struct vfu_region_info info;
	struct vfu_call call = {
	    .command = VFU_DEVICE_GET_REGION_INFO, .payload = &request, .payload_bytes = sizeof(request), .fd = -1};
	const uint32_t need = VFU_REGION_FLAG_READ | VFU_REGION_FLAG_WRITE;
	int rc = vfu_call(vfu, &call);

	if (rc)
		return vfu_fail(why, rc, "region 0: %s", strerror(-rc));
	/* Registers have side effects: they are never mapped, so a descriptor or a longer answer is of no use. */
	vfu_close_fds(call.reply_fds, call.reply_fd_count);
	if (call.reply_bytes < sizeof(info))
		return vfu_fail(why, vfu_lose(vfu), "region 0: a reply of %u bytes", call.reply_bytes);
	memcpy(&info, vfu->reply, sizeof(info));
	if (info.index != VFU_REGION_BAR0 || (info.flags & need) != need || info.size < 4 || info.size > UINT32_MAX)
		return vfu_fail(why, -ENOTSUP, "region 0: no readable and writable registers (flags %x, %llu bytes)",
				info.flags, (unsigned long long)info.size);
	vfu->base.mmio_bytes = info.size;
	return 0;
}

int vfu_device_check(struct vfu *vfu, uint32_t *irq_indexes, struct vfu_why why)
{
	const struct vfu_device_info request = {.argsz = sizeof(request)};
	struct vfu_device_info info;
	struct vfu_call call = {
	    .command = VFU_DEVICE_GET_INFO, .payload = &request, .payload_bytes = sizeof(request), .fd = -1};
	int rc = vfu_call(vfu, &call);

	if (rc)
		return vfu_fail(why, rc, "GET_INFO: %s", strerror(-rc));
	vfu_close_fds(call.reply_fds, call.reply_fd_count);
	if (call.reply_bytes < sizeof(info))
		return vfu_fail(why, vfu_lose(vfu), "GET_INFO: a reply of %u bytes", call.reply_bytes);
	memcpy(&info, vfu->reply, sizeof(info));
	if (!(info.flags & VFU_DEVICE_FLAG_PCI))
		return vfu_fail(why, -ENOTSUP, "GET_INFO: not a PCI device (flags %x)", info.flags);
	if (info.num_regions <= VFU_REGION_CONFIG || info.num_regions > MAX_REGIONS || info.num_irqs > MAX_IRQS)
		return vfu_fail(why, -EPROTO, "GET_INFO: %u regions and %u interrupts", info.num_regions,
				info.num_irqs);
	vfu->has_reset = info.flags & VFU_DEVICE_FLAG_RESET;
	*irq_indexes = info.num_irqs;
	rc = class_check(vfu, why);
	return rc ? rc : region_check(vfu, why);
}
