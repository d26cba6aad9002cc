"""The numbered statements: each is one check with a group, a name and a sentence of meaning."""
from dataclasses import dataclass
from typing import Callable, Optional

PASS, FAIL, NA = "pass", "fail", "n/a"
GROUPS = ("transport", "v2", "v1", "rotation", "failure")


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
    form: str = ""       # "short", "part" or "full" where the statement has two forms
    seconds: float = 0.0


@dataclass
class Check:
    number: int
    group: str
    name: str
    meaning: str
    run: Callable
    api: Optional[str] = None    # "v1", "v2": needs that API
    needs: tuple = ()            # options of the command line that must be given
    long: bool = False           # --full asks more of it


CHECKS = {}


def check(number, group, name, meaning, **more):
    """Registers the function below it as the check of this statement."""
    def register(function):
        if number in CHECKS or group not in GROUPS:
            raise RuntimeError(f"check {number} is registered twice or in no group")
        CHECKS[number] = Check(number, group, name, meaning, function, **more)
        return function
    return register


def require(condition, seen):
    if not condition:
        raise Failed(seen)
