"""How an endpoint is held to the form of an answer: the strictest way that it takes, learned once an endpoint."""

from typing import get_args

from ...protocols.errors import CallRefused
from ...protocols.models import Completion, Tier
from .endpoints import Endpoint

TIERS: tuple[Tier, ...] = get_args(Tier)
"""From the strictest."""
IGNORED = 3
"""Answers in a row that are no JSON, after which an endpoint is taken to ignore what it was asked for."""
MARKS = ("response_format", "json_schema", "json schema", "structured output", "tool", "function call", "json mode")
"""Words of a refusal that concern the form."""
FORM_STATUSES = (None, 400, 404, 415, 422, 501)
"""Of refusals that can concern the form; a transport of one's own may tell none."""
LIKE_JSON = ("{", "```", "<think>")


class Structure:
    """What is known of one endpoint."""

    __slots__ = ("_ignored", "_proven", "tier")

    def __init__(self, endpoint: Endpoint) -> None:
        self.tier: Tier = endpoint.tier
        """The way to ask for the next answer."""
        self._proven = False
        self._ignored = 0

    def refused(self, tier: Tier, error: CallRefused) -> Tier | None:
        """Return the next weaker way after a refusal; None where the form was not what was refused.

        A way that has worked is given up only where the refusal speaks of it.
        """
        if TIERS.index(self.tier) > TIERS.index(tier):
            return self.tier  # others have found out meanwhile
        if error.status not in FORM_STATUSES:
            return None
        about_form = any(mark in str(error).lower() for mark in MARKS)
        if tier == "text" or (self._proven and not about_form):
            return None
        return TIERS[TIERS.index(tier) + 1]

    def answered(self, tier: Tier, completion: Completion) -> None:
        """Take in an answer: the way works, unless what comes is never JSON."""
        weaker = TIERS.index(tier) > TIERS.index(self.tier)
        if completion.text.lstrip().startswith(LIKE_JSON):
            self._ignored = 0
            if not self._proven or weaker:
                self.tier, self._proven = tier, True
            return
        if weaker:  # every stricter way was refused, whatever is made of this one
            self.tier, self._proven, self._ignored = tier, False, 0
        if tier != self.tier:
            return  # it was asked for before the others found out
        self._ignored += 1
        if self._ignored >= IGNORED and tier != "text" and not self._proven:
            self.tier, self._ignored = TIERS[TIERS.index(tier) + 1], 0
