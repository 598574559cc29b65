"""Markdown for tools/pages.py, tools/figures.py and tools/book.py: the pages that git knows, their prose, blocks, links and anchors."""

import functools
import os
import re
import subprocess

FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(\S*)")
SPAN = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)")
# `[text](target)` and `![text](target)`; a target has no spaces, and may be followed by a title.
LINK = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()]*)*)>?(?:\s+\"[^\"]*\")?\s*\)", re.S)
REFERENCE = re.compile(r"^\s*\[([^\]]+)\]:\s+(\S+)", re.M)
HTML = re.compile(r"<(?:img|source|a)\b[^>]*?\b(?:src|href|srcset)\s*=\s*\"([^\"\s]+)", re.I)
ANCHOR = re.compile(r"<[a-z]+\b[^>]*?\b(?:id|name)\s*=\s*\"([^\"]+)\"", re.I)


def to_root():
    """Goes to the repository's root, to which all paths are relative."""
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@functools.lru_cache(maxsize=None)
def files():
    """All files of the repository, including those not yet added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
    return frozenset(name for name in names if name and os.path.isfile(name))


@functools.lru_cache(maxsize=None)
def folders():
    found = {"."}
    for name in files():
        while name := os.path.dirname(name):
            found.add(name)
    return frozenset(found)


def pages():
    return sorted(name for name in files() if name.endswith(".md"))


@functools.lru_cache(maxsize=None)
def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


class Block:
    """A block of code: its kind, which stands behind the fence, the number of its first line, and its lines."""

    def __init__(self, kind, line):
        self.kind, self.line, self.lines = kind, line, []

    @property
    def text(self):
        return "\n".join(self.lines)


def parts(text):
    """The page's lines, with empty ones in place of blocks and comments, and the blocks."""
    text = re.sub(r"<!--.*?-->", lambda comment: "\n" * comment.group(0).count("\n"), text, flags=re.S)
    prose, blocks, fence = [], [], None
    for number, line in enumerate(text.split("\n"), 1):
        mark = FENCE.match(line)
        if fence is None and mark:
            fence = mark.group(1)
            blocks.append(Block(mark.group(2), number + 1))
            prose.append("")
        elif fence is not None:
            if mark and mark.group(1).startswith(fence) and not mark.group(2):
                fence = None
            else:
                blocks[-1].lines.append(line)
            prose.append("")
        else:
            prose.append(line)
    return prose, blocks


def without_code(prose):
    """The prose with spans of code masked, so that nothing in them is taken for a link. It is as long as before."""
    return SPAN.sub(lambda span: re.sub(r"[^\n]", "x", span.group(0)), prose)


def links(text):
    """Yields (line, is_image, target) of each link of a page."""
    prose = without_code("\n".join(parts(text)[0]))
    for pattern, image, target in ((LINK, 1, 2), (REFERENCE, None, 2), (HTML, None, 1)):
        for found in pattern.finditer(prose):
            is_image = bool(image and found.group(image)) or found.group(0).lower().startswith(("<img", "<source"))
            yield prose.count("\n", 0, found.start()) + 1, is_image, found.group(target)


def slug(heading):
    """The anchor that GitHub and GitLab make of a heading: lower case, without punctuation, `-` for a space."""
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    heading = re.sub(r"(?<!\w)[*_]+|[*_]+(?!\w)", "", heading)
    return "".join("-" if one == " " else one for one in heading.strip().lower() if one.isalnum() or one in " -_")


def headings(text):
    """Yields (line, level, text) of each heading."""
    for number, line in enumerate(parts(text)[0], 1):
        if found := re.match(r"(#{1,6})\s+(.*?)\s*#*$", line):
            yield number, len(found.group(1)), found.group(2)


@functools.lru_cache(maxsize=None)
def anchors(name):
    """The anchors of a page. The anchor of a repeated heading has a number at its end."""
    text, found = read(name), set()
    for _, _, heading in headings(text):
        plain, number = slug(heading), 0
        anchor = plain
        while anchor in found:
            number += 1
            anchor = f"{plain}-{number}"
        found.add(anchor)
    return frozenset(found | set(ANCHOR.findall(text)))


def resolve(page, target):
    """Where a relative target of `page` leads: a path from the root, and an anchor or ''."""
    path, _, anchor = target.partition("#")
    if not path:
        return page, anchor
    return os.path.normpath(os.path.join(os.path.dirname(page), path)), anchor
