"""Repeating what may be repeated."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ._errors import DeadlineError, InvalidRequestError, UnavailableError

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and how far apart, an idempotent call is repeated when no server answers (UNAVAILABLE).

    `attempts` counts the first one: 1 switches repeating off. Waits grow from `backoff_s` by doubling up to
    `backoff_max_s`; each is drawn between half and the whole of that, so that clients don't come back in step.
    """

    attempts: int = 4
    backoff_s: float = 0.05
    backoff_max_s: float = 1.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.backoff_s < 0 or self.backoff_max_s < self.backoff_s:
            raise InvalidRequestError(
                f"retry policy: attempts must be >= 1 and 0 <= backoff_s <= backoff_max_s, got {self}"
            )

    def wait_s(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1)."""
        ceiling: float = min(self.backoff_max_s, self.backoff_s * 2 ** (attempt - 1))
        return ceiling * random.uniform(0.5, 1.0)


def call_with_retry(call: Callable[[float], T], policy: RetryPolicy, timeout_s: float) -> T:
    """`call(remaining_s)`, repeated by `policy` while it raises UnavailableError and `timeout_s` is not used up."""
    deadline = time.monotonic() + timeout_s
    attempt = 1
    while True:
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise DeadlineError(f"no answer within {timeout_s:g} s")
        try:
            return call(remaining_s)
        except UnavailableError:
            wait_s = policy.wait_s(attempt)
            if attempt >= policy.attempts or time.monotonic() + wait_s >= deadline:
                raise
            time.sleep(wait_s)
            attempt += 1
