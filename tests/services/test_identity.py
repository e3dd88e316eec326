"""Tokens and keys: the rightful ones pass, anything else is refused without saying why."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmfleet.models.errors import SettingsFault, Unauthenticated
from slmfleet.services.identity import ApiKeys, Issuer, load_secret

SECRET = bytes(range(32))
OTHER = bytes(range(1, 33))
NOT_VALID = "The customer token is not valid. Please sign in again."
EXPIRED = "The customer token has expired. Please sign in again."
TOKEN = Issuer(SECRET).token("james_li_5688")
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good token; a change to None leaves the claim out."""
    now = int(time.time())
    good = {"sub": "ann", "iss": "slmfleet", "aud": "slmfleet", "iat": now, "exp": now + 60}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def refusal(token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        Issuer(SECRET).customer(token)
    return str(caught.value)


def encoded(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100))
def test_a_token_names_the_customer_it_was_issued_to(customer: str) -> None:
    issuer = Issuer(SECRET)
    assert issuer.customer(issuer.token(customer)) == customer


def test_a_token_lives_as_long_as_was_said() -> None:
    content = jwt.decode(Issuer(SECRET, ttl_s=90).token("ann"), options={"verify_signature": False})
    assert content["exp"] - content["iat"] == 90
    assert set(content) == {"sub", "iss", "aud", "iat", "exp"}


def test_every_changed_character_is_refused() -> None:
    for position, old in enumerate(TOKEN):
        for new in BASE64URL + ".=! ":
            if new != old:
                assert refusal(TOKEN[:position] + new + TOKEN[position + 1 :]) == NOT_VALID


@given(st.integers(0, len(TOKEN)), st.text(min_size=1, max_size=5))
def test_every_insertion_is_refused(position: int, inserted: str) -> None:
    assert refusal(TOKEN[:position] + inserted + TOKEN[position:]) == NOT_VALID


@given(st.integers(0, len(TOKEN) - 1))
def test_every_shortened_token_is_refused(length: int) -> None:
    assert refusal(TOKEN[:length]) == NOT_VALID


@given(st.one_of(st.text(), st.text(alphabet=BASE64URL + ".", max_size=300), st.just("\ud800")))
def test_no_text_is_taken_for_a_token(text: str) -> None:
    assert refusal(text) == NOT_VALID


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "iss", "aud"])
def test_every_claim_is_needed(claim: str) -> None:
    assert Issuer(SECRET).customer(jwt.encode(claims(), SECRET, "HS256")) == "ann"
    assert refusal(jwt.encode(claims(**{claim: None}), SECRET, "HS256")) == NOT_VALID


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody"},
        {"aud": "somewhere"},
        {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200},
        {"exp": "soon"},
        {"nbf": int(time.time()) + 3600},
        {"sub": ""},
    ],
)
def test_wrong_claims_are_refused(change: dict[str, Any]) -> None:
    assert refusal(jwt.encode(claims(**change), SECRET, "HS256")) == NOT_VALID


def test_an_expired_token_is_told_so_but_a_forged_one_is_not() -> None:
    past = {"iat": int(time.time()) - 120, "exp": int(time.time()) - 60}
    assert refusal(jwt.encode(claims(**past), SECRET, "HS256")) == EXPIRED
    assert refusal(jwt.encode(claims(**past), OTHER, "HS256")) == NOT_VALID
    assert refusal(Issuer(SECRET, ttl_s=-1).token("ann")) == EXPIRED


def test_other_algorithms_and_secrets_are_refused() -> None:
    body = encoded(claims())
    assert refusal(jwt.encode(claims(), OTHER, "HS256")) == NOT_VALID
    assert refusal(jwt.encode(claims(), SECRET * 2, "HS512")) == NOT_VALID
    for name in ("none", "None", "NONE", "nOnE", "", "HS384", "RS256", None, 1, ["HS256"]):
        header = encoded({"alg": name, "typ": "JWT"})
        signature = TOKEN.rpartition(".")[2]
        for token in (f"{header}.{body}.", f"{header}.{body}", f"{header}.{body}.{signature}"):
            assert refusal(token) == NOT_VALID
    assert refusal(jwt.encode(claims(), "", "none")) == NOT_VALID


def test_oversize_and_deep_tokens_are_refused_quickly() -> None:
    started = time.perf_counter()
    deep = base64.urlsafe_b64encode(b"[" * 3_000).decode()
    assert refusal(f"{deep}.e30.e30") == NOT_VALID
    large = jwt.encode(claims(more="x" * 10_000), SECRET, "HS256")
    assert refusal(large) == NOT_VALID
    assert refusal("." * 10_000_000) == NOT_VALID
    assert time.perf_counter() - started < 1


def test_what_cannot_be_issued_is_an_error() -> None:
    with pytest.raises(ValueError, match="customer"):
        Issuer(SECRET).token("")
    with pytest.raises(ValueError, match="too long"):
        Issuer(SECRET).token("x" * 5_000)
    with pytest.raises(SettingsFault, match="32"):
        Issuer(SECRET[:31])


# The secret on disk


def test_a_secret_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token.secret"
    old = os.umask(0)
    try:
        secret = load_secret(path)
    finally:
        os.umask(old)
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_secret(path) == secret == path.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == ["token.secret"]
    assert load_secret(tmp_path / "another") != secret


def test_processes_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from slmfleet.services.identity import load_secret\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print([load_secret(Path(sys.argv[1]) / str(n)).hex() for n in range(200)])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", program, str(tmp_path)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    first, second = (process.communicate(timeout=60)[0] for process in started)
    assert [process.returncode for process in started] == [0, 0]
    assert first == second


def test_a_secret_that_is_short_or_out_of_reach_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x" * 31)
    for path in (tmp_path / "short", tmp_path / "short" / "below", tmp_path):
        with pytest.raises(SettingsFault, match="token secret"):
            load_secret(path)


# API keys


@given(st.frozensets(st.text(min_size=1), max_size=5), st.text())
def test_only_known_keys_pass(keys: frozenset[str], other: str) -> None:
    checked = ApiKeys(keys)
    assert checked.required == bool(keys)
    for key in keys:
        checked.check(key)
    if other not in keys:
        with pytest.raises(Unauthenticated):
            checked.check(other)


def test_no_key_and_a_wrong_key_are_told_apart_but_no_key_is_named() -> None:
    keys = ApiKeys(frozenset({"right"}))
    with pytest.raises(Unauthenticated, match="needed"):
        keys.check(None)
    for wrong in ("righ", "right ", "RIGHT", "\ud800", "x" * 1_000_000):
        with pytest.raises(Unauthenticated, match="not valid") as caught:
            keys.check(wrong)
        assert "right" not in str(caught.value)


def test_without_keys_every_key_is_refused() -> None:
    for key in (None, "", "any"):
        with pytest.raises(Unauthenticated):
            ApiKeys(frozenset()).check(key)


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def counting(a: bytes, b: bytes) -> bool:
        compared.append(len(a))
        return a == b

    monkeypatch.setattr("slmfleet.services.identity.hmac.compare_digest", counting)
    ApiKeys(frozenset({"a", "b", "c"})).check("a")
    assert compared == [32, 32, 32]
