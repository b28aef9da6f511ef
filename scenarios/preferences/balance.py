"""Weights for a KTO data set whose labels are not as frequent as one another."""

from .exported import Balance

MOST = 133
"""trl's KTOTrainer warns where desirable ones weigh more than 1.33 times the others; the paper says 4:3."""


def balance(desirable: int, undesirable: int) -> Balance:
    """Return weights by which desirable completions weigh 1 to 1.33 times as much as undesirable ones.

    Equation 8 of Ethayarajh et al. 2024 (arXiv 2402.01306) asks for 1:1 to 4:3. Only what is too rare is given more
    weight, as little as will do, rounded up to hundredths. Where a label is missing no weight helps: both are 1.
    """
    up, down = 100, 100
    if desirable and undesirable:
        if desirable < undesirable:
            up = -(-100 * undesirable // desirable)
        elif 100 * desirable > MOST * undesirable:
            down = -(-10_000 * desirable // (MOST * undesirable))
    return Balance(
        desirable=desirable,
        undesirable=undesirable,
        desirable_weight=up / 100,
        undesirable_weight=down / 100,
    )
