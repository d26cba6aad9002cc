"""Runs the checks and writes the reports."""
import sys
import time

from . import (failure, failure_hostile, options, report, rotation, transport,  # noqa: F401
               transport_limits, transport_socket, v1, v2, v2_tamper, wire)
from .registry import CHECKS, FAIL, NA, PASS, Failed, NotApplicable, Result
from .target import Target

LAST = (78, 54)    # one destroys the key, the other looks at the texts of the whole run
POLLED = 37  # its full form can be cut (--poll-minutes)


def wanted(chosen):
    return sorted(chosen.only or CHECKS, key=lambda number: (LAST.index(number) + 1 if number in LAST else 0, number))


def applicable(check, chosen):
    if check.api and not getattr(chosen, check.api):
        raise NotApplicable(f"KMS {check.api} is not graded (--{check.api})")
    missing = [need for need in check.needs if not getattr(chosen, need)]
    if missing:
        raise NotApplicable("needs " + ", ".join("--" + need.replace("_", "-") for need in missing))


def verdict(check, target):
    """(verdict, what was seen)"""
    try:
        applicable(check, target.options)
        return PASS, check.run(target) or ""
    except NotApplicable as why:
        return NA, str(why)
    except Failed as why:
        return FAIL, str(why)
    except wire.Timeout:
        return FAIL, "no answer in time"
    except wire.Closed:
        return FAIL, "the plugin closed the connection"
    except Exception as why:  # pylint: disable=broad-except
        # Frames, header blocks or messages that cannot be read end here too; the run goes on.
        return FAIL, f"{type(why).__name__}: {why}"


def form(check, target):
    if not check.long:
        return ""
    if not target.full:
        return "short"
    return "part" if check.number == POLLED and target.options.poll_minutes < 60 else "full"


def run(check, target):
    began = time.monotonic()
    result = Result(check.number, check.group, check.name, check.meaning)
    result.form = form(check, target)
    result.verdict, result.seen = verdict(check, target)
    result.seconds = round(time.monotonic() - began, 3)
    return result


def ask(chosen, colour):
    target = Target(chosen)
    results = []
    for number in wanted(chosen):
        results.append(run(CHECKS[number], target))
        print(report.line(results[-1], colour), flush=True)
    return sorted(results, key=lambda result: result.number)


def merged(chosen, colour):
    results = report.merge(chosen.merge)
    for result in results:
        print(report.line(result, colour))
    return results


def main(argv=None):
    chosen = options.parse(argv)
    if chosen.list:
        print(report.listing(CHECKS))
        return 0
    colour = chosen.colour == "always" or (chosen.colour == "auto" and sys.stdout.isatty())
    results = merged(chosen, colour) if chosen.merge else ask(chosen, colour)
    print(report.summary(results, colour))
    for write, path in ((report.as_json, chosen.json), (report.as_junit, chosen.junit),
                        (report.as_markdown, chosen.markdown)):
        if path:
            write(results, chosen.title, path)
    return 1 if any(result.verdict == FAIL for result in results) else 0
