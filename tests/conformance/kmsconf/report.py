"""Reports: for people (with colours on a terminal), JUnit XML and JSON for CI."""
import json
import sys
import xml.etree.ElementTree as ET

from .registry import FAIL, NA, PASS

COLOURS = {PASS: "\033[32m", FAIL: "\033[31m", NA: "\033[33m"}


def line(result, colour):
    mark = {PASS: "pass", FAIL: "FAIL", NA: "n/a "}[result.verdict]
    if colour:
        mark = COLOURS[result.verdict] + mark + "\033[0m"
    seen = f": {result.seen}" if result.seen else ""
    text = f"{result.number:3d} {mark} [{result.group}] {result.name}{seen}"
    if result.verdict == FAIL:
        text += f"\n         means: {result.meaning}"
    return text


def counts(results):
    return {verdict: sum(1 for r in results if r.verdict == verdict) for verdict in (PASS, FAIL, NA)}


def summary(results):
    tally = counts(results)
    return f"{tally[PASS]} passed, {tally[FAIL]} failed, {tally[NA]} not applicable of {len(results)} statements"


def human(results, stream=sys.stdout):
    for result in results:
        print(line(result, stream.isatty()), file=stream)
    print(summary(results), file=stream)


def as_json(results, about, path):
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"about": about, "counts": counts(results), "results": [vars(r) for r in results]}, out, indent=1)
        out.write("\n")


def as_junit(results, path):
    tally = counts(results)
    suite = ET.Element("testsuite", name="p11-kms-conformance", tests=str(len(results)),
                       failures=str(tally[FAIL]), skipped=str(tally[NA]))
    for result in results:
        case = ET.SubElement(suite, "testcase", classname=result.group,
                             name=f"{result.number:02d} {result.name}", time=f"{result.seconds:.3f}")
        if result.verdict == FAIL:
            ET.SubElement(case, "failure", message=result.seen).text = result.meaning
        elif result.verdict == NA:
            ET.SubElement(case, "skipped", message=result.seen)
        elif result.seen:
            ET.SubElement(case, "system-out").text = result.seen
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
