"""Reports: for people (with colours on a terminal, or Markdown), JUnit XML and JSON for CI."""
import json
import xml.etree.ElementTree as ET

from .registry import FAIL, GROUPS, NA, PASS, Result

COLOURS = {PASS: "\033[32m", FAIL: "\033[31m", NA: "\033[33m"}
MARKS = {PASS: "pass", FAIL: "FAIL", NA: "n/a "}
PLAIN = "\033[0m"
FORMS = ("", "short", "part", "full")


def painted(text, verdict, colour):
    return COLOURS[verdict] + text + PLAIN if colour else text


def printable(text):
    """What a plugin says may neither move the cursor nor break an XML file."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def seen(result):
    """What was measured, with the form that was asked."""
    return "; ".join(part for part in (printable(result.seen), result.form and result.form + " form") if part)


def line(result, colour):
    mark = painted(MARKS[result.verdict], result.verdict, colour)
    text = f"{result.number:3d} {mark} [{result.group}] {result.name}"
    if seen(result):
        text += f": {seen(result)}"
    if result.verdict == FAIL:
        text += f"\n         means: {result.meaning}"
    return text


def counts(results):
    return {verdict: sum(1 for r in results if r.verdict == verdict) for verdict in (PASS, FAIL, NA)}


def tally(results):
    count = counts(results)
    return f"{count[PASS]} passed, {count[FAIL]} failed, {count[NA]} not applicable of {len(results)} statements"


def summary(results, colour=False):
    """One line a group, then the failures by number, then the sum."""
    lines = [""]
    for group in GROUPS:
        of_group = [r for r in results if r.group == group]
        if of_group:
            count = counts(of_group)
            lines.append(f"{group:10s} {count[PASS]:3d} pass {count[FAIL]:3d} fail {count[NA]:3d} n/a")
    failed = [str(r.number) for r in results if r.verdict == FAIL]
    if failed:
        lines.append("failed: " + ", ".join(failed))
    lines.append(painted(tally(results), FAIL if failed else PASS, colour))
    return "\n".join(lines)


def listing(checks):
    return "\n".join(f"{c.number:3d} [{c.group}] {c.name}: {c.meaning}" + (" (short and full form)" if c.long else "")
                     for _, c in sorted(checks.items()))


def as_json(results, title, path):
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"title": title, "counts": counts(results), "results": [vars(r) for r in results]}, out, indent=1,
                  ensure_ascii=False)
        out.write("\n")


def merge(paths):
    """The results of several runs, ordered by number. Of two on one statement an answer beats n/a, failures beat
    passes, the full form beats the short one; equals are told together."""
    best = {}
    for path in paths:
        with open(path, encoding="utf-8") as source:
            for entry in json.load(source)["results"]:
                result = Result(**entry)
                best[result.number] = better(best[result.number], result) if result.number in best else result
    return [best[number] for number in sorted(best)]


def better(one, two):
    rank = {NA: 0, PASS: 1, FAIL: 2}

    def order(result):
        return rank[result.verdict], FORMS.index(result.form)

    if order(one) != order(two):
        return max(one, two, key=order)
    if one.seen != two.seen:
        one.seen = "; ".join(filter(None, (one.seen, two.seen)))
    one.seconds += two.seconds
    return one


def as_junit(results, title, path):
    count = counts(results)
    suite = ET.Element("testsuite", name=title, tests=str(len(results)), failures=str(count[FAIL]),
                       skipped=str(count[NA]), time=f"{sum(r.seconds for r in results):.3f}")
    for result in results:
        case = ET.SubElement(suite, "testcase", classname=result.group,
                             name=f"{result.number:02d} {result.name}", time=f"{result.seconds:.3f}")
        if result.verdict == FAIL:
            ET.SubElement(case, "failure", message=seen(result)).text = result.meaning
        elif result.verdict == NA:
            ET.SubElement(case, "skipped", message=seen(result))
        elif seen(result):
            ET.SubElement(case, "system-out").text = seen(result)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def cell(text):
    return printable(text).replace("|", "\\|")


def as_markdown(results, title, path):
    lines = [f"# {title}", "", f"Written by `p11-kms-conformance --markdown`. {tally(results)}.", ""]
    for group in GROUPS:
        of_group = [r for r in results if r.group == group]
        if not of_group:
            continue
        lines += [f"## {group}", "", "| | statement | verdict | seen | form |", "|---|---|---|---|---|"]
        lines += [f"| {r.number} | {cell(r.name)} | {r.verdict} | {cell(r.seen)} | {r.form} |" for r in of_group]
        lines.append("")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))
