#!/usr/bin/env python3
"""Runs a WebAssembly component (WASI 0.2) on wasmtime, as `wasmtime run` does.

    run.py [--deny-network] [--deny-names] [--dir HOST=GUEST]... COMPONENT [ARGUMENT...]

It lends the component the network, names, stdin, stdout, stderr and the environment, and exits as the component does; 134 where the
component traps. It ends itself after CONNIE_WASI_LIMIT seconds (60 unless said otherwise). Needs `pip install wasmtime==46.0.1`.
"""

import os
import re
import signal
import sys

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime.component import Component, Linker

TRAPPED = 134


def options(arguments):
    """The options before the component, and what follows them."""
    granted, folders = {"network": True, "names": True}, []
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)
        if option == "--dir":
            folders.append(arguments.pop(0).split("=", 1))
        elif option.startswith("--deny-") and option[7:] in granted:
            granted[option[7:]] = False
        else:
            sys.exit(f"run.py: {option}: no such option")
    if not arguments:
        sys.exit(__doc__)
    return granted, folders, arguments


def configuration(granted, folders, arguments):
    """What the component finds around it."""
    wasi = wasmtime.WasiConfig()
    wasi.argv = arguments
    wasi.inherit_env()
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for host, guest in folders:
        wasi.preopen_dir(host, guest, wasmtime.DirPerms.READ_WRITE, wasmtime.FilePerms.READ_WRITE)
    # The Python package has no names for these yet.
    if granted["network"]:
        ffi.wasi_config_inherit_network(wasi.ptr())
    ffi.wasi_config_allow_ip_name_lookup(wasi.ptr(), granted["names"])
    return wasi


def command(instance, store):
    """The `run` of the world `wasi:cli/command`, whichever 0.2 release it was built against."""
    for minor in range(32):
        interface = instance.get_export_index(store, f"wasi:cli/run@0.2.{minor}")
        if interface is not None:
            return instance.get_func(store, instance.get_export_index(store, "run", interface))
    sys.exit("run.py: the component is no command: it does not export wasi:cli/run@0.2")


def main():
    # The default action ends the process, whatever it is doing.
    signal.alarm(int(os.environ.get("CONNIE_WASI_LIMIT", "60")))
    granted, folders, arguments = options(sys.argv[1:])
    config = wasmtime.Config()
    cache = os.environ.get("CONNIE_WASI_CACHE")
    if cache:
        config.cache = cache
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    store.set_wasi(configuration(granted, folders, arguments))
    linker = Linker(engine)
    linker.add_wasip2()
    instance = linker.instantiate(store, Component.from_file(engine, arguments[0]))
    try:
        result = command(instance, store)(store)
    except wasmtime.ExitTrap as trap:
        code = trap.code
    except wasmtime.WasmtimeError as error:
        print(f"run.py: the component trapped: {error}", file=sys.stderr)
        code = TRAPPED
    else:
        # `result<_, _>`: None is Ok.
        code = 0 if result is None or getattr(result, "tag", "ok") == "ok" else 1
    # Python's own end would wait for nothing, and may trip over what the runtime still holds.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
