# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin that counts instructions (count.c), and the program that speaks to it."""

import collections
import os
import subprocess
import threading

HERE = os.path.dirname(os.path.realpath(__file__))
CACHE = os.path.realpath(os.path.join(HERE, "..", ".cache", "bench"))
RUN = os.path.join(HERE, "..", "vm", "run")

Built = collections.namedtuple("Built", "plugin mark")
LOCK = threading.Lock()


def compile_if_older(target, source, *options):
    sources = [os.path.join(HERE, name) for name in (source, "mark.h", "qemu-plugin.h")]
    if os.path.exists(target) and all(os.path.getmtime(s) < os.path.getmtime(target)
                                      for s in sources):
        return
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", *options, "-o", f"{target}.new", sources[0]],
                   check=True)
    # a VM may have it open
    os.rename(f"{target}.new", target)


def build():
    """Returns the names of both."""
    os.makedirs(CACHE, exist_ok=True)
    built = Built(os.path.join(CACHE, "count.so"), os.path.join(CACHE, "mark"))
    with LOCK:
        compile_if_older(built.plugin, "count.c", "-shared", "-fPIC")
        compile_if_older(built.mark, "mark.c", "-static")
    return built


def option(built, share):
    """What QEMU is to be told."""
    return f"-plugin {built.plugin},dir={share}"
