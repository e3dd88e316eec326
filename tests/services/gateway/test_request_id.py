"""The id of a request: the client's where it is safe, else a new one."""

from __future__ import annotations

import re

import pytest

from slmfleet.services.gateway.request_id import HEADER, request_id_of


def test_a_safe_id_is_used() -> None:
    assert request_id_of([(b"accept", b"a"), (HEADER, b"A.b_c-9")]) == "A.b_c-9"


@pytest.mark.parametrize(
    "given", [[], [b""], [b"a b"], [b"x" * 129], [b"<script>"], ["é".encode()], [b"a", b"b"]]
)
def test_any_other_is_replaced_by_a_new_one(given: list[bytes]) -> None:
    ids = {request_id_of([(HEADER, value) for value in given]) for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
