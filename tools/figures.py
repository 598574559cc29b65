"""Compares the figures in the README and in docs/ with their sources, so that none goes stale.

    python3 tools/figures.py            says what is wrong, and ends with 1 if anything is
    python3 tools/figures.py --list     lists the figures, each with its source

A figure is a number with a unit: octets, bytes, KB, KiB, MB, MiB, SYNs, instructions, ms, %. Each is in a line of tools/figures.txt, or in a page
or a part of one that a command writes. A line is `PAGE :: TEXT :: SOURCE`. TEXT is quoted from the page; where it has several figures and
one of them is compared, that one is put [in brackets]. `TABLE HEAD` is the table whose first line is HEAD. SOURCE is one of

    budget KEY [+|-|* KEY or number]...  benches/footprint/budget.txt
    table PAGE; CELL...; N    cell N (from 1) of the row of another page whose first cells these are
    code FILE NAME            a constant, or a field's first value, in FILE
    lines FILE REGEX          how many lines of FILE match; the number may be a word
    folders FOLDER            how many folders are in it
    in FILE TEXT              the code of FILE has TEXT: a setting of a simulation or of a test
    measured DATE REVISION COMMAND   by hand; the part of the page says when, at which revision and on what machine
    counted DATE REVISION HOW  the same, where the machine does not matter
    dated                     a table whose rows end with a date and a revision
    standard WHERE            somebody else's number
    given WHY                 no claim about connie: an example, hardware

`*` as TEXT stands for a whole page that a program writes: SOURCE is `written FILE`, or `timed FILE` if it measures times.

`about`, `some` and `nearly` before a figure allow 5 %; `under`, `less than` and `at most` allow any smaller value.
"""

import functools
import os
import re
import sys

import markdown

LIST = "tools/figures.txt"
BUDGET = "benches/footprint/budget.txt"
UNITS = {
    "KB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "byte": 1, "bytes": 1, "octet": 1, "octets": 1,
    "SYN": 1, "SYNs": 1, "instructions": 1, "ms": 1, "%": 1,
}
NUMBER = r"\d[\d,]*(?:\.\d+)?"
FIGURE = re.compile(rf"(?<![\w.:/-])({NUMBER})\s(KB|KiB|MB|MiB|GiB|bytes?|octets?|SYNs?|ms|instructions|%)(?!\w)")
# A unit in a table's head.
HEAD = re.compile(r"(?<![\w`-])(?:ms|µs|seconds|bytes|octets|KB|KiB|MiB|MiB/s|SYNs|instructions|%)(?![\w`-])")
# A part of a page that a command writes.
WRITTEN = re.compile(r"<!-- (?:[a-z]+: )?measured[:\s].*?<!-- end of [^>]*-->", re.S)
# The figure of a text that is compared, in brackets. Not the text of a link.
CHOSEN = re.compile(r"\[([^\]\[(]*)\](?!\()")
DATE, REVISION, MACHINE = r"\b20\d\d-\d\d-\d\d\b", r"\b[0-9a-f]{7,10}\b", r"\bcores?\b"


def main(arguments):
    markdown.to_root()
    rows = read_rows()
    wrong = []
    covered = {page: [] for page in pages()}
    for row in rows:
        check(row, covered, wrong)
    seen = missing(covered, wrong)
    missing_tables(covered, wrong)
    budget_is_in_the_page(wrong)
    timed = timed_pages(wrong)
    if arguments == ["--list"]:
        for number, page, text, source in rows:
            print(f"{page}: {text}: {source}")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(rows)} figures with their sources, {seen} in all; {timed} pages with times")
    return 1 if wrong else 0


def pages():
    return [page for page in markdown.pages() if page == "README.md" or page.startswith("docs/")]


def read_rows():
    found = []
    for number, line in enumerate(markdown.read(LIST).split("\n"), 1):
        if line and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split(" :: ")]
            if len(cells) != 3:
                sys.exit(f"{LIST}:{number}: PAGE :: TEXT :: SOURCE, not {line!r}")
            found.append((number, *cells))
    return found


def one_line(text):
    """The text with each run of white space as one space: the wrapping of lines may differ."""
    return re.sub(r"\s+", " ", text)


@functools.lru_cache(maxsize=None)
def prose(page):
    """A page as one line, without its blocks, its comments, and the parts that a command writes."""
    text = WRITTEN.sub("", markdown.read(page))
    return one_line("\n".join(markdown.parts(text)[0]))


def check(row, covered, wrong):
    """Checks that the text is in the page, and that its figure agrees with the source."""
    number, page, text, source = row
    at = f"{LIST}:{number}"
    if page not in markdown.files():
        return wrong.append(f"{at}: there is no page {page}")
    if text == "*":
        if not re.match("(written|timed) ", source) or source.split()[1] not in markdown.files():
            wrong.append(f"{at}: `*` stands for a page that a program writes: give its file, not {source!r}")
        return covered[page].append((0, len(prose(page))))
    plain = table(page, text[len("TABLE "):]) if text.startswith("TABLE ") else CHOSEN.sub(r"\1", text)
    places = [found.start() for found in re.finditer(re.escape(plain), prose(page))]
    if not places:
        return wrong.append(f"{at}: {page} no longer has {plain!r}: correct the line")
    covered.setdefault(page, [])
    covered[page] += [(start, start + len(plain)) for start in places]
    try:
        value = value_of(source, page, text)
    except (KeyError, ValueError) as error:
        return wrong.append(f"{at}: {source}: {error.args[0]}")
    if value is None:
        return None
    chosen = CHOSEN.search(text)
    figures = FIGURE.findall(chosen.group(1) if chosen else text) or counted(chosen.group(1) if chosen else text)
    if len(figures) != 1:
        return wrong.append(f"{at}: {text!r} has {len(figures)} figures: put the one that is compared [in brackets]")
    before = text[: text.lower().index(figures[0][0].lower())]
    if not agrees(figures[0], value, before):
        wrong.append(f"{at}: {page} says {figures[0][0]} {figures[0][1]}, and {source} is {value:,} now")
    return None


def missing_tables(covered, wrong):
    """Checks that each table with a unit in its first line is in a line of the list."""
    for page in pages():
        lines = WRITTEN.sub(lambda part: "\n" * part.group(0).count("\n"), markdown.read(page)).split("\n")
        lines = markdown.parts("\n".join(lines))[0]
        for number, (head, line) in enumerate(zip(lines, lines[1:]), 1):
            if not (re.match(r"\|[-:| ]+\|$", line) and HEAD.search(head)):
                continue
            start = prose(page).find(one_line("\n".join(table_rows(page, head)))[:80])
            if not any(begin <= start < end for begin, end in covered[page]):
                wrong.append(f"{page}:{number}: the table {head!r} has no source: give it a line `{page} :: TABLE {head} :: ...` in {LIST}")


def counted(text):
    """The figures of a text that are numbers without a unit, or words: only for lines of the list that need them."""
    number = re.search(rf"(?<![\w.]){NUMBER}(?!\w)", text)
    if number:
        return [(number.group(0), "")]
    words = [word for word in re.findall(r"[a-z]+(?:-[a-z]+)?", text.lower()) if number_of(word) is not None]
    return [(word, "") for word in words]


def number_of(word):
    tens, _, ones = word.partition("-")
    small = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
    if word in small.split():
        return small.split().index(word)
    of_ten = "twenty thirty forty fifty sixty seventy eighty ninety".split()
    if tens in of_ten and (not ones or ones in small.split()[1:10]):
        return (of_ten.index(tens) + 2) * 10 + (small.split().index(ones) if ones else 0)
    return None


def table_rows(page, head):
    """The lines of a table of a page, by its first line."""
    lines = markdown.read(page).split("\n")
    rows = lines[lines.index(head):] if head in lines else [f"TABLE {head}"]
    return rows[: next((at for at, row in enumerate(rows) if not row.startswith("|")), len(rows))] or rows


def table(page, head):
    return one_line("\n".join(table_rows(page, head)))


def agrees(figure, value, before):
    """Whether a figure is the value, rounded to the digits that it shows."""
    word = number_of(figure[0].lower())
    shown, unit = float(figure[0].replace(",", "")) if word is None else word, UNITS.get(figure[1], 1)
    value /= unit
    before = before.rstrip("[ ")
    if before.endswith(("under", "less than", "at most")):
        return value <= shown
    if before.endswith(("about", "some", "nearly")):
        return abs(value - shown) <= shown / 20
    digits = len(figure[0].split(".")[1]) if "." in figure[0] else 0
    return abs(value - shown) <= 0.5 * 10**-digits + 1e-9


@functools.lru_cache(maxsize=None)
def budget():
    rows = (line.split() for line in markdown.read(BUDGET).split("\n") if line and not line.startswith("#"))
    return {key: int(value) for key, value, _ in rows}


def value_of(source, page, text):
    """The number of a source, octets or milliseconds; None where there is nothing to compare with."""
    kind, _, rest = source.partition(" ")
    if kind == "budget":
        words = rest.split()
        value = budget()[words[0]]
        for sign, word in zip(words[1::2], words[2::2]):
            other = int(word) if word.isdigit() else budget()[word]
            value = {"+": value + other, "-": value - other, "*": value * other}[sign]
        return value
    if kind == "table":
        return cell(*[part.strip() for part in rest.split(";")])
    if kind == "lines":
        file, _, pattern = rest.partition(" ")
        return sum(bool(re.search(pattern, line)) for line in markdown.read(file).split("\n"))
    if kind == "folders":
        return sum(os.path.dirname(name) == rest for name in markdown.folders())
    if kind == "code":
        return constant(*rest.split())
    if kind == "in":
        file, _, needle = rest.partition(" ")
        if file not in markdown.files() or one_line(needle) not in one_line(markdown.read(file)):
            raise ValueError(f"{file} no longer has {needle!r}")
        return None
    if kind in ("measured", "counted"):
        if not re.match(rf"{DATE} {REVISION} \S", rest):
            raise ValueError("needs a date, a revision, and how it was measured")
        return None
    if kind == "dated":
        return dated(page, text)
    if kind in ("standard", "given") and rest:
        return None
    raise ValueError("is not a source; see the head of tools/figures.py")


def dated(page, text):
    head, _, *rows = table_rows(page, text[len("TABLE "):])
    for row in rows:
        if not re.search(rf"{DATE} \| {REVISION} \|$", row):
            raise ValueError(f"{row[:60]} ... does not end with its date and revision")


def cell(page, *cells):
    """A cell of the row that begins with these cells; the last of them is its number."""
    *first, column = cells
    for line in markdown.read(page).split("\n"):
        row = [one.strip() for one in line.strip().strip("|").split(" | ")]
        if line.startswith("|") and row[: len(first)] == first:
            number = re.match(NUMBER, row[int(column) - 1])
            return float(number.group(0).replace(",", ""))
    raise ValueError(f"{page} has no row {' | '.join(first)}")


def constant(file, name):
    """The value of `NAME = VALUE;`, `NAME: VALUE,` or `NAME: TYPE = VALUE;`."""
    if file not in markdown.files():
        raise ValueError("there is no such file")
    for found in re.finditer(rf"\b{re.escape(name)}(?:: [^=;,\n]+?)? ?[=:] ([^;,]+?)[;,]", markdown.read(file)):
        value = one_line(found.group(1)).replace("_", "")
        value = re.sub(r"(?:core::time::|std::time::)?Duration::frommillis\(([^()]+)\)", r"(\1)", value)
        value = re.sub(r"(?:core::time::|std::time::)?Duration::fromsecs\(([^()]+)\)", r"((\1) * 1000)", value)
        value = re.sub(r"\b(\d+)(?:u8|u16|u32|u64|usize)\b", r"\1", value)
        if re.fullmatch(r"[\d\s()*+/<-]+", value):
            return eval(value)  # Digits and signs alone.
    raise ValueError(f"{file} has no {name} with a number")


def missing(covered, wrong):
    """Checks that each figure is in a line of the list. Returns how many there are."""
    seen = 0
    for page, spans in covered.items():
        if page not in pages():
            continue
        for found in FIGURE.finditer(prose(page)):
            seen += 1
            if not any(start <= found.start() and found.end() <= end for start, end in spans):
                around = prose(page)[max(0, found.start() - 40): found.end() + 20]
                wrong.append(f"{page}: {found.group(0)} (… {around} …) has no source: give it a line in {LIST}")
    return seen


# The rows of docs/footprint.md by their keys in the budget. Those of the counts without a firmware are in the program that writes both.
FIRMWARE = {
    "firmware_with_names": ("the race, DHCP, DNS, the waterfall", "both"),
    "firmware_race": ("the race", "both"),
    "firmware_race_ipv4": ("the race, errors as exit codes", "IPv4"),
}
COLUMNS = {"": 3, "_ram": 5, "_stack": 6}


def budget_is_in_the_page(wrong):
    """Checks that docs/footprint.md and the budget agree: each figure of the budget is in its row, within the tolerance of the budget."""
    page, places = "docs/footprint.md", {"firmware_price_of_the_race": ("the race itself", "2")}
    for file in ("figures.rs", "network.rs"):
        source = markdown.read(f"benches/footprint/src/{file}")
        for key, what in re.findall(r'"([a-z0-9_]+)",\s*(?:what: )?"((?:[^"\\]|\\.)+)"', source):
            if key in budget():
                places[key] = (what, "2")
    for key, row in FIRMWARE.items():
        for end, column in COLUMNS.items():
            places[key + end] = (*row, str(column))
    for key, value in budget().items():
        if key.startswith("firmware_embassy"):
            continue  # It is in docs/async.md.
        if key not in places:
            wrong.append(f"{BUDGET}: {key} has no row in {page} that tools/figures.py knows")
            continue
        try:
            shown = cell(page, *places[key])
        except ValueError as error:
            wrong.append(f"{BUDGET}: {key}: {error.args[0]}")
            continue
        # By how much a figure may grow before the budget has to be changed.
        tolerance = 0.02 if value in instructions() else 0.01
        if abs(shown - value) > tolerance * value:
            wrong.append(f"{BUDGET}: {key} is {value:,}, and {page} says {shown:,.0f}: write the page anew")


@functools.lru_cache(maxsize=None)
def instructions():
    return {int(line.split()[1]) for line in markdown.read(BUDGET).split("\n") if line.endswith(" instructions") and line[0] != "#"}


def sections(page):
    """The parts of a page, from one heading to the next, each with the page's head before it."""
    text = markdown.read(page)
    lines, starts = text.split("\n"), [line - 1 for line, level, _ in markdown.headings(text) if level > 1]
    head = "\n".join(lines[: starts[0] if starts else len(lines)])
    ends = starts[1:] + [len(lines)]
    return [head, *(head + "\n" + "\n".join(lines[start:end]) for start, end in zip(starts, ends))] if starts else [text]


def timed_pages(wrong):
    """Checks that pages with measured times, and rows of the list with such, give the date, the revision and the machine."""
    measured = {page for _, page, text, source in read_rows() if source.startswith(("measured", "timed"))}
    for page in sorted(measured):
        text = "\n".join(sections(page))
        for name, pattern in (("date", DATE), ("revision", REVISION), ("machine (its cores)", MACHINE)):
            if not re.search(pattern, text):
                wrong.append(f"{page} has times, and no {name}: say `Measured on DATE, at revision REVISION, on N cores ...`")
    for number, page, _, source in read_rows():
        if source.startswith("measured"):
            date, revision = source.split()[1:3]
            if not any(date in part and revision in part and re.search(MACHINE, part) for part in sections(page)):
                wrong.append(f"{LIST}:{number}: {page} has no part that says {date}, {revision} and on how many cores")
    return len(measured)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
