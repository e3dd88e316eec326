"""A small fleet of two domains as files: enough to check, to train and to break."""

from __future__ import annotations

import json
from pathlib import Path

FLEET = """\
retailer: Corner Shop
today: 2026-06-15
support: {phone: 555-0100, hours: "9 to 5"}
domains: [returns, parcels]
wording:
  out_of_scope: I can help with {retailer} orders only.
  handed_off: A person will call you.
  unsure: I'm not sure.
  needs_identity: Please sign in.
  needs_order: Which of {orders}?
  no_orders: You have no orders.
  unknown_order: I can't find {order_id}.
  needs_product: Which product?
  no_evidence: I don't know.
"""
RETURNS = """\
domain: returns
title: Returns
intents:
  how_long:
    description: how long
    cacheable: shared
    passages: [the-window]
  how_to:
    description: how
    cacheable: never
    record: order
    passages: [sending-back]
    reply:
      default: Order {order_id} is {status}; you have {return_window_days} days.
rules:
  return_window_days: {value: 30, unit: days, passage: the-window}
"""
RETURNS_KNOWLEDGE = """\
# Returns

## The window
You can return anything within 30 days of its delivery.

## Sending back
Put it into its box, stick the label on it and hand it to the postman.
"""
PARCELS = """\
domain: parcels
title: Parcels
intents:
  how_fast: {description: how fast, cacheable: shared, passages: [delivery-time]}
  how_much: {description: how much, cacheable: shared, passages: [delivery-price]}
"""
PARCELS_KNOWLEDGE = """\
# Parcels

## Delivery time
A parcel takes three days.

## Delivery price
A parcel costs five dollars.
"""
ROWS = {
    "returns": {
        ("how_long", "the-window"): [
            "how long do i have to return it", "what is the return window", "days to send it back",
            "until when can i give it back", "is there a deadline for returns", "return period?",
            "how many days for returning", "time limit for returns",
        ],
        ("how_to", "sending-back"): [
            "how do i send it back", "where do i put the return label", "i want to return my lamp",
            "help me return this kettle", "steps for sending back an item", "give back my order",
            "start a return please", "what do i do to return",
        ],
    },
    "parcels": {
        ("how_fast", "delivery-time"): [
            "how fast do you deliver", "when will a parcel arrive", "delivery time?", "how long is shipping",
            "days until my package comes", "is delivery quick", "speed of shipping", "when does it get here",
        ],
        ("how_much", "delivery-price"): [
            "what does delivery cost", "shipping price", "how much is a parcel", "is shipping free",
            "postage fee?", "cost of sending", "delivery charges", "do i pay for shipping",
        ],
    },
}  # fmt: skip
ROUTER = {
    "hand_off": [
        "let me talk to a person",
        "human please",
        "i want to complain",
        "call me",
        "agent",
        "manager now",
    ],
    "out_of_scope": ["weather today", "who won the match", "sing a song", "2+2", "hello there", "asdf qwer"],
}


def write_fleet(folder: Path, **files: str) -> Path:
    """Write the fleet into `folder`; keyword arguments replace or add whole files (`returns/domain.yaml`)."""
    texts = {
        "fleet.yaml": FLEET,
        "returns/domain.yaml": RETURNS,
        "returns/knowledge.md": RETURNS_KNOWLEDGE,
        "parcels/domain.yaml": PARCELS,
        "parcels/knowledge.md": PARCELS_KNOWLEDGE,
    }
    for domain, intents in ROWS.items():
        rows = [
            {"text": text, "intent": intent, "passage": passage, "source": "own"}
            for (intent, passage), written in intents.items()
            for text in written
        ]
        texts[f"{domain}/utterances.jsonl"] = "\n".join(map(json.dumps, rows))
    rows = [{"text": text, "intent": intent} for intent, written in ROUTER.items() for text in written]
    texts["router/utterances.jsonl"] = "\n".join(map(json.dumps, rows))
    for name, text in {**texts, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
