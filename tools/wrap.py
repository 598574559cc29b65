"""Finds prose that is wider than 110 columns: comments in `.rs` files, and `.md` files. Code that is too wide is rustfmt's.

    python3 tools/wrap.py [PATH...]            lists the lines, as FILE:LINE: WIDTH
    python3 tools/wrap.py --count [PATH...]    how many there are in each file
    python3 tools/wrap.py --write [PATH...]    wraps anew the paragraphs that have such a line
    python3 tools/wrap.py --accept             writes how many each file may have to tools/wrap.txt
    python3 tools/wrap.py --check              ends with 1 where a file has more than that, or fewer

PATH is a file or a folder; without one all files that git knows are looked at. Headings, tables, code and the targets of links are left
alone, and so is a line that has no place to break. A span of code is never broken.
"""

import os
import re
import subprocess
import sys

WIDTH = 110
ALLOWED = "tools/wrap.txt"
COMMENT = re.compile(r"^(\s*)(///|//!|//)(?= |$)")
# A list's item, with the indent of what continues it.
ITEM = re.compile(r"^(\s*(?:[-*+]|\d+[.)])\s+)(?=\S)")
# What would be markup at the beginning of a line.
MARKUP = re.compile(r"^([-+*#>|]|\d+[.)]|```|~~~|<|\[[^\]]*\]:)")
FENCE = re.compile(r"^\s*(```|~~~)")
# These are no prose: a heading, a table, a link's target, HTML, a quotation's mark.
FIXED = re.compile(r"^\s*(#|\||\[[^\]]*\]:\s|<|>)")
# What belongs together: a number with its unit, and a span of code with what stands right before and behind it.
WORD = re.compile(r"[\d.,]+ (?:µs|ms|s|h|%|KB|KiB|MB|MiB)(?!\w)[^\s`]*|(?:`+[^`]*`+|[^\s`])+|`")


def pieces(path, lines):
    """Yields (number, prefix, text) of each line that is prose; `None` as text where a paragraph ends."""
    fenced = False
    last = None
    for number, line in enumerate(lines):
        if path.endswith(".md"):
            prefix, text = "", line
        else:
            comment = COMMENT.match(line)
            if not comment:
                fenced, last = False, None
                yield number, "", None
                continue
            prefix, text = comment.group(0), line[comment.end():]
            text = text[1:] if text.startswith(" ") else text
        if prefix != last:
            if path.endswith(".rs"):
                fenced = False
            yield number, "", None
        last = prefix
        if FENCE.match(text):
            fenced = not fenced
            yield number, "", None
        elif fenced or not text.strip() or FIXED.match(text):
            yield number, "", None
        else:
            yield number, prefix, text


def is_breakable(prefix, text):
    """Whether the line can be made shorter at all: it has a place to break before the width."""
    words = WORD.findall(text)
    return len(words) > 1 and len(prefix) + 1 + len(text) - len(text.lstrip()) + len(words[0]) < WIDTH


def too_wide(path, lines):
    for number, prefix, text in pieces(path, lines):
        if text is not None and len(lines[number]) > WIDTH and is_breakable(prefix, text):
            yield number


def paragraphs(path, lines):
    """Yields (first, last, prefix, first indent, further indent, words) of each paragraph; `last` is excluded."""
    now = None
    for number, prefix, text in list(pieces(path, lines)) + [(len(lines), "", None)]:
        indent = item = None
        if text is not None:
            item = ITEM.match(text)
            indent = text[:len(text) - len(text.lstrip())]
        # Two blanks at the end of a line break it.
        ends = now and (lines[now[1] - 1].endswith(("  ", "\\")) or number != now[1])
        if now and (text is None or item or ends or prefix != now[2] or indent not in (now[4], now[3])):
            yield now
            now = None
        if text is None:
            continue
        if now is None:
            head = item.group(1) if item else indent
            now = [number, number, prefix, head, " " * len(head) if item else indent, []]
            text = text[len(head):]
        now[1] = number + 1
        now[5].append(text.strip())


def wrapped(prefix, head, further, words):
    out, line = [], ""
    room = WIDTH - len(prefix) - (1 if prefix else 0)
    for word in words:
        lead = further if out else head
        if line and len(lead) + len(line) + 1 + len(word) > room:
            # No line may begin with what would be markup there: then the word before comes along.
            if MARKUP.match(word) and " " in line:
                line, before = line.rsplit(" ", 1)
                word = before + " " + word
            out.append(lead + line)
            line = word
        else:
            line = line + " " + word if line else word
    out.append((further if out else head) + line)
    return [prefix + (" " if prefix else "") + text for text in out]


def rewritten(path, lines):
    wide = set(too_wide(path, lines))
    out, done = [], 0
    for first, last, prefix, head, further, texts in paragraphs(path, lines):
        if not wide.intersection(range(first, last)):
            continue
        out += lines[done:first]
        out += wrapped(prefix, head, further, WORD.findall(" ".join(texts)))
        done = last
    return out + lines[done:]


def files(paths):
    command = ["git", "ls-files", "--", *paths]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in names if name.endswith((".rs", ".md")) and os.path.isfile(name)]


def read(name):
    with open(name, encoding="utf-8", newline="") as file:
        return file.read().split("\n")


def counts(paths):
    found = ((name, len(list(too_wide(name, read(name))))) for name in files(paths))
    return {name: count for name, count in found if count}


def check():
    with open(ALLOWED, encoding="utf-8") as file:
        rows = (line.split(maxsplit=1) for line in file if not line.startswith("#"))
        allowed = {name.strip(): int(count) for count, name in rows}
    found = counts([])
    differs = [name for name in sorted(allowed.keys() | found.keys()) if allowed.get(name, 0) != found.get(name, 0)]
    for name in differs:
        print(f"{name}: {found.get(name, 0)} lines of prose beyond {WIDTH} columns, {allowed.get(name, 0)} are allowed")
    if differs:
        print("`python3 tools/wrap.py --write FILE` wraps them; fewer are taken note of by `--accept`")
    return 1 if differs else 0


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    verbs, paths = [word for word in sys.argv[1:] if word.startswith("-")], [word for word in sys.argv[1:] if word[0] != "-"]
    if verbs == ["--check"]:
        return check()
    if verbs == ["--count"]:
        for name, count in counts(paths).items():
            print(count, name)
    elif verbs == ["--accept"]:
        with open(ALLOWED, "w", encoding="utf-8") as file:
            file.write(f"# Lines of prose beyond {WIDTH} columns that a file may have: read and written by tools/wrap.py.\n")
            file.writelines(f"{count} {name}\n" for name, count in counts([]).items())
    elif verbs == ["--write"]:
        for name in files(paths):
            lines = read(name)
            new = rewritten(name, lines)
            if new != lines:
                with open(name, "w", encoding="utf-8", newline="") as file:
                    file.write("\n".join(new))
    elif not verbs:
        for name in files(paths):
            lines = read(name)
            for number in too_wide(name, lines):
                print(f"{name}:{number + 1}: {len(lines[number])}")
    else:
        sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
