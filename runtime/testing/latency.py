"""How long an endpoint takes: distributions, drawn from a source of chance that the endpoint seeds."""

import math
from collections.abc import Callable
from random import Random

Latency = Callable[[Random], float]
"""Draws the seconds that a reply takes."""


def constant(seconds: float) -> Latency:
    """Return a latency that is always the same."""
    return lambda _: seconds


def uniform(shortest_s: float, longest_s: float) -> Latency:
    """Return a latency that is anywhere between two bounds alike."""
    return lambda rng: rng.uniform(shortest_s, longest_s)


def lognormal(median_s: float, sigma: float) -> Latency:
    """Return a latency with a long tail: `sigma` is the standard deviation of its natural logarithm."""
    mean = math.log(median_s)
    return lambda rng: rng.lognormvariate(mean, sigma)


def exponential(mean_s: float) -> Latency:
    """Return the latency of something without memory."""
    rate = 1 / mean_s
    return lambda rng: rng.expovariate(rate)
