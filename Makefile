# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two makefiles in one: the kbuild file of these drivers, and, run by hand, the
# project's own targets. The latter build against KDIR.

ifneq ($(KERNELRELEASE),)

rnbd-client-y	:= rnbd-clt.o rnbd-clt-dev.o rnbd-clt-io.o rnbd-clt-adm.o \
		   rnbd-clt-sysfs.o rnbd-clt-trace.o
rnbd-server-y	:= rnbd-srv.o rnbd-srv-io.o rnbd-srv-order.o rnbd-srv-dev.o \
		   rnbd-srv-sysfs.o rnbd-srv-trace.o

# The other tests are included by the files that they test.
rnbd-client-$(CONFIG_RNBD_KUNIT_TEST)	+= rnbd-proto-test.o

# Where <trace/define_trace.h> finds our headers.
CFLAGS_rnbd-clt-trace.o	:= -I$(src)
CFLAGS_rnbd-srv-trace.o	:= -I$(src)

# Built in, they are initialised in this order.
obj-$(CONFIG_BLK_DEV_RNBD)		+= rtrs/
obj-$(CONFIG_BLK_DEV_RNBD_CLIENT)	+= rnbd-client.o
obj-$(CONFIG_BLK_DEV_RNBD_SERVER)	+= rnbd-server.o

else

VM	:= tools/testing/vm
KDIR	?= $(or $(wildcard /lib/modules/$(shell uname -r)/build),$(shell $(VM)/kdir))

CONFIG	:= CONFIG_INFINIBAND_RTRS=m CONFIG_INFINIBAND_RTRS_CLIENT=m \
	   CONFIG_INFINIBAND_RTRS_SERVER=m CONFIG_BLK_DEV_RNBD=y \
	   CONFIG_BLK_DEV_RNBD_CLIENT=m CONFIG_BLK_DEV_RNBD_SERVER=m

# KUNIT=1: with the tests in the modules, for a kernel that has CONFIG_KUNIT. It runs
# them when it loads the modules.
ifneq ($(KUNIT),)
UNITS	:= CONFIG_RTRS_KUNIT_TEST CONFIG_RNBD_KUNIT_TEST
CONFIG	+= $(UNITS:%=%=y) KCFLAGS="$(KCFLAGS) $(UNITS:%=-D%)"
endif

KBUILD	= $(MAKE) -C $(KDIR) M=$(CURDIR) $(CONFIG)

modules:
	+$(KBUILD) modules

modules_install:
	+$(KBUILD) modules_install

# Not what the tests have prepared: kernels, and modules of theirs.
clean:
	+$(KBUILD) RCS_FIND_IGNORE='\( -name .git -o -name .cache \) -prune -o' clean
	+$(MAKE) -s -C tools/testing/modules KDIR=$(KDIR) clean

# The kernel that the virtual machines boot; it need not be the running one.
rig:
	$(VM)/setup
	$(MAKE) -j$$(nproc) modules KDIR=$$($(VM)/kdir)
	$(MAKE) -s -C tools/testing/modules KDIR=$$($(VM)/kdir)

demo: rig
	tools/testing/demo.sh

test: rig
	tools/testing/selftests/rnbd/run.sh

test-long: rig
	tools/testing/selftests/rnbd/run.sh --long

# Messages spoiled at random, N of them in each direction: make fuzz N=100000 SEED=1
fuzz: rig
	RNBD_FUZZ=$(or $(N),20000) RNBD_SEED=$(SEED) \
		tools/testing/selftests/rnbd/run.sh --debug --limit 36000 fuzz

# On a kernel that watches itself: make test-debug TESTS="paths stale", or all of them.
test-debug: rig
	tools/testing/selftests/rnbd/run.sh --debug $(TESTS)

# The same, with a table of how much of the drivers they run.
coverage: rig
	tools/testing/selftests/rnbd/run.sh --coverage $(TESTS)

# Whatever may happen, on two machines: make soak MINUTES=60 SEED=1
soak: rig
	RNBD_SOAK=$(or $(MINUTES),60) RNBD_SEED=$(SEED) \
		tools/testing/selftests/rnbd/run.sh --limit $$(($(or $(MINUTES),60) * 60 + 1200)) soak

# On a clock that counts instructions, with other drivers: make bench ALL=1 AGAINST=REV
bench: rig
	tools/testing/bench/bench $(if $(ALL),--all) $(if $(AGAINST),--against $(AGAINST)) $(ARGS)

# What more devices and sessions, and deeper ones, cost.
bench-scale: rig
	tools/testing/bench/scale

# Where the instructions of an I/O go: make profile ARGS="--bs 64k --depth 8"
profile: rig
	tools/testing/bench/profile $(ARGS)

# Put the drivers into a kernel source.
intree:
	tools/testing/intree/intree.sh "$(KSRC)"

# In Debian's, compiled in many ways, and booted.
test-intree:
	$(VM)/setup
	tools/testing/intree/test.sh

docs:
	$(VM)/setup
	tools/testing/docs.sh

check:
	$(VM)/setup
	tools/testing/check.sh

.PHONY: modules modules_install clean rig demo test test-long test-debug coverage fuzz soak bench bench-scale profile \
	intree test-intree docs check
.DEFAULT_GOAL := modules

endif
