/* SPDX-License-Identifier: Apache-2.0 */
/* errno to ErrorCode; see error.h. */
#include "daemon/wire/error.h"

#include <errno.h>

Npud__ErrorCode error_code(int error)
{
	switch (-error) {
	case EPROTO:
	case EMSGSIZE:
	case EBADMSG:
		return NPUD__ERROR_CODE__ERROR_PROTOCOL;
	case EPROTONOSUPPORT:
		return NPUD__ERROR_CODE__ERROR_VERSION;
	case EINVAL:
	case ERANGE:
	case EOVERFLOW:
		return NPUD__ERROR_CODE__ERROR_INVALID;
	case ENOENT:
		return NPUD__ERROR_CODE__ERROR_NO_SUCH_OBJECT;
	case EDQUOT:
	case ENOSPC:
	case EMFILE:
		return NPUD__ERROR_CODE__ERROR_LIMIT;
	case EPERM:
	case EACCES:
		return NPUD__ERROR_CODE__ERROR_PERMISSION;
	case ENOTSUP:
		return NPUD__ERROR_CODE__ERROR_UNSUPPORTED;
	case EBUSY:
	case EAGAIN:
		return NPUD__ERROR_CODE__ERROR_BUSY;
	case ENODEV:
		return NPUD__ERROR_CODE__ERROR_DEVICE_GONE;
	case ENOMEM:
		return NPUD__ERROR_CODE__ERROR_NO_MEMORY;
	case ECANCELED:
		return NPUD__ERROR_CODE__ERROR_QUARANTINED;
	default:
		return NPUD__ERROR_CODE__ERROR_INTERNAL;
	}
}

bool error_is_fatal(int error)
{
	Npud__ErrorCode code = error_code(error);

	return code == NPUD__ERROR_CODE__ERROR_PROTOCOL || code == NPUD__ERROR_CODE__ERROR_VERSION;
}

/* Older clients do not know the newer codes. */
static Npud__ErrorCode code_for(Npud__ErrorCode code, uint32_t minor)
{
	return code == NPUD__ERROR_CODE__ERROR_QUARANTINED && minor < 2 ? NPUD__ERROR_CODE__ERROR_PERMISSION : code;
}

void error_fill(Npud__Error *out, int error, uint32_t minor, const struct fail *fail)
{
	npud__error__init(out);
	out->code = code_for(error_code(error), minor);
	/* protobuf-c's strings are not const, and packing only reads them. */
	out->message = (char *)(uintptr_t)fail->text;
	if (fail->limit) {
		out->limit = (char *)(uintptr_t)fail->limit;
		out->owner = (char *)(uintptr_t)(fail->owner ? fail->owner : "");
		out->used = fail->used;
		out->maximum = fail->maximum;
	}
}
