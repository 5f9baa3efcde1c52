#!/usr/bin/env python3
"""Every crate that is compiled into OmniMind has a licence that lets anybody use the result.

Reads `cargo metadata`; fails with the names of those that do not fit.
"""
import json
import re
import subprocess
import sys

ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "bzip2-1.0.6", "CC0-1.0", "CDLA-Permissive-2.0", "IJG", "ISC", "MIT",
    "MIT-0", "MPL-2.0", "NCSA", "OpenSSL", "Unicode-3.0", "Unicode-DFS-2016", "Unlicense", "WTFPL", "Zlib",
}
# EPL-2.0 or Apache-2.0 is zenoh's choice; an expression is fine if one of its alternatives is.
TOKENS = re.compile(r"\(|\)|\bAND\b|\bOR\b|\bWITH\b|[A-Za-z0-9.\-+]+")


def allowed(expression: str) -> bool:
    """Evaluates an SPDX expression over the allowed licences."""
    tokens = TOKENS.findall(expression.replace("/", " OR "))
    words = []
    skip = False
    for token in tokens:
        if skip:  # the exception after WITH only ever adds permissions
            skip = False
        elif token == "WITH":
            skip = True
        elif token in "()":
            words.append(token)
        elif token in ("AND", "OR"):
            words.append(token.lower())
        else:
            words.append(str(token in ALLOWED))
    return bool(eval(" ".join(words), {"__builtins__": {}}))  # only True, False, and, or and brackets are left


def main() -> int:
    metadata = json.loads(subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True).stdout)
    bad = [(p["name"], p["version"], p["license"]) for p in metadata["packages"] if not p["license"] or not allowed(p["license"])]
    for name, version, licence in bad:
        print(f"{name} {version}: {licence or 'no licence'}", file=sys.stderr)
    print(f"licences: {len(metadata['packages']) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
