/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zhouyi V3 executables: the tables inside the ELF note section. Little-endian, 4-byte aligned at best, so readers
 * copy fields out instead of casting. The facts are in docs/hardware/executable.md. Owns layouts and numbers only.
 */
#ifndef NPUD_PROTO_ZHOUYI_ELF_H
#define NPUD_PROTO_ZHOUYI_ELF_H

#include <stddef.h>
#include <stdint.h>

#define ZY_ELF_MACHINE 0x29au
#define ZY_ELF_FILE_VERSION 0x01010000u
#define ZY_ELF_BUILD_VERSION 0x00010205u
#define ZY_PAGE_BYTES 4096u

#define ZY_SECTION_TEXT ".text"
#define ZY_SECTION_RODATA ".rodata"
#define ZY_SECTION_COMMENT ".comment"
#define ZY_SECTION_NOTES ".note.aipu"

#define ZY_NOTE_RODATA "rodata"
#define ZY_NOTE_DESC "desc"
#define ZY_NOTE_WEIGHT "weight"
#define ZY_NOTE_FMLIST "fmlist"
#define ZY_NOTE_REMAP "remap"
#define ZY_NOTE_SUBGRAPHS "subgraphs"
#define ZY_NOTE_COMPILERMSG "compilermsg"
#define ZY_NOTE_GMCONFIG "gmconfig"
#define ZY_NOTE_SEGMMU "segmmu"
#define ZY_NOTE_GLOBALPARAM "globalparam"
#define ZY_NOTE_INPUTSHAPE "inputshapeconstraint"
#define ZY_NOTE_EXTRA_WEIGHT "extra_weight_name"
#define ZY_NOTE_HASHTABLE "constanthashtable"
#define ZY_NOTE_GRAPHJSON "graphjson"

/* The device word: config (decimal number) | isa << 16 | arch << 20 | revision << 28. */
#define ZY_DEVICE_X2_1204 0x000504b4u
#define ZY_DEVICE_CONFIG(w) ((w)&0xffffu)
#define ZY_DEVICE_ISA(w) (((w) >> 16) & 0xfu)
#define ZY_DEVICE_ARCH(w) (((w) >> 20) & 0xffu)
#define ZY_DEVICE_REVISION(w) ((w) >> 28)

struct zy_bss_header {
	uint32_t stack_size;
	uint32_t stack_align_bytes;
	uint32_t static_cnt;
	uint32_t reuse_cnt;
};

struct zy_static_section {
	uint32_t src_offset;
	uint32_t size;
	uint32_t align_bytes;
	uint32_t sub_cnt;
};

struct zy_reuse_section {
	uint32_t size;
	uint32_t align_bytes;
	uint32_t type;
	uint32_t sub_cnt;
};

enum zy_sub_type {
	ZY_SUB_INPUT = 0,
	ZY_SUB_OUTPUT = 1,
	ZY_SUB_INTER_DUMP = 2,
	ZY_SUB_INTERMEDIATE = 3,
	ZY_SUB_CONSTANT = 4,
	ZY_SUB_PROFILER = 10,
	ZY_SUB_PRINTF = 12,
	ZY_SUB_LAYER_COUNTER = 13,
	ZY_SUB_ERROR_CODE = 14,
	ZY_SUB_ZEROCPY_CONSTANT = 15,
	ZY_SUB_OUT_TENSOR_SHAPE = 16,
	ZY_SUB_SEGMMU = 255,
};

struct zy_sub_section {
	uint32_t offset_in_section;
	uint32_t size;
	uint32_t type;
	uint32_t id;
	uint32_t data_type;
	float scale;
	int32_t zero_point;
	uint32_t reserved[3];
	uint32_t addr_mask;
	uint32_t ro_cnt; /* that many u32 patch locations follow */
};

struct zy_remap_entry {
	uint32_t type;
	uint32_t offset;
	uint32_t next_type;
	uint32_t next_offset;
};
#define ZY_REMAP_RODATA 0u
#define ZY_REMAP_DESC 1u
#define ZY_REMAP_TEXT 2u

struct zy_compilermsg {
	uint32_t file_version;
	uint32_t build_version;
	uint32_t device;
	uint32_t flag;
	uint32_t reserved[8];
};
#define ZY_COMPILERMSG_MIN_BYTES 16u
#define ZY_COMPILERMSG_DYNAMIC_SHAPE 0x40u

struct zy_subgraph {
	uint32_t id;
	uint32_t type;
	uint32_t text_offset;
	uint32_t fm_desc_offset; /* index of the BSS block */
	uint32_t rodata_offset;
	uint32_t rodata_size;
	uint32_t dcr_offset;
	uint32_t dcr_size;
	uint32_t printfifo_size;
	uint32_t profiler_buf_size; /* despite the name, an offset */
	uint32_t private_data_size;
	uint32_t warmup_len;
	uint32_t reserved[2];
	int32_t precursor_cnt; /* -1: depends on everything before */
};

struct zy_gm_buffer {
	uint32_t fm_index;
	uint32_t buf_type;
	uint32_t buf_index;
	uint32_t reserved;
};

struct zy_gmconfig {
	uint32_t control;
	uint32_t region_ctrl[2];
	uint32_t reserved[3];
	struct zy_gm_buffer buffer[2];
};

struct zy_segmmu_table {
	struct {
		uint32_t control0;
		uint32_t control1;
	} segment[4];
	uint32_t ctrl;
	uint32_t remap;
	uint32_t reserved[4];
};

/* Tensor data types as executables and the vendor's API number them. */
enum zy_data_type {
	ZY_DATA_NONE = 0,
	ZY_DATA_BOOL = 1,
	ZY_DATA_U8 = 2,
	ZY_DATA_S8 = 3,
	ZY_DATA_U16 = 4,
	ZY_DATA_S16 = 5,
	ZY_DATA_U32 = 6,
	ZY_DATA_S32 = 7,
	ZY_DATA_U64 = 8,
	ZY_DATA_S64 = 9,
	ZY_DATA_F16 = 0xa,
	ZY_DATA_F32 = 0xb,
	ZY_DATA_F64 = 0xc,
	ZY_DATA_BF16 = 0xd,
};

_Static_assert(sizeof(struct zy_bss_header) == 16, "BSS header");
_Static_assert(sizeof(struct zy_static_section) == 16, "static section");
_Static_assert(sizeof(struct zy_reuse_section) == 16, "reuse section");
_Static_assert(sizeof(struct zy_sub_section) == 48, "sub-section");
_Static_assert(offsetof(struct zy_sub_section, addr_mask) == 40, "sub-section mask");
_Static_assert(sizeof(struct zy_remap_entry) == 16, "remap entry");
_Static_assert(sizeof(struct zy_compilermsg) == 48, "compilermsg");
_Static_assert(sizeof(struct zy_subgraph) == 60, "subgraph");
_Static_assert(offsetof(struct zy_subgraph, precursor_cnt) == 56, "subgraph precursors");
_Static_assert(sizeof(struct zy_gmconfig) == 56, "gmconfig");
_Static_assert(offsetof(struct zy_gmconfig, buffer) == 24, "gmconfig buffers");
_Static_assert(sizeof(struct zy_segmmu_table) == 56, "segmmu table");

#endif
