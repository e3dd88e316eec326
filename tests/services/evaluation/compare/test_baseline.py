from __future__ import annotations

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.services.evaluation.compare.baseline import REFUSAL, prompt
from slmfleet.services.settings import SHOP_DIR


def test_the_prompt_has_the_passages_the_question_and_how_to_refuse() -> None:
    passages = load_fleet(SHOP_DIR).domains["returns"].passages[:2]
    system, user = prompt("Larkspur", passages, "how long?")
    assert (system["role"], user["role"]) == ("system", "user")
    assert "customers of Larkspur" in system["content"]
    assert REFUSAL in system["content"]
    for passage in passages:
        assert f"{passage.title}: {passage.text}" in user["content"]
    assert user["content"].endswith("Question: how long?")
