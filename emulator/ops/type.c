/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element types: sizes, half-precision conversions, and single elements through double or s64. Every conversion is
 * defined for every bit pattern; none relies on what C leaves open.
 */
#include <math.h>

#include "emulator/ops/internal.h"

uint32_t type_bytes(uint32_t dtype)
{
	switch (dtype) {
	case ZY_DATA_BOOL:
	case ZY_DATA_U8:
	case ZY_DATA_S8:
		return 1;
	case ZY_DATA_U16:
	case ZY_DATA_S16:
	case ZY_DATA_F16:
	case ZY_DATA_BF16:
		return 2;
	case ZY_DATA_U32:
	case ZY_DATA_S32:
	case ZY_DATA_F32:
		return 4;
	case ZY_DATA_U64:
	case ZY_DATA_S64:
	case ZY_DATA_F64:
		return 8;
	default:
		return 0;
	}
}

bool type_is_integer(uint32_t dtype)
{
	return dtype >= ZY_DATA_U8 && dtype <= ZY_DATA_S64;
}

bool type_is_half(uint32_t dtype)
{
	return dtype == ZY_DATA_F16 || dtype == ZY_DATA_BF16;
}

static uint32_t float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static float bits_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

float half_to_float(uint16_t bits)
{
	uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
	uint32_t exponent = (bits >> 10) & 0x1fu;
	uint32_t fraction = bits & 0x3ffu;

	if (exponent == 0) {
		float tiny = (float)fraction * 0x1p-24f;
		return sign ? -tiny : tiny;
	}
	if (exponent == 0x1f)
		return bits_float(sign | 0x7f800000u | fraction << 13);
	return bits_float(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Round to nearest, ties to even; NaN stays NaN. */
uint16_t half_from_float(float value)
{
	uint32_t bits = float_bits(value);
	uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
	uint32_t rest = bits & 0x7fffffffu;

	if (rest > 0x7f800000u)
		return (uint16_t)(sign | 0x7e00u);
	if (rest >= 0x477ff000u) /* rounds to 65536 or more */
		return (uint16_t)(sign | 0x7c00u);
	if (rest < 0x38800000u) /* below 2^-14: denormal, the unit is 2^-24 */
		return (uint16_t)(sign | (uint16_t)lrintf(bits_float(rest) * 0x1p24f));
	rest += 0xfffu + ((rest >> 13) & 1);
	return (uint16_t)(sign | (uint16_t)((rest >> 13) - (112u << 10)));
}

float bfloat_to_float(uint16_t bits)
{
	return bits_float((uint32_t)bits << 16);
}

uint16_t bfloat_from_float(float value)
{
	uint32_t bits = float_bits(value);

	if ((bits & 0x7fffffffu) > 0x7f800000u)
		return (uint16_t)((bits >> 16) | 0x40u);
	return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

int64_t saturate_s64(double value)
{
	if (value != value)
		return 0;
	if (value >= 0x1p63)
		return INT64_MAX;
	if (value < -0x1p63)
		return INT64_MIN;
	return (int64_t)value;
}

static uint64_t saturate_u64(double value)
{
	if (!(value >= 0x1p63))
		return (uint64_t)saturate_s64(value);
	return value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

#define LOAD(T)                                                                                                        \
	({                                                                                                             \
		T value_;                                                                                              \
		memcpy(&value_, p, sizeof(value_));                                                                    \
		value_;                                                                                                \
	})
#define STORE(T, value)                                                                                                \
	do {                                                                                                           \
		T value_ = (T)(value);                                                                                 \
		memcpy(p, &value_, sizeof(value_));                                                                    \
	} while (0)

int64_t type_load_s64(const uint8_t *p, uint32_t dtype)
{
	switch (dtype) {
	case ZY_DATA_BOOL:
		return *p != 0;
	case ZY_DATA_U8:
		return *p;
	case ZY_DATA_S8:
		return LOAD(int8_t);
	case ZY_DATA_U16:
		return LOAD(uint16_t);
	case ZY_DATA_S16:
		return LOAD(int16_t);
	case ZY_DATA_U32:
		return LOAD(uint32_t);
	case ZY_DATA_S32:
		return LOAD(int32_t);
	case ZY_DATA_U64:
	case ZY_DATA_S64:
		return LOAD(int64_t);
	default:
		return saturate_s64(type_load(p, dtype));
	}
}

void type_store_s64(uint8_t *p, uint32_t dtype, int64_t value)
{
	switch (dtype) {
	case ZY_DATA_BOOL:
		*p = value != 0;
		break;
	case ZY_DATA_U8:
	case ZY_DATA_S8:
		*p = (uint8_t)value;
		break;
	case ZY_DATA_U16:
	case ZY_DATA_S16:
		STORE(uint16_t, value);
		break;
	case ZY_DATA_U32:
	case ZY_DATA_S32:
		STORE(uint32_t, value);
		break;
	case ZY_DATA_U64:
	case ZY_DATA_S64:
		STORE(int64_t, value);
		break;
	default:
		type_store(p, dtype, (double)value);
		break;
	}
}

double type_load(const uint8_t *p, uint32_t dtype)
{
	switch (dtype) {
	case ZY_DATA_F16:
		return half_to_float(LOAD(uint16_t));
	case ZY_DATA_BF16:
		return bfloat_to_float(LOAD(uint16_t));
	case ZY_DATA_F32:
		return LOAD(float);
	case ZY_DATA_F64:
		return LOAD(double);
	case ZY_DATA_U64:
		return (double)LOAD(uint64_t);
	default:
		return (double)type_load_s64(p, dtype);
	}
}

void type_store(uint8_t *p, uint32_t dtype, double value)
{
	switch (dtype) {
	case ZY_DATA_F16:
		STORE(uint16_t, half_from_float((float)value));
		break;
	case ZY_DATA_BF16:
		STORE(uint16_t, bfloat_from_float((float)value));
		break;
	case ZY_DATA_F32:
		STORE(float, value);
		break;
	case ZY_DATA_F64:
		STORE(double, value);
		break;
	case ZY_DATA_U64:
		STORE(uint64_t, saturate_u64(value));
		break;
	case ZY_DATA_BOOL:
		*p = value != 0;
		break;
	default:
		type_store_s64(p, dtype, saturate_s64(value));
		break;
	}
}
