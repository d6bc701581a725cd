/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of the wire protocol, shared by daemon and library. PROTOCOL.md states the same numbers; a test compares them.
 */
#ifndef NPUD_PROTO_LIMITS_H
#define NPUD_PROTO_LIMITS_H

/* Tests build libraries and daemons of other versions. */
#ifndef NPUD_PROTOCOL_MAJOR
#define NPUD_PROTOCOL_MAJOR 1u
#endif
#ifndef NPUD_PROTOCOL_MINOR
#define NPUD_PROTOCOL_MINOR 3u
#endif

#define NPUD_DEFAULT_SOCKET "/run/npud/npud.sock"
#define NPUD_SOCKET_ENV "NPU_SOCKET"

#define NPUD_MAX_FRAME_BYTES 16384u /* one SOCK_SEQPACKET message */
#define NPUD_MAX_FRAME_FDS 4u
#define NPUD_MAX_UNPACK_BYTES (256u << 10) /* memory one decoded frame may take */
#define NPUD_MAX_NESTED_PER_FRAME 1024u /* messages inside a request; 64 groups have some 500 */
#define NPUD_MAX_STRING_BYTES 256u
#define NPUD_MAX_ERROR_TEXT 512u
#define NPUD_MAX_PRINT_BYTES 1023u

#define NPUD_MAX_GROUPS_PER_FRAME 64u
#define NPUD_MAX_GROUPS_PER_JOB 8192u
#define NPUD_MAX_TECS 4u
#define NPUD_MAX_BSS_PER_JOB 64u
#define NPUD_MAX_BUFFERS_PER_SESSION 4096u
#define NPUD_MAX_JOBS_PER_SESSION 1024u
#define NPUD_MAX_MAPS_PER_FRAME 64u
#define NPUD_MAX_MAP_SESSIONS_PER_FRAME 12u
#define NPUD_MAX_INFLIGHT_EVENTS 256u /* submissions whose completion the client has not read: its credits */
#define NPUD_MAX_QUEUES_PER_SESSION 256u /* beside its own */
#define NPUD_MAX_FENCES_PER_SESSION 256u
#define NPUD_MAX_DEPENDENCIES 8u /* of a submission, fences included */
#define NPUD_FENCE_SECRET_BYTES 16u
#define NPUD_FENCE_TOKEN_BYTES 24u
#define NPUD_MAX_PS_SESSIONS_PER_FRAME 8u
#define NPUD_MAX_PS_SUBMISSIONS 8u /* that are named of a session */
#define NPUD_MAX_CLIENT_BYTES 31u /* name of a client, in PsSession */
#define NPUD_MAX_TENANT_BYTES 79u /* name of a tenant */
#define NPUD_MAX_TIMELINE_PER_FRAME 16u
#define NPUD_MAX_REGISTERS 24u /* of a device */
#define NPUD_MAX_REGISTER_FIELDS 5u /* that are told apart in one of them */
#define NPUD_TIMELINE_ENTRIES 4096u
#define NPUD_MAX_BUFFER_BYTES (3ull << 30)
#define NPUD_BUFFER_ALIGN 4096u

#endif
