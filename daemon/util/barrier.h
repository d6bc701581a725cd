/* SPDX-License-Identifier: Apache-2.0 */
/* What the CPU wrote to memory is visible to a device before what follows. */
#ifndef NPUD_UTIL_BARRIER_H
#define NPUD_UTIL_BARRIER_H

static inline void device_write_barrier(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("mfence" ::: "memory");
#elif defined(__aarch64__)
	/* An inner-shareable fence orders CPUs; a device needs the full domain. */
	__asm__ volatile("dsb sy" ::: "memory");
#else
	__sync_synchronize();
#endif
}

#endif
