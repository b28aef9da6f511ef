"""Measures: a figure of votes, and a figure of what a run has noted."""

import json

import numpy as np

from fellowship import plugins
from fellowship.runtime.log import LogReader
from fellowship.scenarios.measures.estimate import SHARE, share
from fellowship.scenarios.ratings import Ratings
from fellowship.scenarios.ratings.table import UNREAD


@plugins.measure("readable")
def readable(ratings: Ratings) -> dict[str, plugins.Figure]:
    """The share of each rater's votes that could be read."""
    found: dict[str, plugins.Figure] = {}
    for code, name in enumerate(ratings.raters):
        own = ratings.rater == code
        estimate = share(ratings.verdict[own] != UNREAD, ratings.item[own])
        if estimate is not None:
            found[name] = plugins.Figure(value=estimate.value, ci=estimate.ci, n=estimate.n, method=SHARE)
    return found


@plugins.measure("long-answers", of="run")
def long_answers(log: LogReader) -> plugins.Figure | None:
    """The share of calls that were answered in more than 50 tokens."""
    calls = [json.loads(event.body) for event in log.events(kinds=("model_called",))]
    tokens = [call.get("usage", {}).get("output_tokens", 0) for call in calls]
    found = share(np.array(tokens) > 50, np.arange(len(tokens)))
    return found and plugins.Figure(value=found.value, ci=found.ci, n=found.n, method="Wilson score interval")
