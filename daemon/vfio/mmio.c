/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One handler for the process, one place to return to per thread. The handler jumps only while its own thread is inside
 * one of the two accesses below; every other SIGBUS is handed on as if the handler were not there.
 */
#include "daemon/vfio/mmio.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <ucontext.h>

static _Thread_local sigjmp_buf escape;
static _Thread_local volatile sig_atomic_t armed;
static struct sigaction previous;

static void chain(int number, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(number, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(number);
	} else if (previous.sa_handler == SIG_DFL || info->si_code > 0) {
		/* A fault happens again on return, and then ends the process as it should, with its own address. */
		signal(SIGBUS, SIG_DFL);
		if (info->si_code <= 0)
			raise(SIGBUS);
	}
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	/* The address is not compared: an external abort on arm64 may come without one. */
	if (armed && info->si_code > 0) {
		armed = 0;
		/*
		 * The kernel's return would put the mask back; the jump does not take that way. Here it costs a system
		 * call for a fault, in sigsetjmp() it would cost one for every access.
		 */
		pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
		siglongjmp(escape, 1);
	}
	chain(number, info, context);
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &previous);
}

void mmio_guard_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
}

int mmio_read(const volatile uint32_t *at, uint32_t *value)
{
	if (sigsetjmp(escape, 0))
		return -ENODEV;
	armed = 1;
	atomic_signal_fence(memory_order_seq_cst);
	*value = *at;
	atomic_signal_fence(memory_order_seq_cst);
	armed = 0;
	return 0;
}

int mmio_write(volatile uint32_t *at, uint32_t value)
{
	if (sigsetjmp(escape, 0))
		return -ENODEV;
	armed = 1;
	atomic_signal_fence(memory_order_seq_cst);
	*at = value;
	atomic_signal_fence(memory_order_seq_cst);
	armed = 0;
	return 0;
}
