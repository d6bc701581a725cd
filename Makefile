# SPDX-License-Identifier: Apache-2.0
# npud: one file builds everything. `make help` lists the targets.
#
# V=release|asan|tsan|cov|fuzz selects the variant, CC=gcc|clang the compiler; objects live in build/$(V)-$(CC).

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
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CPPFLAGS += -D_GNU_SOURCE -I. -I$(G)
CFLAGS += -std=gnu17 -fPIC -fvisibility=hidden -MMD -MP $(WARN) $(CFLAGS_$(V))
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
LDFLAGS_cov := --coverage
LDFLAGS_fuzz := -fsanitize=address,undefined
LDFLAGS += $(LDFLAGS_$(V))
VERSION := $(shell cat VERSION)
CPPFLAGS += -DNPUD_VERSION='"$(VERSION)"'

pkg_cflags = $(shell pkg-config --cflags $(1))
pkg_libs = $(shell pkg-config --libs $(1))

# ------------------------------------------------------------------ sources, found by folder
DAEMON_SRC := $(filter-out daemon/main.c,$(wildcard daemon/*.c daemon/*/*.c))
CLIENT_SRC := $(wildcard libclient/*.c)
EMU_SRC := $(filter-out emulator/main.c,$(wildcard emulator/*.c emulator/ops/*.c))
CC_SRC := $(filter-out emulator/compiler/main.c,$(wildcard emulator/compiler/*.c))
TOOLS_SRC := $(wildcard tools/*.c)
FACES_SRC := $(wildcard docs/examples/faces/*.c)

obj = $(patsubst %.c,$(B)/%.o,$(1))
LIBS_daemon := $(call pkg_libs,$(PKGS_DAEMON)) -lpthread
LIBS_libclient := $(call pkg_libs,$(PKGS_CLIENT)) -lpthread
LIBS_emulator := -ldnnl $(call pkg_libs,$(PKGS_EMU)) -lpthread -lm
LIBS_compiler := $(call pkg_libs,$(PKGS_CC)) -lm
LIBS_check := $(call pkg_libs,check)

PROGRAMS := $(B)/npud $(B)/npu-emu $(B)/npucc $(B)/npuctl
LIBRARY := $(B)/libnpu.so.1

.PHONY: all help unit check demo conformance bench soak fuzz lint install clean setup models
all: $(PROGRAMS) $(LIBRARY) $(B)/faces

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# ------------------------------------------------------------------ generated code
$(G)/npud.pb-c.c $(G)/npud.pb-c.h &: proto/npud.proto
	@mkdir -p $(G)
	protoc-c --proto_path=proto --c_out=$(G) $<
$(G)/onnx.pb-c.c $(G)/onnx.pb-c.h &: /usr/include/onnx/onnx.proto
	@mkdir -p $(G)
	protoc-c --proto_path=/usr/include/onnx --c_out=$(G) $<
$(B)/gen/%.o: $(G)/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -Wconversion -Wshadow -Wmissing-prototypes,$(CFLAGS)) -c -o $@ $<

$(B)/%.o: %.c | $(G)/npud.pb-c.h $(G)/onnx.pb-c.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# ------------------------------------------------------------------ archives, library, programs
$(B)/daemon.a: $(call obj,$(DAEMON_SRC)) $(B)/gen/npud.pb-c.o
$(B)/libclient.a: $(call obj,$(CLIENT_SRC)) $(B)/gen/npud.pb-c.o
$(B)/emulator.a: $(call obj,$(EMU_SRC))
$(B)/compiler.a: $(call obj,$(CC_SRC)) $(B)/gen/onnx.pb-c.o
$(B)/%.a:
	@rm -f $@
	ar rcs $@ $^

$(B)/npud: $(B)/daemon/main.o $(B)/daemon.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_daemon)
$(B)/npu-emu: $(B)/emulator/main.o $(B)/emulator.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_emulator)
$(B)/npucc: $(B)/emulator/compiler/main.o $(B)/compiler.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_compiler)
$(LIBRARY): $(B)/libclient.a libclient/libnpu.map
	$(CC) $(LDFLAGS) -shared -Wl,-soname,libnpu.so.1 -Wl,--version-script=libclient/libnpu.map \
		-o $@ -Wl,--whole-archive $(B)/libclient.a -Wl,--no-whole-archive $(LIBS_libclient)
	@ln -sf libnpu.so.1 $(B)/libnpu.so
$(B)/npuctl: $(call obj,$(TOOLS_SRC)) $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $(call obj,$(TOOLS_SRC)) -L$(B) -lnpu -Wl,-rpath,'$$ORIGIN' $(call pkg_libs,$(PKGS_TOOLS)) -lm
$(B)/faces: $(call obj,$(FACES_SRC)) $(LIBRARY)
	$(CC) $(LDFLAGS) -o $@ $(call obj,$(FACES_SRC)) -L$(B) -lnpu -Wl,-rpath,'$$ORIGIN' $(call pkg_libs,$(PKGS_TOOLS)) -lm

# ------------------------------------------------------------------ unit tests: tests/unit/COMPONENT/test_*.c
UNIT_SRC := $(wildcard tests/unit/*/test_*.c)
UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT_SRC))
$(B)/tests/unit/daemon/%: $(B)/tests/unit/daemon/%.o $(B)/daemon.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_daemon) $(LIBS_check)
$(B)/tests/unit/libclient/%: $(B)/tests/unit/libclient/%.o $(B)/libclient.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_check)
$(B)/tests/unit/emulator/%: $(B)/tests/unit/emulator/%.o $(B)/emulator.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_emulator) $(LIBS_check)
$(B)/tests/unit/compiler/%: $(B)/tests/unit/compiler/%.o $(B)/compiler.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_compiler) $(LIBS_check)
# cross: what two components must agree on, byte for byte
$(B)/tests/unit/cross/%: $(B)/tests/unit/cross/%.o $(B)/libclient.a $(B)/daemon.a $(B)/compiler.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_libclient) $(LIBS_daemon) $(LIBS_compiler) $(LIBS_check)

## make unit          unit tests (under 30 s)
unit: $(UNIT_BIN)
	tests/run.sh unit $(UNIT_BIN)

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
