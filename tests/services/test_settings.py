from __future__ import annotations

import os
from pathlib import Path

import pytest

from slmfleet.models.errors import SettingsFault
from slmfleet.services.settings import Settings, embedded_url, load_settings, set_ray_environment


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "shop.example"])
def test_an_address_others_can_reach_needs_keys(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsFault, match="SLMFLEET_API_KEYS"):
        load_settings(host=host)
    monkeypatch.setenv("SLMFLEET_API_KEYS", "one, two")
    assert load_settings(host=host).api_key_set() == {"one", "two"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert not load_settings(host=host).api_key_set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PLACEMENT", "nowhere"),
        ("MAX_BATCH", "many"),
        ("TOKEN_SECRET", "short"),
        ("SESSION_TTL_S", "0"),
        ("SESSIONS_MAX", "0"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"SLMFLEET_{name}", value)
    with pytest.raises(SettingsFault, match=f"SLMFLEET_{name}"):
        load_settings()


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMFLEET_API_KEYS", "very-secret-key")
    monkeypatch.setenv("SLMFLEET_TOKEN_SECRET", "s" * 40)
    assert "very-secret" not in repr(load_settings())
    assert "ssss" not in repr(load_settings())


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description[0].isupper() or description[0] == "`"
    assert description.endswith(".")
    for unit, word in {"_s": "econds", "_bytes": "ytes", "_watts": "watts", "_kwh": "kWh"}.items():
        assert not name.endswith(unit) or word in description, f"{name}: the unit is not named"


def test_an_override_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLMFLEET_PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings(port=None).port == 9000
    assert load_settings(port=9001).port == 9001


def test_the_cache_needs_a_redis_url() -> None:
    with pytest.raises(SettingsFault, match=r"SLMFLEET_REDIS_URL: should start with one of redis://"):
        load_settings(redis_url="http://127.0.0.1")


def test_there_is_no_embedded_server_before_one_was_started(tmp_path: Path) -> None:
    assert embedded_url(tmp_path, "cache") is None


def test_what_is_set_in_the_environment_stays_for_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"RAY_SERVE_HAPROXY_NBTHREAD": "4"})
    set_ray_environment(RAY_EXAMPLE="1")
    assert os.environ["RAY_SERVE_HAPROXY_NBTHREAD"] == "4"
    assert os.environ["RAY_EXAMPLE"] == os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
