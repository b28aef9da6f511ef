"""What something took, in words: time, money, tokens, and how often it was tried."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from ..remarks import on_a_line
from .talk import Effort

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
SMALLEST_USD = 0.001
"""Below it money has more than four places."""


def span(seconds: float) -> str:
    """Return a time, as in `0.4 s`, `3 min 12 s`, `2 h 5 min` or `3 d 4 h`."""
    whole = round(seconds)
    if seconds < 0.095:  # noqa: PLR2004 - of which a tenth says nothing
        return f"{max(seconds, 0.0):.2f} s"
    if whole < MINUTE_S:
        return f"{seconds:.1f} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S} min {whole % MINUTE_S} s"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"
    return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S} h"


def moment(time_s: float) -> str:
    """Return a moment, in seconds since the epoch, as date and time."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def money(usd: float | None) -> str:
    """Return US dollars, small amounts with more places."""
    if usd is None:
        return "cost not known"
    return f"{usd:.4f} usd" if usd >= SMALLEST_USD or not usd else f"{usd:.6f} usd"


def count(number: int, what: str) -> str:
    """Return how many of something there are, as in `1 call` and `2 calls`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def took(effort: Effort) -> str:
    """Return what it took to say one thing."""
    if not effort.calls:
        return "answered before" if effort.earlier else ""
    facts = [count(effort.calls, "call")] if effort.calls != 1 else []
    facts += [count(effort.attempts, "attempt")] if effort.errors else []
    facts += [f"{effort.failed} failed"] if effort.failed and effort.calls > 1 else []
    facts += ["answered before"] if effort.cached == effort.calls else []
    facts += [tokens(effort)] if effort.failed < effort.calls else []
    facts += [span(effort.seconds)]
    return ", ".join([*facts, *([money(effort.cost_usd)] if effort.cost_usd else [])])


def tokens(effort: Effort) -> str:
    """Return tokens of the input and of the output."""
    usage = effort.usage
    told = f"{usage.input_tokens:,}+{usage.output_tokens:,} tokens"
    return told if usage.reported else f"{told} (not all were reported)"


def whole(effort: Effort, seconds: float) -> str:
    """Return what a whole conversation took, and how long it was."""
    facts = [count(effort.calls, "call")]
    facts += [f"{effort.failed:,} of them failed"] if effort.failed else []
    facts += [f"{effort.cached:,} of them answered before"] if effort.cached else []
    facts += [f"{count(effort.earlier, 'answer')} of the conversation before"] if effort.earlier else []
    facts += [f"{count(len(effort.errors), 'attempt')} went wrong"] if effort.errors else []
    facts += [tokens(effort), money(effort.cost_usd)]
    return ", ".join([*facts, f"{span(effort.seconds)} at models", f"{span(seconds)} from beginning to end"])


def why(errors: Sequence[str]) -> str:
    """Return what went wrong, each once, with how often."""
    found = Counter(on_a_line(error) for error in errors)
    return "; ".join(f"{words} ({times} times)" if times > 1 else words for words, times in found.items())
