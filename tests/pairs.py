"""What tests of exports share: pairs, made by hand or by chance, and a run's candidates as a fold would give them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from fellowship.protocols.items import Turn
from fellowship.protocols.pairing import REASONS, Data, Filters, Reason
from fellowship.scenarios.preferences.candidates import why_dropped
from fellowship.scenarios.preferences.pair import Ballot, Pair, Side


@dataclass
class Made:
    """Candidates that are there already."""

    pairs: Iterable[Pair]
    filters: Filters = field(default_factory=Filters)
    run: str = "r1"
    data: tuple[Data, ...] = ("generation", "workflow")
    items: int = 0
    failed: int = 0
    open: int = 0
    without: Mapping[Data, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def asked(self, pair: Pair) -> Filters:
        return self.filters


def side(text: str, name: str = "writer/1", score: float | None = 7.0, model: str | None = "acme/w") -> Side:
    return Side(event=name, agent="writer", model=model, text=text, round=1, score=score, prompt_digest="p1")


def user(text: str) -> tuple[Turn, ...]:
    return (Turn(role="user", content=text),)


def ballot(order: str = "chosen-first", model: str = "acme/j") -> Ballot:
    return Ballot("judge", model, order, "chosen", 8.0, 6.0)  # type: ignore[arg-type]


def pair(
    number: int = 0,
    prompt: str | None = None,
    chosen: Side | str | None = "good",
    rejected: Side | str | None = "bad",
    **more: object,
) -> Pair:
    facts: dict[str, object] = {
        "number": number,
        "item": f"i{number}",
        "variant": None,
        "data": "generation",
        "of": "answer",
        "prompt": user(f"Question {number}?" if prompt is None else prompt),
        "chosen": side(chosen, score=8.0) if isinstance(chosen, str) else chosen,
        "rejected": side(rejected, "writer/2", 6.0) if isinstance(rejected, str) else rejected,
        "margin": 2.0,
        "scale": 10,
        "votes": (1, 0, 0, 0),
        "ballots": (ballot(), ballot("rejected-first")),
    }
    return Pair(**{**facts, **more})  # type: ignore[arg-type]


# by chance

TEXT = st.text(
    st.one_of(st.sampled_from("ab \n\r\t\"'\\{}é你😀\u2028\x00|`"), st.characters(exclude_categories=["Cs"])),
    max_size=12,
)
NAME = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
SCORE = st.none() | st.integers(0, 20).map(lambda points: points / 2)


@st.composite
def sides(draw: st.DrawFn) -> Side:
    return Side(
        event=draw(NAME),
        agent=draw(NAME),
        model=draw(st.none() | NAME),
        text=draw(TEXT),
        round=draw(st.integers(0, 3)),
        score=draw(SCORE),
        cut_off=draw(st.booleans()),
        prompt_digest=draw(st.just("") | NAME),
    )


@st.composite
def pairs(draw: st.DrawFn, *, asked: Filters | None = None, labels: bool = True) -> Pair:
    """Return any pair there can be; with what was asked, `dropped` is as a fold would have it."""
    data: Data = draw(st.sampled_from(("generation", "workflow")))
    turns = st.tuples(st.sampled_from(("system", "user", "assistant")), TEXT)
    sort = st.sampled_from(("revision", "feedback"))
    chosen, rejected = draw(sides()), draw(sides())
    if labels and data == "workflow":
        alone = draw(st.sampled_from(("both", "good", "bad")))
        chosen, rejected = (None if alone == "bad" else chosen), (None if alone == "good" else rejected)
    number = draw(st.integers(0, 9))
    request = user(f"Question {number % 7}?")
    more = draw(st.lists(turns, max_size=2))
    votes = draw(st.tuples(*[st.integers(0, 3)] * 4))
    made = Pair(
        number=number,
        item=f"i{number}",
        variant=None,
        data=data,
        of="answer" if data == "generation" else draw(sort),
        prompt=request if data == "generation" else (*(Turn(role=role, content=said) for role, said in more), *request),
        chosen=chosen,
        rejected=rejected,
        margin=draw(SCORE),
        scale=draw(st.none() | st.just(10)),
        votes=votes,
        ballots=tuple(
            Ballot(
                judge=draw(NAME),
                model=draw(st.none() | NAME),
                order=draw(st.sampled_from(("chosen-first", "rejected-first", "alone"))),
                verdict=draw(st.sampled_from(("chosen", "rejected", "tie", "unread"))),
                score_chosen=draw(SCORE),
                score_rejected=draw(SCORE),
            )
            for _ in range(draw(st.integers(0, 2)))
        ),
        request=() if data == "generation" else request,
    )
    if asked is None:
        return made
    fixed: tuple[Reason | None, ...] = (None, None, None, *REASONS[:5])
    return dropped(made, draw(st.sampled_from(fixed)) or why_dropped(made, asked))


def dropped(made: Pair, why: Reason | None) -> Pair:
    return replace(made, dropped=why)
