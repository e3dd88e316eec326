"""JSON bodies around questions and answers."""

from __future__ import annotations

from slmfleet.services.schemas import name_by_title


def test_schemas_are_named_by_their_titles_wherever_they_are_referred_to() -> None:
    document = {
        "info": "Slot is a word here",
        "components": {
            "schemas": {
                "Part": {"title": "PartBody", "items": {"$ref": "#/components/schemas/Slot"}},
                "Slot": {"title": "SlotBody"},
                "Untitled": {"items": {"$ref": "#/components/schemas/Untitled"}},
            }
        },
    }
    assert name_by_title(document) == {
        "info": "Slot is a word here",
        "components": {
            "schemas": {
                "PartBody": {"title": "PartBody", "items": {"$ref": "#/components/schemas/SlotBody"}},
                "SlotBody": {"title": "SlotBody"},
                "Untitled": {"items": {"$ref": "#/components/schemas/Untitled"}},
            }
        },
    }
