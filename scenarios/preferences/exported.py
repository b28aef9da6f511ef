"""What an export came to: the files, how many candidates were lost on the way and why, and figures for the card."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from ...protocols.pairing import Data

Format = Literal["dpo", "kto", "reward", "sft"]
FORMATS: tuple[Format, ...] = ("dpo", "kto", "reward", "sft")


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Step(_Result):
    """One step of the funnel."""

    step: str
    """What happens there, such as `judged`, `margin`, `duplicates`."""
    lost: int
    left: int
    why: str = ""
    """In words, where the name does not tell."""


class Funnel(_Result):
    """From candidates to rows of one data set: `left` of a step is `left` of the one before less `lost`."""

    data: Data
    items: int
    """Items of the run."""
    items_failed: int
    items_open: int
    """That have no outcome yet."""
    items_without: int
    """That were played and made no candidate."""
    candidates: int
    """Pairs that could be; single labels are counted in `labels`."""
    labels: int
    """Texts that could be labelled alone."""
    steps: tuple[Step, ...]
    """Of pairs and single labels together, each with what was lost there."""
    kept: int


class Balance(_Result):
    """Of a KTO data set: how many completions are desirable."""

    desirable: int
    undesirable: int
    desirable_weight: float
    """Suggested for trl's KTOConfig: weight times count of desirable to that of undesirable lies between 1:1 and 4:3
    (Ethayarajh et al. 2024, arXiv 2402.01306)."""
    undesirable_weight: float


class Written(_Result):
    """One configuration of the data set folder: one format of one data set."""

    config: str
    """As in `generation-dpo`."""
    data: Data
    format: Format
    files: dict[str, str]
    """Split to file, relative to the folder."""
    rows: dict[str, int]
    """Split to rows."""
    prompts: dict[str, int]
    """Split to different prompts."""
    left_out: dict[str, int] = {}
    """Pairs or labels that this format cannot say, and why: `no scores` of reward, `contradictory` of kto."""
    balance: Balance | None = None
    """Of KTO."""
