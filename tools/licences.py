"""Checks the licences of all dependencies against the list in deny.toml.

    cargo metadata --format-version 1 | python3 tools/licences.py deny.toml

For machines without cargo-deny, which reads the same list.
"""

import json
import re
import sys


def allowed(expression, licences):
    """Whether an SPDX expression can be met: one alternative of each OR, every part of each AND."""
    expression = expression.replace("/", " OR ")
    alternatives = re.split(r"\s+OR\s+", expression.replace("(", " ").replace(")", " ").strip())
    if "(" in expression:
        # "(A OR B) AND C" must be met in every part.
        return all(allowed(part.strip(" ()"), licences) for part in re.split(r"\s+AND\s+", expression))
    return any(
        all(part.strip() in licences for part in re.split(r"\s+AND\s+", alternative)) for alternative in alternatives
    )


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        listed = re.search(r"^allow = \[(.*?)\]", file.read(), re.S | re.M)
    licences = set(re.findall(r'"([^"]+)"', listed.group(1)))
    packages = json.load(sys.stdin)["packages"]
    refused = [
        f"{package['name']} {package['version']}: {package['license']}"
        for package in packages
        if not package["license"] or not allowed(package["license"], licences)
    ]
    for line in refused:
        print(f"licence not allowed: {line}", file=sys.stderr)
    print(f"{len(packages)} packages, {len(refused)} with a licence that is not allowed")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
