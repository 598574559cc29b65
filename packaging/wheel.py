"""Packs the Python package with the library inside, as a wheel.

    python3 packaging/wheel.py LIBRARY FOLDER     writes FOLDER/connie-VERSION-py3-none-PLATFORM.whl and prints its path

LIBRARY is libconnie.so as cargo built it (cargo build --release -p connie-c). The platform says the oldest glibc by which that can be loaded. From
the same commit comes the same file.
"""

import base64
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAME = "connie"


def main():
    if len(sys.argv) != 3:
        sys.exit("wheel: wants the library, and a folder for the wheel")
    library, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    version, homepage = (re.search(rf'^{key} = "(.*)"$', manifest, re.M).group(1) for key in ("version", "homepage"))
    tag = f"py3-none-{platform(library)}"
    files = {
        f"{NAME}/{path.name}": path.read_bytes()
        for path in sorted((ROOT / "connie-python" / NAME).iterdir())
        if path.suffix in (".py", ".typed")
    }
    files[f"{NAME}/{library.name}"] = library.read_bytes()
    info = f"{NAME}-{version}.dist-info"
    files[f"{info}/METADATA"] = metadata(version, homepage)
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: {NAME}\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
        files[f"{info}/licenses/{licence}"] = (ROOT / licence).read_bytes()
    lines = [f"{path},sha256={digest(content)},{len(content)}" for path, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{NAME}-{version}-{tag}.whl"
    write(wheel, files)
    print(wheel)


def platform(library):
    """What the library needs: a processor, and a glibc."""

    def read(option):
        command = ["readelf", option, "--wide", str(library)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    machine = re.search(r"Machine:\s*(.*)", read("-h")).group(1)
    processor = {"Advanced Micro Devices X86-64": "x86_64", "AArch64": "aarch64"}[machine]
    newest = max(tuple(map(int, found)) for found in re.findall(r"GLIBC_(\d+)\.(\d+)", read("-V")))
    return "manylinux_{}_{}_{}".format(*newest, processor)


def metadata(version, homepage):
    head = [
        "Metadata-Version: 2.4",
        f"Name: {NAME}",
        f"Version: {version}",
        "Summary: Connect to the address of a host that answers first",
        f"Home-page: {homepage}",
        "License-Expression: MIT OR Apache-2.0",
        "License-File: LICENSE-MIT",
        "License-File: LICENSE-APACHE",
        "Requires-Python: >=3.8",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown",
    ]
    readme = (ROOT / "connie-python" / "README.md").read_text(encoding="utf-8")
    return ("\n".join(head) + "\n\n" + readme).encode()


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def write(wheel, files):
    committed = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or subprocess.run(committed, check=True, stdout=subprocess.PIPE).stdout
    date = time.gmtime(int(epoch))[:6]
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, date)
            entry.external_attr = (0o755 if path.endswith(".so") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


if __name__ == "__main__":
    main()
