"""The table of events is the same in base/event.h and docs/events.md, the code logs each of its rows, and the
documents name no event that is not in it."""
import os
import re

import source

TABLE = "base/event.h"
PAGE = "docs/events.md"
CODE_ROW = re.compile(r'\bX\(\s*(\w+),\s*"([^"]*)",\s*(\w+),\s*(?:NULL|"([^"]*)"),\s*(true|false)\)')
PAGE_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|([^|]*)\|([^|]*)\|$", re.M)
USE = re.compile(r"\bEVENT_([A-Z]\w*)\b")
# Whole words in code spans, as `token-lost` or `event=token-lost`.
QUOTED = re.compile(r"`(?:event=)?([a-z]+(?:-[a-z]+)+)`")
# Words of the documents that begin like an event and are none.
OTHERS = {"pin-retry"}


def code_rows(root):
    for name, *row in CODE_ROW.findall(source.read(root, TABLE)):
        event, level, counter, audited = row
        yield name, (event, level.lower(), counter, "yes" if audited == "true" else "")


def page_rows(root):
    for event, level, counter, audited, means, then in PAGE_ROW.findall(source.read(root, PAGE)):
        # "info, warn": the level of the table, and that of the worse case.
        yield (event, level.split(",")[0].strip(), counter.strip(), audited.strip()), means.strip() and then.strip()


def check_page(root, rows):
    if not os.path.exists(os.path.join(root, PAGE)):
        return [f"{PAGE}: missing"]
    page = list(page_rows(root))
    in_code, in_page = [row for _name, row in rows], [row for row, _said in page]
    faults = [f"{PAGE}: {row[0]}: {TABLE} has no such row {row[1:]}" for row in in_page if row not in in_code]
    faults += [f"{PAGE}: no row of {row[0]}, as {row[1:]}" for row in in_code if row not in in_page]
    if not faults and in_page != in_code:
        faults.append(f"{PAGE}: the rows stand in another order than in {TABLE}")
    return faults + [f"{PAGE}: {row[0]}: does not say what it means and what to do" for row, said in page if not said]


def check_uses(root, rows):
    used = set()
    for path in source.files(root, source.PRODUCT, (".c", ".h")):
        if path not in (TABLE, "base/event.c"):
            used.update(USE.findall(source.code_only(source.read(root, path))))
    return [f"{TABLE}: {name} is never logged" for name, _row in rows if name not in used]


def check_names(rows):
    return [f"{TABLE}: {name} is called {row[0]}" for name, row in rows if row[0] != name.lower().replace("_", "-")]


def check_quotes(root, rows):
    """A name that begins like an event and is none is one that was renamed, or mistyped."""
    events = {row[0] for _name, row in rows}
    begin = {event.split("-")[0] for event in events if "-" in event}
    for path in ["README.md", "SECURITY.md"] + source.files(root, ["docs"], ".md"):
        text = source.read(root, path) if os.path.exists(os.path.join(root, path)) else ""
        for found in QUOTED.finditer(text):
            word = found.group(1)
            if word.split("-")[0] in begin and word not in events | OTHERS:
                yield f"{path}:{source.line_of(text, found.start())}: {word}: no such event"


def check(root, _options):
    if not os.path.exists(os.path.join(root, TABLE)):
        return [f"{TABLE}: missing"]
    rows = list(code_rows(root))
    if not rows:
        return [f"{TABLE}: no row of an event"]
    return check_page(root, rows) + check_uses(root, rows) + check_names(rows) + list(check_quotes(root, rows))


if __name__ == "__main__":
    source.main(check)
