"""Holds the tests that ran against tests/all_tests.txt, so that a test which disappears is a line that somebody took out.

    python3 tools/test_list.py LOG                        what `cargo test --locked --workspace` printed into LOG
    python3 tools/test_list.py LOG PACKAGE ARGUMENTS...   what `cargo test --locked -p PACKAGE ARGUMENTS...` printed
    python3 tools/test_list.py --accept                   builds the tests, asks them for their names, and writes the list

A line is the package, the file of the test program (or `doc`), and the test; ` (ignored)` at its end where it does not run. Examples in the
documentation go by their item and stand once each. Tests that run inside a WebAssembly component have `wasm32-wasip2` in the place of the
file: `tests/tests/wasi.rs` holds these, and here they stay as they are.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter

LIST = "tests/all_tests.txt"
HEAD = "# Every test, by name. Compared with what ran by tools/test_list.py, and written by `./test.sh --accept-tests`.\n"
COMPONENT = "wasm32-wasip2"
# What cargo and the tests print. Colours are for a terminal.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PROGRAM = re.compile(r"^\s*Running (?:unittests )?(\S+) \((.+)\)$")
DOCUMENTATION = re.compile(r"^\s*Doc-tests (\S+)$")
# The name of an example in documentation has spaces. Something else may have begun the line.
RAN = re.compile(r"test (\S+(?: - .*?)?) \.\.\. (ok|FAILED|ignored)\b")
LISTED = re.compile(r"^(\S+(?: - .*)?): test$")
# What a test is known by without: where an example stands, and how a test is to end.
NO_NAME = re.compile(r" \(line \d+\)| - should panic$| - compile$| - compile fail$")


def main(arguments):
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if arguments == ["--accept"]:
        return accept()
    if not arguments or arguments[0].startswith("-"):
        sys.exit("test_list: wants a log, or --accept")
    package = arguments[1] if len(arguments) > 1 else None
    chosen = ["-p", *arguments[1:]] if package else ["--workspace"]
    with open(arguments[0], encoding="utf-8", errors="replace") as file:
        ran = names(file, RAN, owners(chosen))
    return compare(Counter(ran), Counter(known()), package)


def compare(ran, listed, package):
    """Says what differs between the tests of `package` (None: of all) that ran and those in the list."""
    for tests in (ran, listed):
        for test in [test for test in tests if package not in (None, test.split(" ")[0]) or in_component(test)]:
            del tests[test]
    for test in sorted((listed - ran).elements()):
        print(f"gone: {test}", file=sys.stderr)
    for test in sorted((ran - listed).elements()):
        print(f"new: {test}", file=sys.stderr)
    if ran != listed:
        print(f"{LIST} has to say so: ./test.sh --accept-tests, or a line by hand", file=sys.stderr)
    print(f"{sum(ran.values())} tests ran, {sum(listed.values())} are listed")
    return 0 if ran == listed else 1


def accept():
    """Writes the list anew."""
    found = Counter(asked([])) - Counter(asked(["--ignored"]))
    tests = [*found.elements(), *(f"{test} (ignored)" for test in asked(["--ignored"]))]
    tests += filter(in_component, known())
    with open(LIST, "w", encoding="utf-8") as file:
        file.write(HEAD + "".join(f"{test}\n" for test in sorted(tests)))
    print(f"{len(tests)} tests are listed in {LIST}")
    return 0


def asked(which):
    """The names that the tests give themselves."""
    command = ["cargo", "test", "--locked", "--workspace", "--", "--list", *which]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if output.returncode != 0:
        sys.exit(f"{output.stdout}\ntest_list: the tests do not build, or do not say their names")
    return names(output.stdout.splitlines(), LISTED, owners(["--workspace"]))


def names(lines, pattern, owner):
    """The tests in what cargo printed, each as a line of the list."""
    tests, place = [], None
    for line in (COLOUR.sub("", line.rstrip()) for line in lines):
        program, documentation = PROGRAM.match(line), DOCUMENTATION.match(line)
        if program:
            place = f"{owner.get(os.path.basename(program.group(2)), '?')} {program.group(1)}"
        elif documentation:
            place = f"{owner.get(documentation.group(1), '?')} doc"
        elif line == "failures:":
            # What failed tests printed comes next.
            place = None
        test = pattern.search(line) if place else None
        if test:
            ignored = " (ignored)" if pattern is RAN and test.group(2) == "ignored" else ""
            tests.append(f"{place} {NO_NAME.sub('', test.group(1))}{ignored}")
    return tests


def owners(chosen):
    """The package of each test program, by its file's name, and of each library, by its name."""
    metadata = cargo(["metadata", "--locked", "--no-deps", "--format-version", "1"])
    packages = json.loads(metadata)["packages"]
    owner = {target["name"].replace("-", "_"): package["name"] for package in packages for target in package["targets"]
             if "lib" in target["kind"]}
    by_id = {package["id"]: package["name"] for package in packages}
    # They are built, so this only says where.
    for line in cargo(["test", "-q", "--locked", *chosen, "--no-run", "--message-format=json"]).splitlines():
        message = json.loads(line)
        if message.get("executable") and message["profile"]["test"]:
            owner[os.path.basename(message["executable"])] = by_id[message["package_id"]]
    return owner


def cargo(arguments):
    result = subprocess.run(["cargo", *arguments], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"test_list: cargo {' '.join(arguments)} has failed")
    return result.stdout


def known():
    """The lines of the list."""
    if not os.path.exists(LIST):
        return []
    with open(LIST, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if not line.startswith("#")]


def in_component(test):
    return f" {COMPONENT} " in test


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
