"""What the tables of an index are."""

VERSION = 2
"""Of the tables; it grows whenever anything about them changes, also what the fold writes into them."""
HASH_BYTES = 8 * 1024**2
"""Words that are held before they are written: a slice's. By SQLite's own megabyte it takes twice as long. Beginnings
of words have no index of their own: with one, words would take two and a half times as long and as much room, and be
found no faster."""

TALK = (
    "id", "conversation", "item", "number", "variant", "prompt", "current", "newest", "gone", "outcome", "state",
    "verdict", "score_a", "score_b", "margin", "answer", "correct", "text", "error", "failure", "ended_s", "decision",
    "human", "messages", "rounds", "speakers", "votes", "unread", "disagreement", "moved", "calls", "attempts",
    "tokens", "paid", "unpriced", "cost", "began_s", "last_s", "seconds",
)  # fmt: skip
"""Columns of `talks`. A conversation is known by the sequence of its first event."""
KEYS: dict[str, str] = {
    "number": "number", "item": "item", "state": "state", "verdict": "verdict", "margin": "margin",
    "disagreement": "disagreement", "messages": "messages", "calls": "calls", "attempts": "attempts",
    "tokens": "tokens", "cost": "cost", "seconds": "seconds", "began": "began_s",
}  # fmt: skip
"""The column of each way to sort."""
NULLABLE = frozenset({"verdict", "margin", "disagreement", "cost"})
"""Columns that may be empty; what is empty comes last in either direction."""


def order_of(key: str, end: str = "") -> str:
    """Return what conversations are put in order by: the key, then the item's number, then which was begun first."""
    return ", ".join(f"{column}{end}" for column in dict.fromkeys((key, "number", "id")))


TABLES = f"""
CREATE TABLE mark (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER, time_s REAL, digest TEXT);
CREATE TABLE facts (name TEXT PRIMARY KEY, value REAL) WITHOUT ROWID;
CREATE TABLE talks (id INTEGER PRIMARY KEY, conversation TEXT UNIQUE, {", ".join(TALK[2:])});
CREATE INDEX talks_of_item ON talks (item);
CREATE INDEX talks_by_current ON talks (current, state);
{"".join(f"CREATE INDEX talks_by_{name} ON talks ({order_of(key)}, current);" for name, key in KEYS.items())}
CREATE TABLE spoke (agent TEXT, talk INTEGER, PRIMARY KEY (agent, talk)) WITHOUT ROWID;
CREATE TABLE called (model TEXT, talk INTEGER, PRIMARY KEY (model, talk)) WITHOUT ROWID;
CREATE TABLE messages (sequence INTEGER PRIMARY KEY, talk INTEGER, speaker TEXT, kind TEXT, round INTEGER);
CREATE TABLE votes (sequence INTEGER PRIMARY KEY, talk INTEGER, voter TEXT, first TEXT, second TEXT, scale INTEGER,
    verdict TEXT, score_a REAL, score_b REAL, confidence REAL, ballots TEXT, fallen INTEGER, last INTEGER,
    moved INTEGER);
CREATE INDEX votes_of_talk ON votes (talk);
CREATE TABLE scores (sequence INTEGER PRIMARY KEY, talk INTEGER, judge TEXT, kind TEXT, draft TEXT, score REAL,
    scale INTEGER, fallen INTEGER);
CREATE INDEX scores_of_talk ON scores (talk);
CREATE TABLE outcomes (sequence INTEGER PRIMARY KEY, talk INTEGER, conversation TEXT, item TEXT, state TEXT,
    verdict TEXT, score_a REAL, score_b REAL, answer TEXT, correct INTEGER, text TEXT, error TEXT, failure TEXT,
    time_s REAL, unread INTEGER, aside INTEGER);
CREATE INDEX outcomes_of_item ON outcomes (item);
CREATE INDEX outcomes_of_talk ON outcomes (talk);
CREATE TABLE decisions (sequence INTEGER PRIMARY KEY, talk INTEGER, item TEXT, unread INTEGER, of_match INTEGER);
CREATE INDEX decisions_of_item ON decisions (item);
CREATE TABLE letters (conversation TEXT PRIMARY KEY, lost INTEGER) WITHOUT ROWID;
CREATE TABLE calls (model TEXT, agent TEXT, round INTEGER, calls INTEGER, failed INTEGER, attempts INTEGER,
    cached INTEGER, input INTEGER, output INTEGER, cost REAL, unpriced INTEGER, PRIMARY KEY (model, agent, round))
    WITHOUT ROWID;
CREATE TABLE tallies (name TEXT, key, count INTEGER, PRIMARY KEY (name, key)) WITHOUT ROWID;
CREATE VIRTUAL TABLE found USING fts5 (words, content='', detail=full, tokenize="unicode61 remove_diacritics 2");
INSERT INTO found (found, rank) VALUES ('hashsize', {HASH_BYTES});
"""  # noqa: S608 - constants
