"""What an export came to: the files, how many candidates were lost on the way and why, and figures for the card."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from ...protocols.pairing import Data
from .judges import JudgeKappa

Format = Literal["dpo", "kto", "reward", "sft"]
FORMATS: tuple[Format, ...] = ("dpo", "kto", "reward", "sft")
DATA: tuple[Data, ...] = get_args(Data)


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
    implicit: bool = False
    """Whether the prompt stands within both answers."""
    notes: tuple[str, ...] = ()
    """What else is to be told: a split that is empty, a KTO data set with one label only."""
    digest: str = ""
    """Of the files. The card says it, since `datasets` keeps what it has loaded by the card and the folder's last name
    alone: without it, another export into a folder of that name would be loaded as the first was."""


class Margins(_Result):
    """How far the scores of kept pairs lie apart, in points of the judges' scale."""

    data: Data
    n: int
    """Pairs that have scores; a figure is None where there are none."""
    scale: int | None
    """The best score possible; None where pairs differ in it."""
    min: float | None
    lower_quartile: float | None
    median: float | None
    upper_quartile: float | None
    max: float | None
    mean: float | None
    mean_ci: tuple[float, float] | None
    """95 %; None where fewer than two items have scores."""
    mean_method: str = "normal approximation; standard error clustered by item (Liang and Zeger 1986)"


class Options(_Result):
    """What rows were chosen by: one for a whole folder, so that its data sets fit together."""

    margin: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """None: as the scenario says; so with the next two."""
    quorum: int | None = Field(default=None, ge=1)
    agreement: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    splits: dict[str, float] = {}
    """Share of every split but `train`."""
    seed: int = 0
    """Of the splits."""
    near_duplicates: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    """Likeness from which a prompt repeats an earlier one; None: not looked for."""
    not_in: tuple[str, ...] = ()
    """Evaluation sets, by name, whose prompts are left out."""
    variant: str | None = None
    """The only one of a sweep."""
    own_family: bool = False
    """Of answers that came with the data: whether a judge's word on those of its own family counts."""


class About(_Result):
    """What the card says of the data sets beyond what the run knows; no row follows from it."""

    license: str | None = None
    """As the hub names it, such as `cc-by-4.0`; None: nobody said."""
    languages: tuple[str, ...] = ()
    """ISO 639 codes of the texts; empty: nobody said."""
    benchmarks: dict[str, str] = {}
    """Name of each benchmark to its file or run, without the folder it lies in."""
    measured: tuple[JudgeKappa, ...] = ()
    """How far the judges agree with people there."""

    def after(self, before: "About") -> "About":
        """Return what is said once this was added to what was said before: what is said anew counts."""
        return About(
            license=self.license or before.license,
            languages=self.languages or before.languages,
            benchmarks={**before.benchmarks, **self.benchmarks},
            measured=(
                *(kappa for kappa in before.measured if kappa.benchmark not in self.benchmarks),
                *self.measured,
            ),
        )


class Exported(_Result):
    """All that export.json says of a folder of data sets."""

    run: str
    """Digest of what was played and of its data."""
    options: Options
    funnels: tuple[Funnel, ...]
    """One a data set."""
    margins: tuple[Margins, ...]
    """One a data set."""
    written: tuple[Written, ...]
    about: About = About()
