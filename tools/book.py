"""Builds the book with mdBook, and follows every link of the result.

    python3 tools/book.py              writes target/book/html; its index.html is the README
    python3 tools/book.py --lay-out    only prepares the chapters for `mdbook build` or `mdbook serve`, in target/book/src

mdBook wants all chapters below one folder, beside SUMMARY.md. So they are copied there in the same folders as in the
repository, with the pictures and files that they link to: relative links need no change. A link to a folder becomes one to its
README.md, or to its Cargo.toml where it has none.
"""

import html.parser
import os
import re
import shutil
import subprocess
import sys
import urllib.parse

import markdown

SUMMARY = "docs/SUMMARY.md"
SOURCE, BUILT = "target/book/src", "target/book/html"


def main(arguments):
    markdown.to_root()
    if arguments not in ([], ["--lay-out"]):
        sys.exit("book: the only option is --lay-out")
    chapters = lay_out()
    if arguments:
        return 0
    shutil.rmtree(BUILT, ignore_errors=True)
    if subprocess.run(["mdbook", "build"], check=False).returncode:
        return 1
    wrong, seen = follow(chapters)
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(chapters)} chapters, {seen} links: {BUILT}/index.html")
    return 1 if wrong else 0


def lay_out():
    """Copies the chapters, and what they link to. Returns the chapters."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    chapters = [markdown.resolve(SUMMARY, target)[0] for _, _, target in markdown.links(markdown.read(SUMMARY))]
    summary = re.sub(r"\]\(([^)]+)\)", lambda link: f"]({markdown.resolve(SUMMARY, link.group(1))[0]})", markdown.read(SUMMARY))
    write("SUMMARY.md", summary)
    for page in chapters:
        text = markdown.read(page)
        for _, _, target in markdown.links(text):
            path = markdown.resolve(page, target)[0]
            if path in markdown.folders():
                file = inside(path)
                relative = os.path.relpath(file, os.path.dirname(page) or ".")
                text = text.replace(f"]({target})", f"]({relative})").replace(f"]: {target}\n", f"]: {relative}\n")
                path = file
            if path in markdown.files() and path not in chapters:
                write(path, None)
        write(page, text)
    return chapters


def inside(folder):
    """The file that stands for a folder."""
    for name in ("README.md", "Cargo.toml", "lib.rs", "mod.rs"):
        path = os.path.join(folder, name)
        if path in markdown.files():
            return path
    return sorted(name for name in markdown.files() if name.startswith(folder + "/"))[0]


def write(path, text):
    """Writes a file of the book, or copies it."""
    place = os.path.join(SOURCE, path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if text is None:
        shutil.copyfile(path, place)
    else:
        with open(place, "w", encoding="utf-8") as file:
            file.write(text)


class Page(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif (tag, name) in (("a", "href"), ("img", "src"), ("source", "srcset")) and value:
                self.links.append(value)


def follow(chapters):
    """The links of the built chapters that lead nowhere, and how many links there are."""
    pages = {}
    for page in chapters:
        path = os.path.join(BUILT, page[: -len(".md")] + ".html")
        if not os.path.isfile(path):
            return [f"{path} was not built"], 0
        with open(path, encoding="utf-8") as file:
            pages[path] = Page(file.read())
    wrong, seen = [], 0
    for path, page in pages.items():
        for link in page.links:
            seen += 1
            if trouble := leads_nowhere(path, link, pages):
                wrong.append(f"{path}: {link}: {trouble}")
    return wrong, seen


def leads_nowhere(path, link, pages):
    parsed = urllib.parse.urlsplit(link)
    if parsed.scheme or parsed.netloc:
        return None
    goal = os.path.normpath(os.path.join(os.path.dirname(path), urllib.parse.unquote(parsed.path))) if parsed.path else path
    if not os.path.isfile(goal):
        return "there is no such file"
    if goal in pages and parsed.fragment and urllib.parse.unquote(parsed.fragment) not in pages[goal].anchors:
        return "there is no such anchor"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
