"""A run played again, from its log alone: failed items retried, the whole replayed, one conversation forked."""

import json
from collections.abc import Container, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from ..agents import ROLES, Agent
from ..protocols.errors import DeclarationError
from ..protocols.identity import ConversationId, ItemId
from ..protocols.items import Item
from ..protocols.lifecycle import ItemOpened, RunStarted
from ..protocols.registry import Registry
from ..runtime.log import LogReader, being_written
from ..runtime.printable import plain
from ..runtime.recording import RecordedRun, Sifted
from ..runtime.tracing import logger
from .cut import Cut
from .declared import alias_of, models_of, scope_of, scopes
from .directory import ABOUT, LOG, PLUGINS, RESULTS, Earlier, compare, look_back, noted, prepare, refused
from .loading import set_part, validate
from .outcomes import Outcome, Status, status, write_results
from .planning import plan
from .plugins.playing import prove_there
from .run import carry_on
from .settings import Settings
from .source import Source
from .spec import Scenario, Sweep
from .steps import Plan, Playable, Swept, Variant


def played(
    reader: LogReader,
    *,
    models: Mapping[str, str] | None = None,
    changes: Sequence[str] = (),
    variant: str | None = None,
    roles: Registry[type[Agent]] = ROLES,
) -> Playable:
    """Return the plan that a run was played by.

    Args:
        reader: The run's log.
        models: Models in place of those that played: alias to provider/model; the alias `*` stands for all.
        changes: `PATH=VALUE` each: sets a part of the scenario, as in `agents.critic.persona=scientist`.
        variant: The only one that is wanted, of a sweep.
        roles: What agents can be.

    Raises:
        DeclarationError: the log does not say what was played, or the changes are wrong.
    """
    noted = json.loads(reader.meta(PLUGINS) or "{}")
    return remade(_record(reader), noted, str(reader.path.parent), models, changes, variant, roles)


def remade(
    record: dict[str, Any],
    noted: Mapping[str, Mapping[str, Any]],
    run: str,
    models: Mapping[str, str] | None = None,
    changes: Sequence[str] = (),
    variant: str | None = None,
    roles: Registry[type[Agent]] = ROLES,
) -> Playable:
    """Return the plan that a record is of.

    Args:
        record: What decides what a run says, as its log has it.
        noted: Where its plugins come from.
        run: Its directory, for errors.
        models: As for `played`; so are changes, variant and roles.
        changes: See there.
        variant: See there.
        roles: See there.

    Raises:
        DeclarationError: as `played`.
    """
    name = f"the scenario of {run}"
    prove_there(record.get("plugins", {}), noted, run)
    if "variants" not in record:
        return _made(record, name, models, changes, roles)
    declared = validate(Source(name, record["scenario"]))
    assert isinstance(declared, Sweep)  # noqa: S101 - only a sweep has variants
    records: dict[str, dict[str, Any]] = record["variants"]
    chosen = records if variant is None else {variant: records[variant]}
    return Swept(
        declared,
        {
            each: Variant(_made(played, f"{name}, {each}", models, changes, roles), played["over"])
            for each, played in chosen.items()
        },
    )


def _made(
    record: dict[str, Any],
    name: str,
    models: Mapping[str, str] | None,
    changes: Sequence[str],
    roles: Registry[type[Agent]],
) -> Plan:
    source = Source(name, _with_models(record))
    as_written = replace(source, document=record["scenario"])
    for change in changes:
        set_part(source.document, change)
        try:
            set_part(as_written.document, change)
        except DeclarationError:  # a part of a model's settings that it was written without
            as_written = source
    made = plan(_scenario(source), source=source, models=models, roles=roles)
    return replace(made, scenario=_scenario(as_written))  # models are told beside it


def _scenario(source: Source) -> Scenario:
    found = validate(source)
    if not isinstance(found, Scenario):
        raise DeclarationError(f"{source.name} is a sweep")
    return found


def _record(reader: LogReader) -> dict[str, Any]:
    text = reader.meta("played")
    if text is None:
        raise DeclarationError(
            f"{reader.path.parent} does not say what was played: its first start broke off too early"
        )
    record: dict[str, Any] = json.loads(text)
    return record


def _with_models(record: dict[str, Any]) -> dict[str, Any]:
    """Return the scenario with the models that played in the place of those it was written with."""
    document: dict[str, Any] = json.loads(json.dumps(record["scenario"]))
    written = models_of(record["scenario"])
    for name, settings in record["models"].items():
        scope, declared = scope_of(document, record, name)
        agent = scope["agents"][declared]
        alias = alias_of(written if scope is document else scope.get("models", {}), agent)
        if alias not in written:
            agent["model"] = settings["model"]
            continue
        held = next(each for each in scopes(document) if alias in each.get("models", {}))
        held["models"][alias] = settings if name == declared else _as_declared(settings, written, alias)
    return document


def _as_declared(settings: dict[str, Any], written: Mapping[str, Any], alias: str) -> dict[str, Any]:
    """Return the settings of one of several agents less the number that tells its answers from the others'."""
    found: Any = alias
    while isinstance(found, str) and found in written:
        found = written[found]
    sample = found.get("sample") if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - JSON
    return {
        **{key: value for key, value in settings.items() if key != "sample"},
        **({"sample": sample} if sample is not None else {}),
    }


def about(reader: LogReader) -> dict[str, str]:
    """Return what was noted of a run: where its data and its endpoint are."""
    said: dict[str, str] = json.loads(reader.meta(ABOUT) or "{}")
    return said


def _seeded(settings: Settings, record: dict[str, Any]) -> Settings:
    return replace(settings, seed=record["seed"])


async def retry(run: Path, settings: Settings | None = None, *, roles: Registry[type[Agent]] = ROLES) -> Status:
    """Play a run's failed items again, and return its state at the end.

    A conversation goes on at the message that failed; where no message did, it is held anew. The failure counts until
    there is another outcome. A retry that was broken off goes on; where only its results are missing, they are written.
    Where changes are accepted, all whose outcome they affect are played again, too.

    Raises:
        DeclarationError: there is no run, or it would be played otherwise than before, prompts included.
        LogError: the log cannot be read or written.
    """
    settings = settings or Settings()
    with LogReader(run / LOG) as reader:
        made = played(reader, roles=roles)
        settings = _seeded(settings, _record(reader))
        earlier = look_back(reader)
        earlier.changes = compare(made, settings.seed, reader)
        earlier.replanned = bool(earlier.changes)
        if earlier.changes and not settings.accept_changes:
            raise refused(earlier, run)
        started, settings = reader.newest("run_started"), replace(settings, about=about(reader))
        items = list(_failed(reader, earlier))
        if not items:
            if being_written(run / LOG):
                raise DeclarationError(f"{run} is being played by another process")
            logger().warning("nothing_to_retry", run=reader.run_id(), path=plain(str(run)))
            now = status(reader, str(run), write_results(reader, run / RESULTS))
            if now.state != "broken off":
                return now
    for _, item in items:
        if item.id in earlier.failures:
            earlier.left[item.id] = earlier.failures[item.id]
            earlier.forget(item.id)
    start = started.message() if started is not None else None
    count = start.items if isinstance(start, RunStarted) else len(items)
    with closing(_affected(run, earlier, frozenset(earlier.ended))) as affected:  # a run that stops leaves it half read
        return await carry_on(made, chain(items, affected), run, settings, earlier, count)


def _failed(reader: LogReader, earlier: Earlier) -> Iterator[tuple[int, Item]]:
    """Return the failed items, those that a retry has begun and not ended, and those that changes have reopened.

    The failure of those that were begun still counts.
    """
    wanted = {left.conversation for left in earlier.failures.values()}
    for item, left in earlier.left.items():
        if left.outcome is not None or left.anew or left.conversation != f"{item}~1":
            wanted.add(left.conversation)
    return _items_of(reader, wanted) if wanted else iter(())


def _affected(run: Path, earlier: Earlier, ended: Container[ItemId]) -> Generator[tuple[int, Item], None, None]:
    """Return the items that had an outcome and have none any more, now that the changes are taken in."""
    wanted = {left.conversation for item, left in earlier.left.items() if item in ended}
    if wanted:
        with LogReader(run / LOG) as reader:
            yield from _items_of(reader, wanted)


def _items_of(reader: LogReader, wanted: Container[ConversationId]) -> Iterator[tuple[int, Item]]:
    """Return the items that some conversations were opened for."""
    for event in reader.events(kinds=("item_opened",)):
        opened = event.message()
        if event.conversation in wanted and isinstance(opened, ItemOpened):
            yield opened.number, opened.item


MOST_DIFFERING = 10
"""Outcomes shown of those that a replay changes."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to."""

    status: Status
    outcomes: int
    """Outcomes that were compared."""
    differing: tuple[tuple[Outcome | None, Outcome | None], ...]
    """Those that differ: recorded, and replayed; the first few."""

    def document(self, run: Path, out: Path | None) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "run": str(run),
            "out": None if out is None else str(out),
            "outcomes": self.outcomes,
            "calls": self.status.calls,
            "same": not self.differing,
            "differing": [
                {"recorded": before and asdict(before), "replayed": after and asdict(after)}
                for before, after in self.differing
            ],
        }


async def replay(
    run: Path, out: Path, settings: Settings | None = None, *, roles: Registry[type[Agent]] = ROLES
) -> Replayed:
    """Play a whole run again from its log, with no calls, into a directory of its own, and compare the outcomes.

    Items without an outcome are left out.

    Raises:
        DeclarationError: there is no run, or `out` is there already.
        CassetteMiss: the run asks today what was not recorded: a prompt of the package has changed since.
        LogError: a log cannot be read or written.
    """
    with LogReader(run / LOG) as reader:
        made, earlier = played(reader, roles=roles), look_back(reader)
        prepare(made, (), _fresh(out), 0)
        origin = {**about(reader), "replayed_from": str(run)}
        recorded = RecordedRun(reader, whole=True, forked="forked_at" in about(reader))
        settings = _seeded(settings or Settings(), _record(reader))
        settings = replace(settings, cassette=recorded, fit="exact", about=origin)
        items = _ended(reader, recorded, earlier)
        done = await carry_on(made, items, out, settings, Earlier(), len(earlier.ended))
        with TemporaryDirectory() as folder:
            recorded_results = Path(folder) / RESULTS
            write_results(reader, recorded_results)
            differing = tuple(islice(_differing(recorded_results, out / RESULTS), MOST_DIFFERING))
    return Replayed(done, len(earlier.ended), differing)


def _differing(before: Path, after: Path) -> Iterator[tuple[Outcome | None, Outcome | None]]:
    """Return the outcomes that differ in two files of results, byte for byte."""
    with before.open("rb") as one, after.open("rb") as other:
        for was, is_now in zip_longest(one, other):
            if was != is_now:
                yield _read(was), _read(is_now)


def _read(line: bytes | None) -> Outcome | None:
    return Outcome(**orjson.loads(line)) if line else None


def _fresh(out: Path) -> Path:
    if (out / LOG).exists():
        raise DeclarationError(f"{out} holds a run already: choose another --out")
    return out


def _ended(reader: LogReader, recorded: RecordedRun, earlier: Earlier) -> Iterator[tuple[int, Item]]:
    """Return the items that have an outcome, in the order they were begun."""
    for event in reader.events(kinds=("item_opened",)):
        opened = event.message()
        if not isinstance(opened, ItemOpened) or opened.item.id not in earlier.ended:
            continue
        if recorded.newest(opened.item.id) == event.conversation:
            yield opened.number, opened.item


async def fork(
    run: Path,
    at: int,
    out: Path,
    settings: Settings | None = None,
    *,
    models: Mapping[str, str] | None = None,
    changes: Sequence[str] = (),
    roles: Registry[type[Agent]] = ROLES,
) -> Status:
    """Hold one conversation of a run again from an event on, in a directory of its own; called again, it goes on.

    What had been said before the message that the event is part of stands as said, whoever would say something else
    now; that message, and all that follow, are said anew.

    Args:
        run: The run's directory.
        at: Sequence of the event, as `trace` shows it.
        out: The directory of the fork.
        settings: How it is carried out.
        models: As `played`.
        changes: As `played`.
        roles: What agents can be.

    Raises:
        DeclarationError: there is no such event, it is of no conversation, a change is wrong, or `out` is something
            else, such as a fork at another event.
        LogError: a log cannot be read or written.
    """
    with LogReader(run / LOG) as reader:
        event = next(reader.at([at]), None)
        if event is None:
            raise DeclarationError(f"{run} has no event {at}: its last is {reader.last()}")
        if not event.conversation:
            raise DeclarationError(
                f"event {at} ({event.kind}) is of the whole run: `fellowship trace RUN ITEM` shows others"
            )
        recorded = RecordedRun(reader, [event.conversation])
        sifted = recorded.sifted(event.conversation)
        number, item = _opened(sifted)
        made = played(reader, models=models, changes=changes, variant=item.variant, roles=roles)
        settings = _seeded(settings or Settings(), _record(reader))
        cut = Cut(recorded, event.conversation, sifted, at)
        origin = {**about(reader), "forked_from": str(run), "forked_at": str(at)}
        settings = replace(settings, cassette=cut, fit="as said", about=origin)
        _refuse_other_fork(out, run, at)
        earlier = prepare(made, [item], out, settings.seed, accept_changes=None)
        return await carry_on(made, [(number, item)], out, settings, earlier, 1)


def _refuse_other_fork(out: Path, run: Path, at: int) -> None:
    """Raise DeclarationError where a directory holds another run than this fork: it would not be gone on with."""
    if noted(out, ABOUT) is None:
        return
    with LogReader(out / LOG) as reader:
        before = about(reader)
    if "forked_at" not in before:
        raise DeclarationError(f"{out} holds a run that is no fork: choose another --out")
    if before["forked_at"] != str(at) or Path(before["forked_from"]).resolve() != run.resolve():
        was = f"{before['forked_from']} at event {before['forked_at']}"
        raise DeclarationError(f"{out} holds a fork of {was}, not of {run} at event {at}: choose another --out")


def variant_at(reader: LogReader, at: int) -> str | None:
    """Return the variant of a sweep that an event belongs to; None where there is no such event, or no sweep."""
    event = next(reader.at([at]), None)
    if event is None or not event.conversation:
        return None
    for begun in reader.events(event.conversation, kinds=("item_opened",)):
        opened = begun.message()
        if isinstance(opened, ItemOpened):
            return opened.item.variant
    return None


def _opened(sifted: Sifted) -> tuple[int, Item]:
    for event in sifted.events:
        opened = event.message()
        if isinstance(opened, ItemOpened):
            return opened.number, opened.item
    raise DeclarationError(f"the log has lost the beginning of {sifted.events[0].conversation!r}")
