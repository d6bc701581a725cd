/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One malformed executable, or more, for each rule of the loader: docs/hardware/executable.md numbers them (21-49 and
 * 52-54 concern V3). Each is the verified vector with one thing wrong.
 */
#ifndef NPUD_TESTS_ROWS_H
#define NPUD_TESTS_ROWS_H

#include <errno.h>
#include <stdbool.h>

#include "tests/malformed/changes_notes.h"
#include "tests/malformed/changes_refused.h"
#include "tests/malformed/changes_sections.h"
#include "tests/malformed/damage.h"

struct row {
	int row;
	const char *name; /* row_NN_name.elf */
	const char *field; /* what the error must name */
	int code;
	void (*change)(struct zf_file *file); /* before it is built */
	void (*damage)(struct zf_bytes *bytes); /* after */
	uint64_t sparse_bytes; /* the file is extended to this length */
};

#define CHANGE(row, name, field, function)                                                                             \
	{                                                                                                              \
		row, name, field, -EBADMSG, function, NULL, 0                                                          \
	}
#define DAMAGE(row, name, field, function)                                                                             \
	{                                                                                                              \
		row, name, field, -EBADMSG, NULL, function, 0                                                          \
	}
#define UNSUPPORTED(row, name, function)                                                                               \
	{                                                                                                              \
		row, name, "unsupported", -ENOTSUP, function, NULL, 0                                                  \
	}

static const struct row rows[] = {
    DAMAGE(21, "row_21_class64.elf", "EI_CLASS", row_class),
    DAMAGE(21, "row_21_big_endian.elf", "EI_DATA", row_endian),
    DAMAGE(21, "row_21_machine.elf", "e_machine", row_machine),
    DAMAGE(21, "row_21_type.elf", "e_type", row_type),
    DAMAGE(22, "row_22_shoff.elf", "e_shoff", row_shoff),
    DAMAGE(22, "row_22_shnum.elf", "e_shnum", row_shnum),
    DAMAGE(22, "row_22_shnum_zero.elf", "e_shnum", row_shnum_zero),
    DAMAGE(22, "row_22_shentsize.elf", "e_shentsize", row_shentsize),
    DAMAGE(22, "row_22_shstrndx.elf", "e_shstrndx", row_shstrndx),
    DAMAGE(22, "row_22_truncated.elf", "e_shnum", row_truncated),
    DAMAGE(22, "row_22_header_cut.elf", "ELF header", row_header_only),
    DAMAGE(23, "row_23_section_size.elf", "sh_size", row_section_size),
    DAMAGE(23, "row_23_section_wrap.elf", "sh_offset", row_section_wrap),
    DAMAGE(23, "row_23_section_name.elf", "sh_name", row_section_name),
    DAMAGE(24, "row_24_note_namesz.elf", "namesz", row_namesz),
    DAMAGE(24, "row_24_last_note_namesz.elf", "namesz", row_last_namesz),
    DAMAGE(24, "row_24_note_descsz.elf", "descsz", row_descsz),
    DAMAGE(24, "row_24_last_note_descsz.elf", "descsz", row_last_descsz),
    CHANGE(25, "row_25_text_empty.elf", ".text", row_text_empty),
    CHANGE(26, "row_26_no_subgraphs.elf", "note subgraphs", row_no_subgraphs),
    CHANGE(26, "row_26_short_subgraphs.elf", "note subgraphs", row_short_subgraphs),
    CHANGE(26, "row_26_no_fmlist.elf", "note fmlist", row_no_fmlist),
    CHANGE(26, "row_26_short_fmlist.elf", "note fmlist", row_short_fmlist),
    CHANGE(26, "row_26_no_compilermsg.elf", "note compilermsg", row_no_compilermsg),
    CHANGE(26, "row_26_short_compilermsg.elf", "note compilermsg", row_short_compilermsg),
    CHANGE(26, "row_26_no_rodata.elf", "note rodata", row_no_rodata),
    CHANGE(27, "row_27_compilermsg_long.elf", "note compilermsg", row_long_compilermsg),
    CHANGE(28, "row_28_gmconfig_long.elf", "note gmconfig", row_long_gmconfig),
    CHANGE(28, "row_28_gmconfig_short.elf", "note gmconfig", row_short_gmconfig),
    CHANGE(29, "row_29_subgraph_count.elf", "count", row_subgraph_count),
    {29, "row_29_subgraph_limit.elf", "over the supported", -ENOTSUP, row_many_subgraphs, NULL, 0},
    CHANGE(29, "row_29_subgraph_one_more.elf", "count", row_subgraph_one_more),
    CHANGE(30, "row_30_precursor_cnt_negative.elf", "precursor_cnt", row_precursor_negative),
    CHANGE(30, "row_30_precursor_cnt_five.elf", "precursor_cnt", row_precursor_five),
    CHANGE(30, "row_30_precursor_cnt_two_on_v3.elf", "precursor_cnt", row_precursor_two),
    CHANGE(30, "row_30_precursor_cut.elf", "private_cnt", row_precursor_cut),
    CHANGE(31, "row_31_precursor_self.elf", "precursor", row_precursor_self),
    CHANGE(32, "row_32_private_cnt.elf", "private_cnt", row_private_cnt),
    CHANGE(32, "row_32_private_sub_cnt.elf", "sub_cnt", row_private_sub_cnt),
    CHANGE(32, "row_32_private_ro_cnt.elf", "ro_cnt", row_private_ro_cnt),
    CHANGE(33, "row_33_bss_zero.elf", "BSS count", row_bss_zero),
    CHANGE(33, "row_33_bss_many.elf", "BSS count", row_bss_many),
    {33, "row_33_bss_limit.elf", "over the supported", -ENOTSUP, row_many_bss, NULL, 0},
    CHANGE(33, "row_33_bss_one_more.elf", "BSS", row_bss_one_more),
    CHANGE(33, "row_33_static_cnt.elf", "static_cnt", row_static_cnt),
    CHANGE(33, "row_33_reuse_cnt.elf", "reuse_cnt", row_reuse_cnt),
    CHANGE(33, "row_33_sub_cnt.elf", "sub_cnt", row_sub_cnt),
    CHANGE(33, "row_33_ro_cnt.elf", "ro_cnt", row_ro_cnt),
    CHANGE(33, "row_33_stack_zero.elf", "stack_size", row_stack_zero),
    CHANGE(34, "row_34_fm_desc_offset.elf", "fm_desc_offset", row_fm_desc),
    CHANGE(34, "row_34_bss_unused.elf", "fm_desc_offset", row_second_bss),
    CHANGE(34, "row_34_bss_order.elf", "fm_desc_offset", row_bss_order),
    CHANGE(35, "row_35_text_offset.elf", "text_offset", row_text_offset),
    CHANGE(35, "row_35_text_unaligned.elf", "text_offset", row_text_unaligned),
    CHANGE(35, "row_35_rodata_offset.elf", "rodata_offset", row_rodata_offset),
    CHANGE(35, "row_35_rodata_size.elf", "rodata_size", row_rodata_size),
    CHANGE(35, "row_35_dcr_offset.elf", "dcr_offset", row_dcr_offset),
    CHANGE(36, "row_36_profiler_offset.elf", "profiler_buf_size", row_profiler),
    CHANGE(37, "row_37_private_data_size.elf", "private_data_size", row_private_data),
    CHANGE(38, "row_38_printfifo_size.elf", "printfifo_size", row_printfifo),
    CHANGE(39, "row_39_reuse_size.elf", "size is 0", row_reuse_size),
    CHANGE(39, "row_39_private_size.elf", "size is 0", row_private_size),
    CHANGE(40, "row_40_remap_type.elf", "type", row_remap_type),
    CHANGE(40, "row_40_remap_next_type.elf", "next_type", row_remap_next_type),
    CHANGE(40, "row_40_remap_no_desc.elf", "type", row_remap_no_desc),
    CHANGE(40, "row_40_remap_offset.elf", "offset", row_remap_offset),
    CHANGE(40, "row_40_remap_next_offset.elf", "next_offset", row_remap_next),
    UNSUPPORTED(40, "row_40_remap_text.elf", row_remap_text),
    CHANGE(40, "row_40_location_end.elf", "patch location", row_location_end),
    CHANGE(40, "row_40_location_wrap.elf", "patch location", row_location_wrap),
    CHANGE(40, "row_40_location_straddle.elf", "patch location", row_location_straddle),
    CHANGE(40, "row_40_no_weight.elf", "note weight", row_no_weight),
    CHANGE(40, "row_40_src_range.elf", "src_offset", row_src_range),
    CHANGE(40, "row_40_src_wrap.elf", "src_offset", row_src_wrap),
    CHANGE(40, "row_40_static_align_zero.elf", "align_bytes", row_static_align_zero),
    CHANGE(40, "row_40_static_align_three.elf", "align_bytes", row_static_align_three),
    CHANGE(40, "row_40_reuse_align.elf", "align_bytes", row_reuse_align),
    CHANGE(40, "row_40_stack_align.elf", "stack_align_bytes", row_stack_align),
    CHANGE(40, "row_40_sub_range.elf", "offset_in_section", row_sub_range),
    CHANGE(40, "row_40_sub_wrap.elf", "offset_in_section", row_sub_wrap),
    CHANGE(40, "row_40_id_gap.elf", "id", row_id_gap),
    CHANGE(40, "row_40_id_twice.elf", "id", row_id_twice),
    CHANGE(40, "row_40_static_no_subs.elf", "sub_cnt", row_static_no_subs),
    CHANGE(40, "row_40_static_mixed.elf", "type", row_static_mixed),
    CHANGE(40, "row_40_static_type.elf", "type", row_static_type),
    CHANGE(40, "row_40_weights_sum.elf", "weights", row_weights_sum),
    CHANGE(41, "row_41_src_order.elf", "src_offset", row_src_order),
    CHANGE(42, "row_42_remap_count.elf", "entry_cnt", row_remap_count),
    CHANGE(42, "row_42_remap_short.elf", "entry_cnt", row_remap_short),
    CHANGE(43, "row_43_gm_index.elf", "buf_index", row_gm_index),
    CHANGE(43, "row_43_gm_fm_index.elf", "fm_index", row_gm_fm_index),
    CHANGE(43, "row_43_gm_type.elf", "buf_type", row_gm_type),
    UNSUPPORTED(43, "row_43_gm_weights.elf", row_gm_weights),
    CHANGE(43, "row_43_gm_count.elf", "GM_control", row_gm_count),
    CHANGE(44, "row_44_segmmu_count.elf", "note segmmu", row_segmmu_count),
    UNSUPPORTED(44, "row_44_segmmu.elf", row_segmmu),
    UNSUPPORTED(44, "row_44_segmmu_tensor.elf", row_segmmu_tensor),
    UNSUPPORTED(45, "row_45_globalparam_short.elf", row_globalparam_short),
    UNSUPPORTED(45, "row_45_globalparam.elf", row_globalparam),
    UNSUPPORTED(46, "row_46_inputshapeconstraint.elf", row_shapes_odd),
    UNSUPPORTED(47, "row_47_extra_weight_name.elf", row_extra_weight_path),
    UNSUPPORTED(48, "row_48_extra_weight_count.elf", row_extra_weight_count),
    UNSUPPORTED(49, "row_49_constanthashtable.elf", row_hashtable),
    UNSUPPORTED(51, "row_51_out_tensor_shape.elf", row_shape_tensor),
    CHANGE(52, "row_52_dims_product.elf", "shape", row_dims_product),
    CHANGE(52, "row_52_dims_bytes.elf", "shape", row_dims_bytes),
    CHANGE(52, "row_52_dims_count.elf", "inputs", row_dims_count),
    CHANGE(53, "row_53_reuse_sum.elf", "reuse sections", row_reuse_sum),
    CHANGE(53, "row_53_private_sum.elf", "private sections", row_private_sum),
    CHANGE(53, "row_53_stack_sum.elf", "stacks", row_stack_sum),
    {54, "row_54_file_size.elf", "file size", -EBADMSG, NULL, NULL, (4ull << 30) + 5664},
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* The file of a row; without what sparse_bytes adds. */
static inline struct zf_bytes row_build(const struct row *row)
{
	struct zf_file file = zf_vector();

	if (row->change)
		row->change(&file);
	struct zf_bytes bytes = zf_build(&file);

	zf_file_free(&file);
	if (row->damage)
		row->damage(&bytes);
	return bytes;
}

#endif
