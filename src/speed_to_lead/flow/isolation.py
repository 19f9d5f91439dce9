"""One bad lead stops nobody (promise 7): what it raises becomes a value, and the others go on."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from speed_to_lead.store import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")


def answer_or_error(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | Exception:
    """The answer, or the exception as a value. A store that is away stops everybody."""
    try:
        return function(*arguments, **named)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001
        return error
