"""What stands before a class or function that a plugin brings. Each looks at it at once, and says what is wrong."""

# ruff: noqa: PLC0415 - modules are loaded by the plugin that brings something to them
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

from .loading import bring
from .plugin import Brought, Sort
from .proofs import Place, summary

if TYPE_CHECKING:
    from ...agents import Agent
    from ...protocols.messages import Fact

RoleT = TypeVar("RoleT", bound="type[Agent]")
FactT = TypeVar("FactT", bound="type[Fact]")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
ClassT = TypeVar("ClassT", bound=type)
Range = tuple[float, float | None]
DECIDED = "decided"
"""A word of `until`, which no condition can be named."""


def role(name: str, about: str = "") -> Callable[[RoleT], RoleT]:
    """Bring a role: `role: NAME` of an agent makes it of the class that follows, a subclass of Agent.

    Facts of its own that the class `gives` come with it: logs that have them can be read again.

    Args:
        name: As scenarios have it.
        about: What it is, in a sentence; else the first line of the docstring.

    Raises:
        DeclarationError: it is no Agent, gives nothing or has no prompt, or the name is taken.
    """
    place = Place("role", name)

    def brought(made: RoleT) -> RoleT:
        from ...agents import Agent, Prompt

        place.before_a(made, Agent, "a subclass of fellowship.agents.Agent, such as one of Juror")
        if not made.gives:
            place.refuse("its class says in `gives` which facts it gives, and this one gives none")
        if not isinstance(getattr(made, "prompt", None), Prompt):
            place.refuse("its class has a `prompt`, made by fellowship.agents.Prompt")
        if not inspect.iscoroutinefunction(made.answer):
            place.refuse("its `answer` is async def")
        facts = [_fact(place, each) for each in sorted(made.gives, key=lambda each: each.__name__)]
        _bring(place, "role", made, summary(made, about), also=[each for each in facts if each is not None])
        return made

    return brought


def fact(made: FactT) -> FactT:
    """Bring a fact that a role emits beside those that it gives; `kind` names it in the log.

    Raises:
        DeclarationError: it is no Fact, its kind is not as in `kind: Literal["claims_checked"] = "claims_checked"`, or
            the kind is taken.
    """
    place = Place("fact", "it")
    brought = _fact(place, made)
    if brought is not None:
        bring([brought])
    return made


def _fact(place: Place, made: "type[Fact]") -> Brought | None:
    """Return what registers a fact; None for one that is known already."""
    from ...protocols.events import KINDS, known_kinds
    from ...protocols.messages import Fact

    place.before_a(made, Fact, "a subclass of fellowship.protocols.messages.Fact")
    kind = made.model_fields["kind"].default
    if not isinstance(kind, str):
        place.refuse(f'{made.__name__} says what it is: kind: Literal["some_word"] = "some_word"')
    if made.__module__.startswith("fellowship.protocols") or (kind in KINDS and KINDS[kind] is made):
        return None
    if kind in known_kinds():
        place.refuse(f"{made.__name__} has the kind {kind!r}, which is one of the package's own")
    return Brought("fact", kind, made, place.file, place.line, summary(made, ""))


def predicate(name: str, *, feeds: str | Iterable[str], about: str = "") -> Callable[[FunctionT], FunctionT]:
    """Bring a condition that holds or does not: `until: NAME`, `when: NAME`.

    The function that follows takes what was said, pairs of speaker and fact in the order they were said, and, where it
    takes two arguments, where the conversation stands; it returns True or False, and the same for the same.

    Args:
        name: As scenarios have it.
        feeds: The words of `for:` that ask for what it looks at, such as ballot; any of them will do.
        about: What it says, in a sentence; else the first line of the docstring.

    Raises:
        DeclarationError: no such function, no such words, or the name is taken.
    """
    place = Place("predicate", name)
    fed_by = _words(place, feeds)

    def brought(function: FunctionT) -> FunctionT:
        from ...protocols.stopping import Predicate

        guarded = place.guarded(_of_what_was_said(place, function))

        def holds(said: Any, standing: Any) -> bool:  # noqa: ANN401 - as of Predicate
            found: object = guarded(said, standing)
            if isinstance(found, bool):
                return found
            raise place.wrong(found, "True or False")

        _bring(place, "predicate", Predicate(holds, fed_by), summary(function, about))
        return function

    return brought


def quantity(
    name: str, *, feeds: str | Iterable[str], range: Range = (0.0, None), about: str = ""  # noqa: A002 - its word
) -> Callable[[FunctionT], FunctionT]:  # fmt: skip
    """Bring a number that conditions compare: `until: NAME >= 3`.

    The function that follows takes what a predicate's does, and returns a number, or None where there is none yet.

    Args:
        name: As scenarios have it.
        feeds: As of a predicate.
        range: The least value it can have and the greatest; None where there is none.
        about: As of a predicate.

    Raises:
        DeclarationError: as of a predicate, or the range is none.
    """
    place = Place("quantity", name)
    fed_by = _words(place, feeds)
    if range[1] is not None and not range[0] < range[1]:
        place.refuse(f"its range ends before it begins: {range[0]:g} to {range[1]:g}")

    def brought(function: FunctionT) -> FunctionT:
        from ...protocols.stopping import Quantity

        guarded = place.guarded(_of_what_was_said(place, function))

        def value(said: Any, standing: Any) -> float | None:  # noqa: ANN401 - as of Quantity
            found: object = guarded(said, standing)
            if found is None:
                return None
            if isinstance(found, bool) or not isinstance(found, (int, float)) or found != found:  # noqa: PLR0124 - NaN
                raise place.wrong(found, "a number or None")
            return float(found)

        _bring(place, "quantity", Quantity(value, fed_by, (float(range[0]), range[1])), summary(function, about))
        return function

    return brought


def _of_what_was_said(place: Place, function: Callable[..., object]) -> Callable[[Any, Any], object]:
    if place.name == DECIDED:
        place.refuse(f"{DECIDED} is a word of the language")
    both = place.takes(function, 1, 2, what="what was said, or that and where the conversation stands") > 1
    return function if both else lambda said, _: function(said)


def _words(place: Place, feeds: str | Iterable[str]) -> frozenset[str]:
    from ...protocols.errors import nearest
    from ..spec import Wanted

    words = frozenset([feeds] if isinstance(feeds, str) else feeds)
    known = get_args(Wanted)
    for word in sorted(words):
        if word not in known:
            place.refuse(f"`feeds` says what it looks at, and {word!r} is no word of `for`{nearest(word, known)}")
    return words


def rule(
    name: str, *, needs_scores: bool = False, version: int = 1, about: str = ""
) -> Callable[[FunctionT], FunctionT]:
    """Bring an aggregation rule: `decide: NAME`.

    The function that follows takes the votes that could be read, at least one, and returns a, b or tie.

    Args:
        name: As scenarios have it.
        needs_scores: Whether every vote must have scores.
        version: Raise it when the rule says something else than before: it is stored with each decision.
        about: What it says, in a sentence; else the first line of the docstring.

    Raises:
        DeclarationError: no such function, or the name is taken.
    """
    place = Place("rule", name)
    if version < 1:
        place.refuse("versions are counted from 1")

    def brought(function: FunctionT) -> FunctionT:
        from ...protocols.aggregation import Rule

        place.takes(function, 1, what="the votes")
        guarded = place.guarded(function)

        def decide(votes: Any) -> Any:  # noqa: ANN401 - as of Rule
            found: object = guarded(votes)
            if found not in ("a", "b", "tie"):
                raise place.wrong(found, "a, b or tie")
            return found

        _bring(place, "rule", Rule(decide, needs_scores=needs_scores, version=version), summary(function, about))
        return function

    return brought


def pick(
    name: str, *, needs: Literal["nothing", "scores", "matches"] = "nothing", about: str = ""
) -> Callable[[FunctionT], FunctionT]:
    """Bring a way to pick one of several drafts: `pick: NAME`.

    The function that follows is a generator. It takes the names of the drafts, in the order they were written, and the
    mean score of each that has one; it yields two drafts for each match that it wants decided, the one to be shown
    first in front, is sent the preference, and returns the draft that is picked.

    Args:
        name: As scenarios have it.
        needs: scores: of reviewers, or of the judges in `by`. matches: the judges in `by`.
        about: What it says, in a sentence; else the first line of the docstring.

    Raises:
        DeclarationError: no such function, or the name is taken.
    """
    place = Place("pick", name)

    def brought(function: FunctionT) -> FunctionT:
        from ...protocols.selection import Pick, Scores

        if not inspect.isgeneratorfunction(function):
            place.refuse("its function is a generator: it has a `yield`, be it never come to, and returns a draft")
        place.takes(function, 2, what="the drafts and their scores")

        def picked(drafts: Any, scores: Scores) -> Any:  # noqa: ANN401 - as of Pick
            try:
                found = cast("object", (yield from function(drafts, scores)))
            except Exception as error:
                raise place.failed(error) from error
            if found not in drafts:
                raise place.wrong(found, f"one of the drafts {', '.join(drafts)}")
            return found

        _bring(place, "pick", Pick(picked, needs), summary(function, about))
        return function

    return brought


def measure(
    name: str, *, of: Literal["ratings", "run"] = "ratings", version: int = 1, about: str = ""
) -> Callable[[FunctionT], FunctionT]:
    """Bring a measure: `fellowship measure NAME RUN|RATINGS`, and a line of every report.

    The function that follows takes Ratings, or the LogReader of a run, and returns a Figure, several by name, or None
    where there is nothing to say.

    Args:
        name: As the command line has it.
        of: What it is taken of.
        version: Raise it when the figure would be another than before.
        about: What it measures, in a sentence; else the first line of the docstring.

    Raises:
        DeclarationError: no such function, or the name is taken.
    """
    place = Place("measure", name)
    if of not in ("ratings", "run"):
        place.refuse(f"`of` is ratings or run, not {of!r}")

    def brought(function: FunctionT) -> FunctionT:
        from ..measures.plugged import Figure, Measure

        place.takes(function, 1, what="ratings" if of == "ratings" else "the log of a run")
        guarded = place.guarded(function)

        def figures(source: Any) -> dict[str, Figure]:  # noqa: ANN401 - as of Measure
            found: object = guarded(source)
            if found is None:
                return {}
            named = cast("Mapping[object, object]", found) if isinstance(found, Mapping) else {"": found}
            for each in named.values():
                if not isinstance(each, Figure):
                    raise place.wrong(each, "a Figure")
            return {str(key): value for key, value in named.items() if isinstance(value, Figure)}

        _bring(place, "measure", Measure(figures, of, version, summary(function, about)), summary(function, about))
        return function

    return brought


def exporter(name: str, about: str = "") -> Callable[[FunctionT], FunctionT]:
    """Bring a format: `fellowship export RUN --format NAME --to DIR`.

    The function that follows takes the pairs of a run that are kept, in the order of the data, and yields the rows of
    NAME.jsonl, one dict each; or it takes the pairs and a folder, and writes what it likes into that.

    Args:
        name: As the command line has it.
        about: What it writes, in a sentence; else the first line of the docstring.

    Raises:
        DeclarationError: no such function, or the name is taken, such as dpo.
    """
    place = Place("exporter", name)

    def brought(function: FunctionT) -> FunctionT:
        from ..preferences.exporters import RESERVED, Exporter

        if name in RESERVED:
            place.refuse("there is a format of that name already: one of the package's own")
        into_folder = place.takes(function, 1, 2, what="the pairs, or the pairs and a folder") > 1
        made = Exporter(function, into_folder, place.failed, place.wrong)
        _bring(place, "exporter", made, summary(function, about))
        return function

    return brought


def transport(name: str, *, provider: str | None = None, about: str = "") -> Callable[[ClassT], ClassT]:
    """Bring a way to models: `--transport NAME`, and all models of a provider that it alone serves.

    The class that follows has `async def send(self, endpoint, call, tier, hear=None)`, as Transport says, and is made
    without arguments, or with the keywords `proxied` and `stream`. Where it is an async context manager, it is opened
    before a run's first call and closed after its last.

    Args:
        name: As the command line has it.
        provider: Models `PROVIDER/...` are reached by it, with no address, no key and no option.
        about: What it is, in a sentence; else the first line of the docstring.

    Raises:
        DeclarationError: no such class, or a name is taken.
    """
    place = Place("transport", name)

    def brought(made: ClassT) -> ClassT:
        words = "a class with `async def send(self, endpoint, call, tier, hear=None)`"
        place.before_a(made, object, words)
        send: object = getattr(made, "send", None)
        if not inspect.iscoroutinefunction(send):
            place.refuse(f"it goes before {words}")
        if [*inspect.signature(send).parameters][1:] != ["endpoint", "call", "tier", "hear"]:
            place.refuse("its `send` takes endpoint, call, tier and hear, by these names")
        options = {"proxied", "stream"} & {*inspect.signature(made).parameters}

        def opened(**given: bool) -> Any:  # noqa: ANN401 - a Transport
            return made(**{key: value for key, value in given.items() if key in options})

        served = [] if provider is None else [_provider(place, provider)]
        _bring(place, "transport", opened, summary(made, about), also=served)
        return made

    return brought


def _provider(place: Place, provider: str) -> Brought:
    if "/" in provider or not provider:
        place.refuse(f"{provider!r} is no provider: it is what stands before the slash of provider/model")
    return Brought("provider", provider, place.name, place.file, place.line, f"models of {place.name}")


def _bring(place: Place, sort: Sort, thing: object, about: str, *, also: Iterable[Brought] = ()) -> None:
    """Register a thing and what comes with it."""
    bring([Brought(sort, place.name, thing, place.file, place.line, about), *also])
