"""The numbered statements: each is one check with a group, a name and a sentence of meaning."""
from dataclasses import dataclass, field
from typing import Callable, Optional

PASS, FAIL, NA = "pass", "fail", "n/a"


class Failed(Exception):
    """The statement does not hold: the text says what was seen."""


class NotApplicable(Exception):
    """The statement cannot be asked of this target: the text says why."""


@dataclass
class Result:
    number: int
    group: str
    name: str
    meaning: str
    verdict: str = NA
    seen: str = ""
    seconds: float = 0.0


@dataclass
class Check:
    number: int
    group: str
    name: str
    meaning: str
    run: Callable
    api: Optional[str] = None          # "v1", "v2": needs that API
    needs: tuple = field(default=())   # options of the command line that must be given


CHECKS = {}


def check(number, group, name, meaning, api=None, needs=()):
    def register(function):
        if number in CHECKS:
            raise RuntimeError(f"check {number} is registered twice")
        CHECKS[number] = Check(number, group, name, meaning, function, api, tuple(needs))
        return function
    return register


def require(condition, seen):
    if not condition:
        raise Failed(seen)
