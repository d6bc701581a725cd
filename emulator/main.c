/* SPDX-License-Identifier: Apache-2.0 */
/* npu-emu: the command line, the signals, and putting the pieces together. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "emulator/device.h"
#include "emulator/log.h"
#include "emulator/vfu.h"

struct emu_options {
	struct device_options device;
	const char *socket;
	const char *stats;
	const char *trace;
	const char *clock;
	bool msix;
	bool blind_dma;
};

struct emu {
	const struct emu_options *options;
	struct device *device;
	int signal_fd;
};

static void emu_usage(FILE *out)
{
	(void)fputs("usage: npu-emu --socket PATH [options]: a software Zhouyi NPU, served over vfio-user\n"
		    "  --socket PATH        where to listen\n"
		    "  --model x2           the NPU to be (only X2_1204 so far)\n"
		    "  --cores N            1..8, default 3\n"
		    "  --gm MIB             global memory: 1, 2, 4 (default), 8, 16, 32 or 64\n"
		    "  --threads N          host threads, default one per processor\n"
		    "  --no-msix            INTx only\n"
		    "  --blind-dma          send every DMA access to the client, mapped or not, and let it judge\n"
		    "  --hard-hangs         an abort of what runs hangs the device until the bus resets it\n"
		    "  --time MODE          fixed=NS, computed, virtual or virtual=NS; default: as fast as possible\n"
		    "  --reset-keeps-gm     soft reset leaves global memory alone\n"
		    "  --stats FILE         counters as JSON, on exit and on SIGUSR1\n"
		    "  --trace FILE         a line per register access\n"
		    "  --clock FILE         add virtual time to the 64-bit number at the start of this file\n"
		    "  --in-step            count job ends in the second number there, wait where it is the third\n"
		    "  --log-level LEVEL    error, warn (default), info, debug\n"
		    "  --version, --help\n",
		    out);
}

static int emu_number(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
	char *end;

	errno = 0;
	uintmax_t number = strtoumax(text, &end, 10);

	if (errno || end == text || *end || *text == '-' || number < low || number > high)
		return -EINVAL;
	*value = number;
	return 0;
}

/* "NAME=NS" */
static bool emu_time_in_ns(const char *text, const char *name, uint64_t *ns)
{
	size_t bytes = strlen(name);

	return strncmp(text, name, bytes) == 0 && text[bytes] == '=' &&
	       !emu_number(text + bytes + 1, 0, 3600000000000u, ns);
}

static int emu_time(const char *text, struct device_options *options)
{
	if (strcmp(text, "computed") == 0)
		options->time = TIME_COMPUTED;
	else if (strcmp(text, "virtual") == 0 || emu_time_in_ns(text, "virtual", &options->fixed_ns))
		options->time = TIME_VIRTUAL;
	else if (emu_time_in_ns(text, "fixed", &options->fixed_ns))
		options->time = TIME_FIXED;
	else
		return -EINVAL;
	return 0;
}

static int emu_option(int option, const char *value, struct emu_options *options)
{
	enum emu_log_level level;
	uint64_t number = 0;
	int err = 0;

	switch (option) {
	case 's':
		options->socket = value;
		return 0;
	case 'm':
		return strcmp(value, "x2") ? -EINVAL : 0;
	case 'c':
		err = emu_number(value, 1, DEVICE_MAX_CORES, &number);
		options->device.cores = (uint32_t)number;
		return err;
	case 'g':
		err = emu_number(value, 1, 64, &number);
		options->device.gm_mib = (uint32_t)number;
		return err || (number & (number - 1)) ? -EINVAL : 0;
	case 't':
		err = emu_number(value, 1, 256, &number);
		options->device.threads = (uint32_t)number;
		return err;
	case 'T':
		return emu_time(value, &options->device);
	case 'l':
		err = emu_log_parse_level(value, &level);
		if (!err)
			emu_log_set_level(level);
		return err;
	case 'S':
		options->stats = value;
		return 0;
	case 'R':
		options->trace = value;
		return 0;
	case 'C':
		options->clock = value;
		return 0;
	case 'i':
		options->device.in_step = true;
		return 0;
	case 'n':
		options->msix = false;
		return 0;
	case 'H':
		options->device.hard_hangs = true;
		return 0;
	case 'b':
		options->blind_dma = true;
		return 0;
	case 'k':
		options->device.reset_keeps_gm = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* 0 go on, 1 done, negative errno after saying what is wrong */
static int emu_parse(int argc, char **argv, struct emu_options *options)
{
	static const struct option known[] = {{"socket", required_argument, NULL, 's'},
					      {"model", required_argument, NULL, 'm'},
					      {"cores", required_argument, NULL, 'c'},
					      {"gm", required_argument, NULL, 'g'},
					      {"threads", required_argument, NULL, 't'},
					      {"no-msix", no_argument, NULL, 'n'},
					      {"blind-dma", no_argument, NULL, 'b'},
					      {"hard-hangs", no_argument, NULL, 'H'},
					      {"time", required_argument, NULL, 'T'},
					      {"reset-keeps-gm", no_argument, NULL, 'k'},
					      {"stats", required_argument, NULL, 'S'},
					      {"trace", required_argument, NULL, 'R'},
					      {"clock", required_argument, NULL, 'C'},
					      {"in-step", no_argument, NULL, 'i'},
					      {"log-level", required_argument, NULL, 'l'},
					      {"version", no_argument, NULL, 'V'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "", known, &index)) != -1) {
		if (option == 'h' || option == 'V') {
			if (option == 'h')
				emu_usage(stdout);
			else
				(void)printf("npu-emu %s\n", NPUD_VERSION);
			return 1;
		}
		if (option == '?')
			return -EINVAL;
		if (emu_option(option, optarg, options)) {
			(void)fprintf(stderr, "npu-emu: --%s cannot be \"%s\"\n", known[index].name, optarg);
			return -EINVAL;
		}
	}
	if (optind < argc || !options->socket || (options->clock && options->device.time != TIME_VIRTUAL) ||
	    (options->device.in_step && !options->clock)) {
		emu_usage(stderr);
		return -EINVAL;
	}
	return 0;
}

static void emu_stats(const struct emu *emu)
{
	if (!emu->options->stats)
		return;
	int err = device_stats_write(emu->device, emu->options->stats);

	if (err)
		emu_log(EMU_LOG_ERROR, "cannot write %s: %s", emu->options->stats, strerror(-err));
}

static bool emu_signal(void *ctx)
{
	const struct emu *emu = ctx;
	struct signalfd_siginfo info;

	if (read(emu->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo != SIGUSR1)
		return true;
	emu_stats(emu);
	return false;
}

static int emu_serve(const struct emu_options *options, struct dma *dma, int signal_fd)
{
	struct emu emu = {.options = options, .signal_fd = signal_fd};
	struct pci pci;
	struct vfu vfu;
	int err = device_new(&options->device, dma, &emu.device);

	if (err)
		return err;
	if (options->blind_dma)
		dma_set_blind(dma);
	err = pci_init(&pci, options->msix);
	if (!err) {
		err = vfu_init(&vfu, options->socket, emu.device, &pci, dma);
		if (err == -EADDRINUSE)
			emu_log(EMU_LOG_ERROR, "%s is served by another instance", options->socket);
		if (!err) {
			vfu.control_fd = signal_fd;
			vfu.control = emu_signal;
			vfu.control_ctx = &emu;
			err = vfu_run(&vfu);
			emu_stats(&emu);
			vfu_destroy(&vfu);
		}
		pci_destroy(&pci);
	}
	device_free(emu.device);
	return err;
}

/* The signals arrive by descriptor; every thread inherits the mask. */
static int emu_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static int emu_trace_open(struct emu_options *options)
{
	if (!options->trace)
		return 0;
	options->device.trace = fopen(options->trace, "we");
	if (!options->device.trace)
		return -errno;
	(void)setvbuf(options->device.trace, NULL, _IOLBF, 0);
	return 0;
}

/* Shared with whoever wants to know; it stays mapped until the process ends. */
static int emu_clock_open(struct emu_options *options)
{
	if (!options->clock)
		return 0;
	int fd = open(options->clock, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	size_t used = options->device.in_step ? sizeof(struct virtual_clock) : sizeof(uint64_t);
	void *page = lseek(fd, 0, SEEK_END) < (off_t)used ? MAP_FAILED
							  : mmap(NULL, used, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)close(fd);
	if (page == MAP_FAILED)
		return -EINVAL;
	options->device.clock = page;
	return 0;
}

static int emu_run(struct emu_options *options)
{
	int signal_fd = emu_signals(), err = dma_install_sigbus();

	if (signal_fd < 0 || err)
		return signal_fd < 0 ? signal_fd : err;
	err = emu_trace_open(options);
	if (!err)
		err = emu_clock_open(options);
	struct dma *dma = err ? NULL : dma_new();

	if (!err)
		err = dma ? emu_serve(options, dma, signal_fd) : -ENOMEM;
	dma_free(dma);
	if (options->device.trace && fclose(options->device.trace) && !err)
		err = -errno;
	(void)close(signal_fd);
	return err;
}

int main(int argc, char **argv)
{
	struct emu_options options = {.device = {.cores = 3, .gm_mib = 4}, .msix = true};
	int err = emu_parse(argc, argv, &options);

	if (err)
		return err > 0 ? EXIT_SUCCESS : 2;
	err = emu_run(&options);
	if (!err)
		return EXIT_SUCCESS;
	emu_log(EMU_LOG_ERROR, "cannot serve %s: %s", options.socket, strerror(-err));
	return EXIT_FAILURE;
}
