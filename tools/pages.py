"""Checks all pages of the repository: where links lead, whether the book has each page, and whether each block of code is tested.

    python3 tools/pages.py            says what is wrong, and ends with 1 if anything is
    python3 tools/pages.py --blocks   lists the blocks of code, each with what tests it

- A relative link leads to a file or folder of the repository, and its anchor to a heading there, by the rule of GitHub and GitLab. Pictures exist.
- Each table has a head, and as many cells in each row: a row behind an empty line is shown as a line of bars.
- No page names a line of a file by its number: the next commit makes it wrong.
- Each page stands once in docs/SUMMARY.md, the list of the book's chapters.
- Each page that an error message, a comment or any other text of the repository names exists.
- Each block of code is compiled or run by something, which tools/blocks.txt names where it cannot be seen from the page.
- Each command of cargo names a package, a program, a test and features that exist; so does each script that is called.
"""

import functools
import os
import re
import sys

import markdown

SUMMARY = "docs/SUMMARY.md"
BLOCKS = "tools/blocks.txt"
# The kinds of blocks that cannot be run: drawings, outputs, notations of a format.
SHOWN = ("text",)
# A file name with a line number behind it, in a link or in prose. Not a port: no file name stands before one.
LINE_NUMBER = re.compile(r"[\w/-]+\.(?:rs|py|sh|toml|md|c|h|yml)(?::|#L)\d+")
# What stands between the head of a table and its rows.
RULER = re.compile(r"\|(?:\s*:?-+:?\s*\|)+$")
PAGE_NAME = re.compile(r"(?<![\w./-])docs/[\w/-]+\.(?:md|svg)\b")
FOREIGN = re.compile(r"^[a-z][a-z0-9+.-]*:")


def main(arguments):
    markdown.to_root()
    if arguments == ["--blocks"]:
        for page, block, how in tested_blocks():
            print(f"{page} {block.kind} {first_line(block)!r}: {how or 'NOTHING'}")
        return 0
    if arguments:
        sys.exit("pages: the only option is --blocks")
    wrong = []
    for check in (links, tables, line_numbers, summary, names_of_pages, blocks, commands):
        seen = check(wrong)
        print(f"{seen:5} {check.__doc__.split('.')[0]}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def links(wrong):
    """relative links."""
    seen = 0
    for page in markdown.pages():
        for line, is_image, target in markdown.links(markdown.read(page)):
            if FOREIGN.match(target):
                continue
            seen += 1
            path, anchor = markdown.resolve(page, target)
            if path not in markdown.files() and (is_image or path not in markdown.folders()):
                wrong.append(f"{page}:{line}: {target} does not exist")
            elif anchor and path.endswith(".md") and anchor not in markdown.anchors(path):
                wrong.append(f"{page}:{line}: {path} has no heading {anchor}; it has {' '.join(sorted(markdown.anchors(path)))}")
    return seen


def tables(wrong):
    """tables of the pages."""
    seen = 0
    for page in markdown.pages():
        columns = None
        lines = [line.strip() for line in markdown.parts(markdown.read(page))[0]]
        for number, (line, following) in enumerate(zip(lines, lines[1:] + [""]), 1):
            if not line.startswith("|"):
                columns = None
            elif columns is None:
                seen += 1
                columns = cells(line)
                if not RULER.match(following):
                    wrong.append(f"{page}:{number}: a row without a table; take out the empty line above it, or write a head")
            elif cells(line) != columns:
                wrong.append(f"{page}:{number}: {cells(line)} cells, and the table has {columns} columns; a bar in a cell is written \\|")
    return seen


def cells(row):
    return len(re.findall(r"(?<!\\)\|", row)) - 1


def line_numbers(wrong):
    """pages without numbers of lines."""
    for page in markdown.pages():
        for number, line in enumerate(markdown.parts(markdown.read(page))[0], 1):
            for found in LINE_NUMBER.findall(line):
                wrong.append(f"{page}:{number}: {found}: the next commit makes a line's number wrong; name what is there")
    return len(markdown.pages())


def summary(wrong):
    """chapters of the book."""
    chapters = [markdown.resolve(SUMMARY, target)[0] for _, _, target in markdown.links(markdown.read(SUMMARY))]
    for page in sorted(set(markdown.pages()) - {SUMMARY} - set(chapters)):
        wrong.append(f"{SUMMARY}: {page} is missing")
    for page in sorted({page for page in chapters if chapters.count(page) > 1}):
        wrong.append(f"{SUMMARY}: {page} is listed more than once")
    return len(chapters)


def names_of_pages(wrong):
    """names of pages in texts of all kinds."""
    seen = 0
    for name in sorted(markdown.files()):
        if not name.endswith((".rs", ".py", ".sh", ".toml", ".md", ".c", ".h", ".txt", ".yml")):
            continue
        for found in PAGE_NAME.findall(markdown.read(name)):
            seen += 1
            if found not in markdown.files():
                wrong.append(f"{name}: {found} does not exist")
    return seen


def first_line(block):
    return next((line.strip() for line in block.lines if line.strip()), "")


@functools.lru_cache(maxsize=None)
def documentation_tests():
    """The pages whose Rust rustdoc compiles."""
    found = set()
    for name in markdown.files():
        if name.endswith(".rs"):
            for path in re.findall(r"#\[doc = include_str!\(\"([^\"]+\.md)\"\)\]", markdown.read(name)):
                found.add(os.path.normpath(os.path.join(os.path.dirname(name), path)))
    return found


@functools.lru_cache(maxsize=None)
def programs():
    """The text of every Rust file, without indents."""
    trimmed = lambda text: "\n".join(line.strip() for line in text.split("\n"))
    return {name: trimmed(markdown.read(name)) for name in markdown.files() if name.endswith(".rs")}


def program_of(block):
    """The file that has each paragraph of the block, whatever its indent, or None."""
    trimmed = "\n".join(line.strip() for line in block.lines).strip()
    paragraphs = [paragraph for paragraph in trimmed.split("\n\n") if paragraph]
    for name, text in sorted(programs().items()):
        if all(paragraph in text for paragraph in paragraphs):
            return name
    return None


@functools.lru_cache(maxsize=None)
def rows():
    """tools/blocks.txt: what tests a block of (page, kind, first line). `*` stands for every first line."""
    found = {}
    for number, line in enumerate(markdown.read(BLOCKS).split("\n"), 1):
        if line and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split(" | ")]
            if len(cells) != 4:
                sys.exit(f"{BLOCKS}:{number}: PAGE | KIND | FIRST LINE | WHAT TESTS IT, not {line!r}")
            found[tuple(cells[:3])] = (number, cells[3])
    return found


def tested_blocks():
    """Yields (page, block, what tests it or None)."""
    for page in markdown.pages():
        for block in markdown.parts(markdown.read(page))[1]:
            yield page, block, tested_by(page, block)


def tested_by(page, block):
    language, _, attributes = block.kind.partition(",")
    row = rows().get((page, block.kind, first_line(block))) or rows().get((page, block.kind, "*"))
    if row:
        return row[1]
    if block.kind in SHOWN:
        return "shown"
    if language == "rust" and "ignore" not in attributes and page in documentation_tests():
        return "rustdoc"
    if language == "rust" and (program := program_of(block)):
        return program
    if language in ("sh", "console"):
        others = [line for line in command_lines(block) if not is_looked_at(line)]
        return "its commands" if not others and not has_output(block) else None
    if language == "toml":
        return "its features" if all(map(is_dependency, block.lines)) else None
    return None


def blocks(wrong):
    """blocks of code."""
    seen, used = 0, set()
    for page, block, how in tested_blocks():
        seen += 1
        used |= {(page, block.kind, first_line(block)), (page, block.kind, "*")}
        if how is None:
            wrong.append(
                f"{page}:{block.line}: nothing tests this block ({block.kind or 'without a kind'}): {first_line(block)!r}. "
                f"Have a test compile or run it, and name it in {BLOCKS}; or mark it as text, if it is not code"
            )
    for key, (number, how) in rows().items():
        if key not in used:
            wrong.append(f"{BLOCKS}:{number}: there is no such block: {' | '.join(key)}")
        elif not is_there(how):
            wrong.append(f"{BLOCKS}:{number}: {how}: there is no such test; give FILE NAME, or `by hand: WHY`, or `shown: WHAT`")
    return seen


def is_there(how):
    """Whether `FILE NAME` is an existing test or script. A block that cannot be run says why."""
    if how.startswith(("by hand: ", "shown: ")):
        return True
    name, _, function = how.partition(" ")
    if name not in markdown.files():
        return False
    return not function or re.search(rf"\b(?:fn|def) {re.escape(function)}\b|^{re.escape(function)}\(\)", markdown.read(name), re.M)


def is_dependency(line):
    """Whether the line names no crate of ours, or only features that the crate has."""
    found = re.match(r"(connie-[a-z]+) = (.*)", line)
    if not found:
        return True
    features = re.search(r"features = \[([^\]]*)\]", found.group(2))
    return all(has_feature(found.group(1), one) for one in re.findall(r'"([^"]+)"', features.group(1) if features else ""))


@functools.lru_cache(maxsize=None)
def manifests():
    """The manifest of each package, by name."""
    found = {}
    for name in markdown.files():
        if os.path.basename(name) == "Cargo.toml" and (package := re.search(r'^\[package\][^\[]*?^name = "([^"]+)"', markdown.read(name), re.M | re.S)):
            found[package.group(1)] = name
    return found


def has_feature(package, feature):
    text = markdown.read(manifests()[package])
    optional = re.search(rf"^{re.escape(feature)} = \{{.*optional = true", text, re.M)
    return bool(optional or re.search(rf"^{re.escape(feature)} = \[", text, re.M))


def command_lines(block):
    """The commands of a block: in a console, those behind the prompt. Continued lines are joined."""
    text = block.text.replace("\\\n", " ")
    lines = [line.strip() for line in text.split("\n")]
    if block.kind == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [line for line in lines if line and not line.startswith("#")]


def has_output(block):
    """Whether a console shows the output of a command, which may change with the next version."""
    return block.kind == "console" and any(line.strip() and not line.startswith(("$ ", "# ")) for line in block.lines)


def is_looked_at(line):
    """Whether the line is checked by `commands`, or by the test `every_command_of_a_page_is_one` of connie-cli."""
    words = line.split()
    return words[0] in ("cargo", "connie", "cd", "rustup", "CARGO_PROFILE_DEV_DEBUG=0") or words[0].startswith(("./", "tools/", "packaging/")) or " cargo " in line


def commands(wrong):
    """commands of cargo, and of scripts."""
    seen = 0
    for page in markdown.pages():
        prose, found = markdown.parts(markdown.read(page))
        spans = [span.group(2) for span in markdown.SPAN.finditer("\n".join(prose))]
        folder = "."
        for line in [*spans, *(line for block in found for line in command_lines(block))]:
            for command in re.split(r" && |; ", " ".join(line.split())):
                if command.startswith("cd "):
                    folder = command.split()[1]
                seen += "cargo" in command.split()
                if trouble := trouble_of(command, folder):
                    wrong.append(f"{page}: `{command}`: {trouble}")
    return seen


def after(words, option):
    return [value for name, value in zip(words, words[1:]) if name == option]


def trouble_of(command, folder):
    """What is wrong with a command of cargo or of a script of the repository, or None."""
    words = [word for word in command.split() if word != "\\"]
    words = words[: words.index("#")] if "#" in words else words
    while words and re.match(r"^[A-Z_]+=", words[0]):
        words.pop(0)
    if words and re.match(r"^(\./|tools/|packaging/|examples/)[\w./-]+\.(sh|py)$", words[0]):
        names = [os.path.normpath(os.path.join(at, words[0])) for at in (".", folder, "fuzz", "examples/firmware-qemu")]
        if not any(name in markdown.files() for name in names):
            return f"there is no {words[0]}"
    if "cargo" not in words or "install" in words:
        return None
    own = words[words.index("cargo"):]
    own = own[: own.index("--")] if "--" in own else own
    for package in after(own, "-p"):
        package = package.rstrip(",")
        if package.startswith("connie-") and not package.isupper() and package not in manifests():
            return f"there is no package {package}"
    return targets(own)


def targets(words):
    """What is wrong with the programs, tests and features of a command of cargo."""
    packages = [name for name in after(words, "-p") if name in manifests()]
    for kind, place in (("--bin", "src/bin"), ("--test", "tests"), ("--example", "examples")):
        for name in after(words, kind):
            if packages and not name.isupper() and not any(is_target(package, place, name) for package in packages):
                return f"{packages[0]} has no {kind[2:]} {name}"
    for feature in [one for value in after(words, "--features") for one in value.split(",")]:
        if len(packages) == 1 and not feature.isupper() and not has_feature(packages[0], feature.split("/")[-1]):
            return f"{packages[0]} has no feature {feature}"
    for profile in after(words, "--profile"):
        if f"[profile.{profile}]" not in markdown.read("Cargo.toml"):
            return f"there is no profile {profile}"
    return None


def is_target(package, place, name):
    manifest = manifests()[package]
    at = os.path.join(os.path.dirname(manifest), place)
    files = [os.path.normpath(os.path.join(at, end)) for end in (f"{name}.rs", f"{name}/main.rs")]
    return any(one in markdown.files() for one in files) or f'name = "{name}"' in markdown.read(manifest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
