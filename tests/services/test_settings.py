from __future__ import annotations

import pytest

from slmfleet.models.errors import SettingsFault
from slmfleet.services.settings import load_settings


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
