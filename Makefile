# SPDX-License-Identifier: Apache-2.0
# npud: one file builds everything. `make help` lists the targets.
#
# V=release|asan|tsan|cov|warn|fuzz selects the variant, CC=gcc|clang the compiler; objects live in build/$(V)-$(CC).

V ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
B := build/$(V)-$(notdir $(CC))
G := build/gen
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

PKGS_DAEMON := libevent_core jansson libprotobuf-c
PKGS_CLIENT := libprotobuf-c jansson libelf
PKGS_EMU := jansson
PKGS_CC := libprotobuf-c jansson
PKGS_TOOLS := jansson libpng libjpeg

WARN := -Wall -Wextra -Wconversion -Wshadow -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS_release := -O2 -g
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -g -fsanitize=thread
CFLAGS_cov := -O0 -g --coverage
CFLAGS_warn := -O0
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CPPFLAGS += -D_GNU_SOURCE -I. -I$(G) -Ilibclient/include
CFLAGS += -std=gnu17 -fPIC -fvisibility=hidden -MMD -MP $(WARN) $(CFLAGS_$(V))
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
LDFLAGS_cov := --coverage
LDFLAGS_fuzz := -fsanitize=address,undefined
LDFLAGS += $(LDFLAGS_$(V))
VERSION := $(shell cat VERSION)
CPPFLAGS += -DNPUD_VERSION='"$(VERSION)"'

# One line for a step; VERBOSE=1 shows the commands themselves, and --silent neither.
Q := $(if $(VERBOSE),,@)
step = $(if $(VERBOSE)$(findstring s,$(firstword -$(MAKEFLAGS))),@:,@printf '  %-4s %s\n' $(1) $(patsubst $(B)/%,%,$@))

AR := ar
PKG_CONFIG := pkg-config
pkg_cflags = $(shell $(PKG_CONFIG) --cflags $(1))
pkg_libs = $(shell $(PKG_CONFIG) --libs $(1))

# CC=aarch64-linux-gnu-gcc: for arm64, against libraries that are unpacked into the cache.
ifeq ($(notdir $(CC)),aarch64-linux-gnu-gcc)
ARM64_ROOT := $(shell tests/vm/arm64_root.sh)
ifeq ($(ARM64_ROOT),)
$(error there are no arm64 libraries)
endif
ARM64_LIB := $(ARM64_ROOT)/usr/lib/aarch64-linux-gnu
AR := aarch64-linux-gnu-ar
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(ARM64_ROOT) PKG_CONFIG_LIBDIR=$(ARM64_LIB)/pkgconfig pkg-config
CPPFLAGS += --sysroot=$(ARM64_ROOT)
LDFLAGS += --sysroot=$(ARM64_ROOT)
endif

# ------------------------------------------------------------------ sources, found by folder
DAEMON_SRC := $(filter-out daemon/main.c,$(wildcard daemon/*.c daemon/*/*.c))
CLIENT_SRC := $(wildcard libclient/*.c)
EMU_SRC := $(filter-out emulator/main.c,$(wildcard emulator/*.c emulator/ops/*.c))
# The compiler folds constants with the same arithmetic that the software NPU runs.
CC_SRC := $(filter-out emulator/compiler/main.c,$(wildcard emulator/compiler/*.c)) $(wildcard emulator/ops/*.c)
TOOLS_SRC := $(wildcard tools/*.c)
# The example borrows npuctl's picture and .npy helpers.
HELPER_SRC := tools/file.c tools/npy.c $(wildcard tools/image*.c)
FACES_SRC := $(wildcard docs/examples/faces/*.c) $(HELPER_SRC)

obj = $(patsubst %.c,$(B)/%.o,$(1))
LIBS_daemon = $(call pkg_libs,$(PKGS_DAEMON)) -lpthread
LIBS_libclient = $(call pkg_libs,$(PKGS_CLIENT)) -lpthread
LIBS_emulator = -ldnnl -lgomp $(call pkg_libs,$(PKGS_EMU)) -lpthread -lm
LIBS_compiler = -ldnnl -lgomp $(call pkg_libs,$(PKGS_CC)) -lpthread -lm
LIBS_check = $(call pkg_libs,check)

PROGRAMS := $(B)/npud $(B)/npu-emu $(B)/npucc $(B)/npuctl
LIBRARY := $(B)/libnpu.so.1

.PHONY: all help unit check demo conformance bench fuzz lint install clean setup models
all: $(PROGRAMS) $(LIBRARY) $(B)/faces

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# ------------------------------------------------------------------ generated code
$(G)/npud.pb-c.c $(G)/npud.pb-c.h &: proto/npud.proto
	@mkdir -p $(G)
	$(call step,GEN)
	$(Q)protoc-c --proto_path=proto --c_out=$(G) $<
$(G)/onnx.pb-c.c $(G)/onnx.pb-c.h &: /usr/include/onnx/onnx.proto
	@mkdir -p $(G)
	$(call step,GEN)
	$(Q)protoc-c --proto_path=/usr/include/onnx --c_out=$(G) $<
$(B)/gen/%.o: $(G)/%.c
	@mkdir -p $(@D)
	$(call step,CC)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -Wconversion -Wshadow -Wmissing-prototypes,$(CFLAGS)) -c -o $@ $<

# the tensor operators' loops are written for the vectoriser
$(B)/emulator/ops/%.o: CFLAGS_release := -O3 -g
$(B)/%.o: %.c | $(G)/npud.pb-c.h $(G)/onnx.pb-c.h
	@mkdir -p $(@D)
	$(call step,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# ------------------------------------------------------------------ archives, library, programs
$(B)/daemon.a: $(call obj,$(DAEMON_SRC)) $(B)/gen/npud.pb-c.o
$(B)/libclient.a: $(call obj,$(CLIENT_SRC)) $(B)/gen/npud.pb-c.o
$(B)/emulator.a: $(call obj,$(EMU_SRC))
$(B)/compiler.a: $(call obj,$(CC_SRC)) $(B)/gen/onnx.pb-c.o
$(B)/%.a:
	@rm -f $@
	$(call step,AR)
	$(Q)$(AR) rcs $@ $^

$(B)/npud: $(B)/daemon/main.o $(B)/daemon.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_daemon)
$(B)/npu-emu: $(B)/emulator/main.o $(B)/emulator.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_emulator)
$(B)/npucc: $(B)/emulator/compiler/main.o $(B)/compiler.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_compiler)
$(LIBRARY): $(B)/libclient.a libclient/libnpu.map
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libnpu.so.1 -Wl,--version-script=libclient/libnpu.map \
		-o $@ -Wl,--whole-archive $(B)/libclient.a -Wl,--no-whole-archive $(LIBS_libclient)
	@ln -sf libnpu.so.1 $(B)/libnpu.so
$(B)/npuctl: $(call obj,$(TOOLS_SRC)) $(B)/gen/npud.pb-c.o $(LIBRARY)
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -L$(B) -lnpu -Wl,-rpath,'$$ORIGIN' $(call pkg_libs,$(PKGS_TOOLS) libprotobuf-c) -lm
$(B)/faces: $(call obj,$(FACES_SRC)) $(LIBRARY)
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(call obj,$(FACES_SRC)) -L$(B) -lnpu -Wl,-rpath,'$$ORIGIN' $(call pkg_libs,$(PKGS_TOOLS)) -lm

# ------------------------------------------------------------------ unit tests: tests/unit/COMPONENT/test_*.c
UNIT_SRC := $(wildcard tests/unit/*/test_*.c)
UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT_SRC))
$(B)/tests/unit/daemon/%: $(B)/tests/unit/daemon/%.o $(B)/daemon.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_daemon) $(LIBS_check)
comma := ,
$(addprefix $(B)/tests/unit/daemon/test_,no_memory vfio_fail): private LDFLAGS += $(patsubst %,-Wl$(comma)--wrap=%,calloc \
	malloc realloc reallocarray memfd_create mmap)
$(B)/tests/unit/daemon/test_peer: private LDFLAGS += -Wl$(comma)--wrap=getsockopt
$(B)/tests/unit/daemon/test_states: private LDFLAGS += -Wl$(comma)--wrap=calloc$(comma)--wrap=free
$(B)/tests/unit/libclient/%: $(B)/tests/unit/libclient/%.o $(B)/libclient.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_check)
$(B)/tests/unit/emulator/%: $(B)/tests/unit/emulator/%.o $(B)/emulator.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_emulator) $(LIBS_check)
$(B)/tests/unit/compiler/%: $(B)/tests/unit/compiler/%.o $(B)/compiler.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_compiler) $(LIBS_check)
# cross: what two components must agree on, byte for byte
$(B)/tests/unit/cross/%: $(B)/tests/unit/cross/%.o $(B)/libclient.a $(B)/daemon.a $(B)/compiler.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_daemon) $(LIBS_compiler) $(LIBS_check)

## make unit          unit tests (under 30 s)
unit: $(UNIT_BIN)
	@start=$$(date +%s); tests/run.sh -j $$(nproc) unit $(UNIT_BIN); code=$$?; \
		echo "make unit: the tests took $$(($$(date +%s) - start)) s; more than 30 would be too many"; exit $$code

# ------------------------------------------------------------------ simulation: the policies alone, in virtual time
SIM_SRC := $(wildcard tests/sim/test_*.c)
SIM_BIN := $(patsubst %.c,$(B)/%,$(SIM_SRC))
SIM_PARTS := $(call obj,tests/sim/sim.c $(wildcard daemon/policy/*.c) daemon/util/heap.c)
$(SIM_BIN): %: %.o $(SIM_PARTS)
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_check) -lm
.PHONY: sim sim-programs
sim-programs: $(SIM_BIN)
## make sim           the scheduler in virtual time: shares, waiting and limits as a table (under 20 s)
sim: $(SIM_BIN)
	@rm -f $(B)/tests/sim/table; SIM_TABLE=$(B)/tests/sim/table tests/run.sh sim $(SIM_BIN) >$(B)/tests/sim/log; code=$$?; \
		printf '%-58s %10s %10s   %s\n' '' fifo fair goal; cat $(B)/tests/sim/table $(B)/tests/sim/log; exit $$code

# ------------------------------------------------------------------ integration: the real programs, real clients
INTEGRATION_SRC := $(wildcard tests/integration/test_*.c)
INTEGRATION_BIN := $(patsubst %.c,$(B)/%,$(INTEGRATION_SRC))
INTEGRATION_PARTS := $(call obj,$(filter-out $(INTEGRATION_SRC),$(wildcard tests/integration/*.c)))
$(B)/tests/integration/%: $(B)/tests/integration/%.o $(INTEGRATION_PARTS) $(B)/libclient.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_check)
# A library and a daemon of the next minor and of the next major version: what knows the version is compiled again.
VERSIONED := $(shell grep -lE 'NPUD_PROTOCOL_(MAJOR|MINOR)' $(DAEMON_SRC) $(CLIENT_SRC))
VERSIONS := $(foreach v,minor major,$(B)/next-$(v)/npud $(B)/next-$(v)/libnpu.so.1)
next_of = $(shell sed -n 's/^.define NPUD_PROTOCOL_$(1) \([0-9]*\)u$$/\1+1/p' proto/limits.h)
other_obj = $(patsubst %.c,$(B)/$(1)/%.o,$(filter $(VERSIONED),$(2))) $(call obj,$(filter-out $(VERSIONED),$(2))) \
	$(B)/gen/npud.pb-c.o
$(B)/next-minor/%.o: private CPPFLAGS += -DNPUD_PROTOCOL_MINOR='($(call next_of,MINOR)u)'
$(B)/next-major/%.o: private CPPFLAGS += -DNPUD_PROTOCOL_MAJOR='($(call next_of,MAJOR)u)'
define version_rules
$(B)/next-$(1)/%.o: %.c | $(G)/npud.pb-c.h
	@mkdir -p $$(@D)
	$$(call step,CC)
	$$(Q)$$(CC) $$(CPPFLAGS) $$(CFLAGS) -c -o $$@ $$<
$(B)/next-$(1)/npud: $(B)/daemon/main.o $(call other_obj,next-$(1),$(DAEMON_SRC))
	$$(call step,LD)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_daemon)
$(B)/next-$(1)/libnpu.so.1: $(call other_obj,next-$(1),$(CLIENT_SRC))
	$$(call step,LD)
	$$(Q)$$(CC) $$(LDFLAGS) -shared -Wl,--version-script=libclient/libnpu.map -o $$@ $$^ $$(LIBS_libclient)
endef
$(foreach v,minor major,$(eval $(call version_rules,$(v))))
# npud in the software NPU's virtual time.
$(B)/tests/virtual/npud: $(B)/daemon/main.o $(B)/tests/virtual/npud_virtual.o $(B)/daemon.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=sched_by_name,--wrap=device_feed -o $@ $^ $(LIBS_daemon)
## make integration   npud, npu-emu and client processes together
.PHONY: integration integration-programs
integration-programs: $(INTEGRATION_BIN) $(B)/tests/virtual/npud
integration: $(B)/npud $(B)/npu-emu $(B)/npuctl $(VERSIONS) integration-programs
	NPUD_BUILD=$(B) tests/run.sh integration $(INTEGRATION_BIN)

# ------------------------------------------------------------------ hostile: every known attack on such a daemon
# npud runs in the sandbox of its unit; the attackers are processes of other users, so root runs this.
HOSTILE_SRC := $(wildcard tests/hostile/test_*.c)
HOSTILE_BIN := $(patsubst %.c,$(B)/%,$(HOSTILE_SRC))
HOSTILE_PARTS := $(B)/tests/hostile/scene.o $(INTEGRATION_PARTS)
$(HOSTILE_BIN): %: %.o $(HOSTILE_PARTS) $(B)/libclient.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_check)
$(B)/gen/syscalls.inc:
	@mkdir -p $(@D)
	$(call step,GEN)
	$(Q)echo '#include <sys/syscall.h>' | $(CC) $(CPPFLAGS) -E -dM - | sed -n 's/^#define __NR_\([a-z0-9_]*\) .*/{"\1", __NR_\1},/p' >$@
$(B)/tests/hostile/sandbox_filter.o: private CPPFLAGS += -I$(B)/gen
$(B)/tests/hostile/sandbox_filter.o: $(B)/gen/syscalls.inc
$(B)/tests/hostile/sandbox: $(B)/tests/hostile/sandbox.o $(B)/tests/hostile/sandbox_filter.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^
$(B)/tests/hostile/fail_call.so: $(B)/tests/hostile/fail_call.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -shared -o $@ $<
.PHONY: hostile hostile-programs
hostile-programs: $(HOSTILE_BIN) $(B)/tests/hostile/sandbox $(B)/tests/hostile/fail_call.so
## make hostile       every known attack on such a daemon, against the real one in its unit's sandbox (under 90 s)
hostile: $(B)/npud $(B)/npu-emu hostile-programs
	@NPUD_BUILD=$(B) tests/hostile/run.sh $(HOSTILE_BIN)
.PHONY: hazards
## make hazards       every known fault of the vendor's driver has an answer here: after unit, integration and hostile
hazards:
	@NPUD_BUILD=$(B) tests/run.sh hazards tests/hostile/hazards.sh

# ------------------------------------------------------------------ soak: many jobs with trouble all around
$(B)/tests/soak/soak: $(B)/tests/soak/soak.o $(INTEGRATION_PARTS) $(B)/libclient.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_check)
.PHONY: soak
SOAK_JOBS ?= 10000
## make soak          SOAK_JOBS (10000) jobs of clients that work, beside some that hang, fault and die (about a minute)
soak: $(B)/npud $(B)/npu-emu $(B)/tests/soak/soak
	@SOAK_JOBS=$(SOAK_JOBS) NPUD_BUILD=$(B) tests/run.sh soak $(B)/tests/soak/soak

.PHONY: qemu
## make qemu          a QEMU without a guest attaches the software NPU (unpacks QEMU into the cache once)
qemu: $(B)/npu-emu
	@tests/vm/qemu_root.sh >/dev/null
	@NPU_EMU=$(abspath $(B))/npu-emu tests/run.sh qemu tests/integration/qemu_attach.sh

# ------------------------------------------------------------------ guests: a kernel's own VFIO in front of npu-emu
# CC=aarch64-linux-gnu-gcc makes the same programs for arm64.
$(B)/tests/vm/raw_npu: $(B)/tests/vm/raw_npu.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $<
# Tests that run inside a guest: integration tests of the same harness, and those of the kernel's VFIO itself.
GUEST_SRC := $(wildcard tests/vm/guest/test_*.c)
GUEST_BIN := $(patsubst %.c,$(B)/%,$(GUEST_SRC))
GUEST_PARTS := $(call obj,tests/vm/guest/guest_clock.c tests/vm/guest/kernel_log.c tests/vm/guest/sysfs.c)
$(B)/tests/vm/guest/fail_ioctl.so: $(B)/tests/vm/guest/fail_ioctl.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -shared -o $@ $<
$(GUEST_BIN): %: %.o $(GUEST_PARTS) $(INTEGRATION_PARTS) $(B)/libclient.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_check)
.PHONY: guest-programs vm-kernels vm-check
guest-programs: $(B)/npud $(B)/npuctl $(LIBRARY) $(B)/tests/vm/raw_npu $(GUEST_BIN) $(B)/tests/vm/guest/fail_ioctl.so \
	$(INTEGRATION_BIN)
.PHONY: uapi-test
## make uapi-test     our declarations of the kernel's interfaces against the headers of a newer kernel
uapi-test:
	@tests/run.sh uapi tests/vm/uapi_test.sh
## make vm-kernels    kernels for guests: from VM_KERNELS, from the cache, or built once from Debian's source
vm-kernels:
	@tests/vm/kernels.sh
## make vm-check      npud in guests: Debian's kernel and our own, type1 and iommufd, PCI and platform device
vm-check: all guest-programs
	@+BIN=$(B) MAKE="$(MAKE)" tests/vm/check.sh

# ------------------------------------------------------------------ what people run
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
DEMO_TESTS := $(B)/tests/demo/faces_match $(B)/tests/demo/make_picture
$(DEMO_TESTS): %: %.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(call pkg_libs,jansson libjpeg) -lm
$(B)/tests/golden/golden_test: $(B)/tests/golden/golden_test.o $(call obj,$(HELPER_SRC)) $(LIBRARY)
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -L$(B) -lnpu -Wl,-rpath,'$$ORIGIN/../..' $(call pkg_libs,$(PKGS_TOOLS)) -lm

## make setup         install the Debian packages that are missing (root or sudo)
setup:
	@scripts/setup.sh build
## make models        fetch the models and the photograph into the cache
models: setup
	@scripts/fetch.sh --all
## make demo          find the faces on a photograph, end to end: make demo [PHOTO=any.jpg]
demo: setup
	@echo "building (the first time takes a minute or two)"
	@+$(MAKE) --no-print-directory --silent $(JOBS) $(B)/npud $(B)/npu-emu $(B)/npucc $(B)/faces
	@BIN=$(B) scripts/demo.sh
.PHONY: demo-test golden
## make demo-test     the demo's own tests
demo-test: all $(DEMO_TESTS)
	@BIN=$(B) V=$(V) CC=$(CC) tests/run.sh demo tests/demo/demo_test.sh tests/demo/npuctl_test.sh tests/demo/fetch_test.sh
FAKE_VFIO := $(B)/tests/tools/fake_vfio.so
$(FAKE_VFIO): $(B)/tests/tools/fake_vfio.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -shared -o $@ $<
.PHONY: tools-test
## make tools-test    npuctl doctor, bind and unbind on fake hosts
tools-test: $(B)/npuctl $(FAKE_VFIO)
	@BIN=$(B) tests/run.sh tools tests/tools/doctor_test.sh tests/tools/bind_test.sh
BENCH := $(B)/tests/bench/bench $(B)/tests/bench/blazeface_dnnl $(B)/tests/bench/guest/bench_guest \
	$(B)/tests/bench/fair/bench_fair
$(B)/tests/bench/bench: $(call obj,$(wildcard tests/bench/bench*.c tests/integration/programs*.c) tests/fuzz/wire_rig.c \
		tools/wire.c tools/file.c) \
		$(B)/daemon.a $(LIBRARY)
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) -L$(B) -lnpu -Wl,-rpath,'$$ORIGIN/../..' $(LIBS_daemon) -lm
# Runs in a guest too: the library is linked, not looked for.
$(B)/tests/bench/guest/bench_guest: $(call obj,$(wildcard tests/bench/guest/*.c) tests/bench/bench_table.c \
		tests/bench/bench_noop.c) $(B)/libclient.a $(B)/daemon.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_daemon)
$(B)/tests/bench/fair/bench_fair: $(call obj,$(wildcard tests/bench/fair/*.c) tests/bench/bench_table.c \
		tests/integration/programs.c tests/integration/programs_elf.c) $(B)/libclient.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient)
$(B)/tests/bench/blazeface_dnnl: $(B)/tests/bench/blazeface_dnnl.o $(B)/gen/onnx.pb-c.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ldnnl $(call pkg_libs,libprotobuf-c) -lm
## make bench         npud's costs beside their baselines
bench: setup
	@+$(MAKE) --no-print-directory --silent $(JOBS) all $(BENCH)
	@BIN=$(B) scripts/bench.sh
.PHONY: bench-test
## make bench-test    a quick run of the benchmark: every row is there (the numbers are not judged)
bench-test: all $(BENCH)
	@BIN=$(B) tests/run.sh bench tests/bench/bench_test.sh
$(B)/tests/conformance/conformance: $(B)/tests/conformance/conformance.o $(B)/gen/onnx.pb-c.o $(LIBRARY)
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -L$(B) -lnpu -Wl,-rpath,'$$ORIGIN/../..' $(call pkg_libs,libprotobuf-c) -lm
## make conformance   1072 small ONNX models with known answers, end to end
conformance: $(B)/npud $(B)/npu-emu $(B)/npucc $(B)/tests/conformance/conformance
	@BIN=$(B) tests/conformance/conformance.sh
## make golden        networks against an independent runtime's answers
golden: all $(B)/tests/golden/golden_test
	@BIN=$(B) tests/golden/golden.sh

# ------------------------------------------------------------------ installation
# make install [DESTDIR=staging] [PREFIX=/usr] [MULTIARCH=]: with an empty MULTIARCH the library goes to PREFIX/lib.
DESTDIR ?=
PREFIX ?= /usr
MULTIARCH ?= $(shell $(CC) -print-multiarch 2>/dev/null)
LIBSUB := lib$(if $(MULTIARCH),/$(MULTIARCH))
LIBDIR := $(PREFIX)/$(LIBSUB)
SYSCONFDIR ?= /etc
INSTALL_DIR := install -d -m 755
INSTALL_DATA := install -m 644
# Without the run path that lets it find its library beside it in the build folder.
$(B)/install/npuctl: $(call obj,$(TOOLS_SRC)) $(B)/gen/npud.pb-c.o $(LIBRARY)
	@mkdir -p $(@D)
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -L$(B) -lnpu $(call pkg_libs,$(PKGS_TOOLS) libprotobuf-c) -lm

## make install       programs, library, header, manual pages, units, first configuration [DESTDIR= PREFIX=/usr MULTIARCH=]
install: all $(B)/install/npuctl
	$(INSTALL_DIR) $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/npu \
		$(DESTDIR)$(PREFIX)/share/npud $(DESTDIR)$(SYSCONFDIR)/npud $(DESTDIR)$(PREFIX)/lib/systemd/system \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	install -m 755 $(B)/npud $(B)/npu-emu $(B)/npucc $(B)/install/npuctl $(DESTDIR)$(PREFIX)/bin
	$(INSTALL_DATA) $(LIBRARY) $(DESTDIR)$(LIBDIR)
	ln -sf libnpu.so.1 $(DESTDIR)$(LIBDIR)/libnpu.so
	$(INSTALL_DATA) libclient/include/npu/npu.h libclient/include/npu/operator.h $(DESTDIR)$(PREFIX)/include/npu
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$${prefix}/$(LIBSUB)|; s|@VERSION@|$(VERSION)|' libclient/libnpu.pc.in \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/libnpu.pc
	for page in docs/man/*.[1-8]; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	$(INSTALL_DATA) config/npud.schema.json $(DESTDIR)$(PREFIX)/share/npud
	test -e $(DESTDIR)$(SYSCONFDIR)/npud/npud.json || $(INSTALL_DATA) config/npud.json $(DESTDIR)$(SYSCONFDIR)/npud
	sed 's|/usr/bin/|$(PREFIX)/bin/|; s|/etc/npud/|$(SYSCONFDIR)/npud/|' systemd/npud.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/npud.service
	$(INSTALL_DATA) systemd/npud.socket $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(INSTALL_DATA) systemd/npud.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/npud.conf
	$(INSTALL_DATA) systemd/npud.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/npud.conf
	install -D -m 644 systemd/npud.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-npud.rules
.PHONY: install-test
## make install-test  what is installed can be compiled against, started and kept
install-test: all $(B)/install/npuctl
	@B=$(B) V=$(V) CC=$(CC) tests/run.sh install tests/install/install_test.sh

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ------------------------------------------------------------------ lint, fuzzing, check
.PHONY: unit-programs fuzz-programs fuzz-coverage docs-check
.SECONDARY: # objects of tests are kept, so that the next run does not compile them again
unit-programs: $(UNIT_BIN)

# What has threads of its own and no OpenMP, which the thread sanitizer does not understand. The search over states is one
# long thread.
.PHONY: unit-threads
unit-threads: $(filter-out %/test_states,$(filter $(B)/tests/unit/daemon/% $(B)/tests/unit/libclient/%,$(UNIT_BIN)))
	tests/run.sh -j $$(nproc) unit $^

## make lint          format, layers, text rules, warnings of two compilers, clang-tidy, cppcheck
lint:
	tests/run.sh lint tests/lint/format.sh tests/lint/layers.sh tests/lint/text.sh tests/lint/warnings.sh \
		tests/lint/tidy.sh tests/lint/cppcheck.sh

## make docs-check    protocol manual, manual pages and hardware pages agree with the code
docs-check:
	tests/run.sh docs $(sort $(wildcard tests/docs/test_*.sh))

# Each C file by itself, for warnings.
.PHONY: objects
objects: $(call obj,$(wildcard daemon/*.c daemon/*/*.c libclient/*.c emulator/*.c emulator/*/*.c tools/*.c \
	docs/examples/*/*.c tests/*/*.c tests/*/*/*.c))

# Everything else that is compiled, for the warnings of two compilers.
.PHONY: test-programs
test-programs: sim-programs integration-programs hostile-programs fuzz-programs guest-programs $(DEMO_TESTS) $(FAKE_VFIO) $(BENCH) $(B)/tests/golden/golden_test \
	$(B)/tests/soak/soak $(B)/tests/conformance/conformance $(B)/tests/malformed/generate $(B)/tests/fuzz/make_seeds

# Each fuzzer attacks one component, linked from that component's archive. Built with V=fuzz CC=clang (libFuzzer), or
# with V=cov, where tests/fuzz/replay.c runs files through it.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(FUZZ_SRC))
FUZZ_DRIVER := $(if $(filter fuzz,$(V)),-fsanitize=fuzzer,$(B)/tests/fuzz/replay.o)
fuzz-programs: $(FUZZ_BIN)
ifneq ($(V),fuzz)
$(FUZZ_BIN): $(B)/tests/fuzz/replay.o
endif
$(B)/tests/fuzz/fuzz_wire: $(B)/tests/fuzz/fuzz_wire.o $(B)/tests/fuzz/wire_rig.o $(B)/daemon.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) $(FUZZ_DRIVER) -o $@ $(filter-out %replay.o,$^) $(LIBS_daemon)
$(B)/tests/fuzz/fuzz_config: $(B)/tests/fuzz/fuzz_config.o $(B)/daemon.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) $(FUZZ_DRIVER) -o $@ $(filter-out %replay.o,$^) $(LIBS_daemon)
$(B)/tests/fuzz/fuzz_vfu_client: $(B)/tests/fuzz/fuzz_vfu_client.o $(B)/daemon.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) $(FUZZ_DRIVER) -o $@ $(filter-out %replay.o,$^) $(LIBS_daemon)
$(B)/tests/fuzz/fuzz_vfu_server: $(B)/tests/fuzz/fuzz_vfu_server.o $(B)/emulator.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) $(FUZZ_DRIVER) -o $@ $(filter-out %replay.o,$^) $(LIBS_emulator)
$(B)/tests/fuzz/fuzz_elf: $(B)/tests/fuzz/fuzz_elf.o $(B)/libclient.a
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) $(FUZZ_DRIVER) -o $@ $(filter-out %replay.o,$^) $(LIBS_libclient)

$(B)/tests/fuzz/make_seeds: $(call obj,tests/fuzz/make_seeds.c $(wildcard tests/fuzz/seeds_*.c)) $(B)/gen/npud.pb-c.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call pkg_libs,libprotobuf-c)

$(B)/tests/malformed/generate: $(B)/tests/malformed/generate.o
	$(call step,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^

## make fuzz          every fuzzer for FUZZ_SECONDS (30), two at a time
fuzz:
	tests/fuzz/run.sh

## make fuzz-coverage line coverage of the executable loader over seeds and malformed files: at least 95 %
fuzz-coverage:
	tests/fuzz/coverage.sh

## make valgrind      npud's whole life under memcheck
.PHONY: valgrind
valgrind: all
	tests/valgrind.sh

## make check         everything: set-up, lint, every test; the last line adds all up
check:
	@tests/check.sh
