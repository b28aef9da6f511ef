"""What is a secret, in which forms it is found, and what must never be taken for one."""

import json
import re
import string
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import ModelRefused
from fellowship.protocols.identity import ConversationId
from fellowship.protocols.lifecycle import ModelCalled
from fellowship.protocols.models import Completion, TokenLogprob, Usage
from fellowship.runtime import tracing
from fellowship.runtime.log import open_log
from fellowship.runtime.models import Endpoint
from fellowship.runtime.models.cache import open_cache
from fellowship.runtime.models.wire import clean, completion, refusal
from fellowship.runtime.secrecy import Secrets, hide, hiding, learn, secrets_of

KEY = "sk-Pl4nted0123456789"
ODD = string.ascii_letters + string.digits + "\"'\\/%+=&<>{}[]: \té€語🗝"


def forms(secret: str) -> dict[str, str]:
    """Return a secret as it may be met, without the help of what is tested."""
    raw = secret.encode()
    return {
        "plain": secret,
        "bearer": f"Bearer {secret}",
        "json": json.dumps(secret, ensure_ascii=False)[1:-1],
        "ascii json": json.dumps(secret)[1:-1],
        "json in json": json.dumps(json.dumps({"key": secret}))[1:-1],
        "quoted": quote(secret),
        "wholly quoted": quote(secret, safe=""),
        "quoted in small letters": re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        "quoted as a form": quote_plus(secret),
        "html": escape(secret),
        "base64": b64encode(raw).decode().rstrip("="),
        "url base64": urlsafe_b64encode(raw).decode().rstrip("="),
        "basic": b64encode(b":" + raw).decode(),
        "basic with a name": b64encode(b"me:" + raw).decode(),
        "quoted json": quote(json.dumps(secret)),
    }


def knowing(*secrets: str) -> Secrets:
    return secrets_of({f"SERVICE_{number}_API_KEY": secret for number, secret in enumerate(secrets)})


@given(st.text(ODD, min_size=8, max_size=60), st.text(ODD, max_size=40), st.text(ODD, max_size=40))
@example('say"no\\w/%é1', "", "")
@example("]bcdefgh", "", "bcdefgh")
@example("aaaabaaaab", "aaaa", "baaaab")
@settings(deadline=None, max_examples=150)
def test_no_form_of_a_secret_is_left_in_a_text(secret: str, before: str, after: str) -> None:
    secrets = knowing(secret)
    assume(secrets)
    for name, form in forms(secret.strip()).items():
        found = secrets.hide(f"{before}{form}{after}")
        assert not [other for other in forms(secret.strip()).values() if other in found], (name, found)
        body = json.dumps({"text": f"{before}{form}{after}", "number": 1.5}, ensure_ascii=False)
        kept = json.loads(secrets.hide_json(body))
        assert not [other for other in forms(secret.strip()).values() if other in kept["text"]], (name, kept)
        assert kept["number"] == 1.5


@given(st.text(ODD, max_size=200))
@settings(deadline=None, max_examples=50)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert knowing(KEY).hide(text) == text
    assert secrets_of({}).hide(text) == text
    body = json.dumps({"text": text})
    assert knowing(KEY).hide_json(body) == body


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", "sk-0123456789"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("HF_TOKEN", "hf_AbCdEfGhIjKl"),
        ("CLIENT_SECRET", "correct horse battery"),
        ("DB_PASSWORD", "Tr0ub4dor&3"),
        ("PASSWORD", "hunter2hunter2"),
        ("TOKEN", "0b6e5dd2-6f9a"),
        ("lower_api_key", "sk-0123456789"),
        ("VLLM_API_KEY", "supersecretword"),
    ],
)
def test_what_variables_for_keys_hold_is_secret_and_its_place_says_which(name: str, value: str) -> None:
    assert secrets_of({name: value}).hide(f"It is {value}.") == f"It is [secret {name}]."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X_API_KEY", "short7c"),
        ("X_API_KEY", "none"),
        ("OLLAMA_API_KEY", "ollama"),
        ("X_API_KEY", "EMPTY"),
        ("X_API_KEY", "not-needed"),
        ("X_API_KEY", "sk-no-key-required"),
        ("X_API_KEY", "<your-api-key>"),
        ("X_API_KEY", "xxxxxxxxxxxx"),
        ("X_API_KEY", "********"),
        ("USE_TOKEN", "true"),
        ("SSH_KEY", "/usr/bin"),
        ("SSH_KEY", "/home/me/.ssh/id_rsa"),
        ("SSH_KEY", "~/.ssh/id_ed25519"),
        ("TLS_KEY", "C:\\certificates\\key.pem"),
        ("MAX_TOKEN", "16384000"),
        ("MAX_TOKEN", "1_000_000.5"),
        ("START_KEY", "2025-08-31"),
        ("SORT_KEY", "created_at"),
        ("PARTITION_KEY", "conversation"),
        ("CSRF_TOKEN", "x-csrf-token"),
        ("DB_PASSWORD", "postgres"),
        ("DB_PASSWORD", "password"),
        ("AUTH_TOKEN", "https://login.example/oauth/token"),
        ("HOME", "/home/somebody-0123"),
        ("KEYBOARD", "sk-0123456789"),
        ("MONKEY", "sk-0123456789"),
        ("SERVICE_BASE_URL", "https://api.example/v1?version=2024-10-21"),
    ],
)
def test_what_is_no_secret_is_never_taken_out_of_a_text(name: str, value: str) -> None:
    secrets = secrets_of({name: value})
    assert not secrets
    assert secrets.hide(f"a {value} b") == f"a {value} b"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://me:pass-word-1@host/v1", "pass-word-1"),
        ("https://me:p%40ss-word-1@host/v1", "p@ss-word-1"),
        ("https://t0ken-of-mine@host/v1", "t0ken-of-mine"),
        ("https://host/v1?api-key=k3y-of-mine&version=1", "k3y-of-mine"),
        ("https://host/v1?x=1#access_token=k3y-of-mine", "k3y-of-mine"),
    ],
)
def test_what_is_secret_in_an_address_is_found(url: str, secret: str) -> None:
    for secrets in (secrets_of({"https_proxy": url}), secrets_of({"X_BASE_URL": url}), secrets_of({}, [url])):
        assert secret not in secrets.hide(f"no connection to {url}: {secret}, {b64encode(secret.encode()).decode()}")
        assert "host" in secrets.hide(url)


def test_the_first_and_last_letters_that_a_provider_shows_stay() -> None:
    words = f"Incorrect API key provided: {KEY[:4]}********{KEY[-4:]}"
    assert knowing(KEY).hide(words) == words


def test_of_a_secret_that_begins_as_another_one_nothing_is_left() -> None:
    assert knowing(KEY, f"{KEY}-longer-1").hide(f"{KEY}-longer-1, {KEY}") == (
        "[secret SERVICE_1_API_KEY], [secret SERVICE_0_API_KEY]"
    )


def test_half_a_secret_at_the_end_of_what_was_cut_off_is_hidden() -> None:
    secrets = knowing(KEY)
    for size in range(5, len(KEY)):
        assert secrets.hide_cut(f"it is {KEY[:size]}") == "it is [secret SERVICE_0_API_KEY]"
        assert secrets.hide_cut(f"{KEY[-size:]} it is") == "[secret SERVICE_0_API_KEY] it is"
    assert secrets.hide_cut(f"it is {KEY[:4]}") == f"it is {KEY[:4]}"
    assert secrets.hide_cut("it is nothing") == "it is nothing"


def test_the_lines_of_a_private_key_are_secret_one_by_one() -> None:
    lines = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0B", "AQEFAASCBKcwggSjAgEAAoIB", "-----END-----"]
    secrets = secrets_of({"TLS_PRIVATE_KEY": "\n".join(lines)})
    assert secrets.hide(f"> {lines[1]}") == "> [secret TLS_PRIVATE_KEY]"
    assert lines[2] not in secrets.hide(" ".join(lines))


def test_secrets_are_known_to_what_is_called_within_and_to_nobody_else() -> None:
    with hiding(knowing(KEY)):
        learn("a-key-that-turned-up-1")
        assert hide(f"{KEY} a-key-that-turned-up-1") == "[secret SERVICE_0_API_KEY] [secret]"
    assert hide(KEY) == KEY


async def test_a_log_that_hides_has_no_secret_in_body_text_or_note_and_tokens_do_not_spell_it(tmp_path: Path) -> None:
    odd = 'sk-"Pl4nted"\\0123456789'
    tokens = tuple(TokenLogprob(token=letter, logprob=0.0) for letter in odd)
    called = ModelCalled(
        model="acme/m", messages=(("user", "digest"),), settings={"temperature": 0.0}, text=f"ü {odd}",
        logprobs=tokens, attempts=(),
    )  # fmt: skip
    async with open_log(tmp_path / "run.db", hide=knowing(odd).hide_json) as log:
        sequence = log.append(called, sender="judge", conversation=ConversationId("i~1"))
        log.keep("digest", f"Say {odd}")
        log.note(live=json.dumps({"words": f"so {odd}"}))
        await log.durable(sequence)
        (event,) = log.events()
        message = event.message()
        assert isinstance(message, ModelCalled)
        assert (message.text, message.logprobs) == ("ü [secret SERVICE_0_API_KEY]", None)
        assert log.text("digest") == "Say [secret SERVICE_0_API_KEY]"
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Pl4nted" not in written
    assert b"so [secret SERVICE_0_API_KEY]" in (tmp_path / "run.db").read_bytes()


async def test_a_cached_answer_has_no_secret_and_is_found_again(tmp_path: Path) -> None:
    with hiding(knowing(KEY)):
        async with open_cache(tmp_path / "answers.db") as cache:
            cache.put(b"where", Completion(f"so {KEY}", "stop", "m", Usage(), reasoning=f"as {KEY}"))
        async with open_cache(tmp_path / "answers.db") as cache:
            known = cache.get(b"where")
    assert known is not None
    assert (known.text, known.reasoning) == ("so [secret SERVICE_0_API_KEY]", "as [secret SERVICE_0_API_KEY]")
    assert KEY.encode() not in (tmp_path / "answers.db").read_bytes()


@pytest.fixture
def bare_structlog() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("as_json", [True, False])
def test_lines_for_people_and_machines_have_no_secret_whatever_sort_of_fact_it_is_in(
    as_json: bool, capsys: pytest.CaptureFixture[str], bare_structlog: None
) -> None:
    tracing.configure(json=as_json)
    log = tracing.logger().bind(run=f"/runs/{KEY}")
    with hiding(knowing(KEY)):
        try:
            int(KEY)
        except ValueError as error:
            log.exception("odd", error=error, headers={"api-key": KEY}, parts=[KEY, 1], path=Path(KEY), number=7)
    shown = capsys.readouterr().err
    assert KEY not in shown
    assert shown.count("[secret SERVICE_0_API_KEY]") == 6
    assert "number=7" in shown or '"number": 7' in shown


@pytest.mark.parametrize("body", [json.dumps({"error": {"message": "{}"}}), "<p>{}</p>", "Not accepted: {}"])
def test_the_words_of_an_endpoint_are_rid_of_its_key_where_they_become_an_error(body: str) -> None:
    endpoint = Endpoint("acme/m", "m", "http://127.0.0.1:9/v1", key=KEY)
    for form in forms(KEY).values():
        error = refusal(400, body.replace("{}", json.dumps(form)[1:-1]).encode(), {}, endpoint)
        assert KEY not in str(error)
        assert "[secret]" in str(error)


def test_a_key_on_which_long_words_are_cut_off_does_not_stay_in_part() -> None:
    endpoint = Endpoint("acme/m", "m", "http://127.0.0.1:9/v1", key=KEY)
    for spaces in range(1570, 1605):
        error = refusal(500, b"so" + b" " * spaces + KEY.encode() + b" and more" * 99, {}, endpoint)
        assert KEY[:6] not in str(error)
    for letters in range(370, 402):
        assert KEY[:6] not in clean("." * letters + KEY, endpoint)


def test_a_model_that_declines_in_long_words_does_not_tell_half_a_secret() -> None:
    message = {"role": "assistant", "content": None, "refusal": "." * 390 + KEY}
    reply = {"id": "", "object": "chat.completion", "created": 0, "model": "m"}
    reply |= {"choices": [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}]}
    with hiding(knowing(KEY)), pytest.raises(ModelRefused) as caught:
        completion(json.dumps(reply).encode())
    assert KEY[:6] not in str(caught.value)
    assert "[secret" in str(caught.value)
