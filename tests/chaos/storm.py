"""A storm over queue, consumers, broker and gateway, and its account: what was lost, what was said twice.

    python tests/chaos/storm.py --events 10000 --seconds 1200

Real processes: Valkey with an append-only file, a gateway with the shop's own models, three consumers. One
consumer is killed (SIGKILL) every 2 s; now and then the broker and the gateway are, and a consumer is paused
for longer than the time after which others take over what it has. Of the events some come twice, and one in
a hundred is poison.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from slmfleet.models.fleet.loading import load_fleet
from slmfleet.models.training.data import load_corpus
from slmfleet.services.embedded.ports import free_ports
from slmfleet.services.embedded.valkey import EmbeddedValkey
from slmfleet.services.evaluation.bench.load import bench_texts
from slmfleet.services.events.brokers.redis import FIELD, GROUP
from slmfleet.services.events.cloudevents import (
    ANSWERS,
    HANDOFFS,
    QUERIES,
    QUERY_RECEIVED,
    AnswerData,
    QueryData,
    data_of,
    key_of,
    make_event,
    read_event,
    serialized,
)
from slmfleet.services.events.dead_letters import DeadLetters
from slmfleet.services.events.redis_connection import retrying_client
from slmfleet.services.pipeline.default_parts import DefaultFactory
from slmfleet.services.settings import SHOP_DIR, load_settings

CONSUMERS = 3
KILL_EVERY_S = 2.0
RECLAIM_S = 3.0
PAUSE_S = 5.0
POISON = 0.01
TWICE = 0.05
CUSTOMER = "noah_brown_6181"
SOURCE = "storm"

GATEWAY = """
import sys
from concurrent.futures import ThreadPoolExecutor
import uvicorn
from slmfleet.services.pipeline.assembly import load_pipeline
from slmfleet.services.gateway.app import Gateway
from slmfleet.services.settings import load_settings
from slmfleet.services.pipeline.default_parts import DefaultFactory
settings, parts = load_settings(), DefaultFactory()
loaded = load_pipeline(settings, parts, ThreadPoolExecutor(1))
app = Gateway(settings, lambda: loaded, parts.customer_of(settings))
uvicorn.run(app, port=int(sys.argv[1]), log_level="critical")
"""
CLI = "from slmfleet.services.cli.main import app; app()"


class Process:
    """A program that is started again whenever it has ended."""

    def __init__(self, program: str, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self._command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.exits: Counter[int] = Counter()

    def keep_up(self) -> None:
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self.exits[code] += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        self.starts += 1

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def end(self) -> int | None:
        """Ask it to stop, and wait. Returns its exit code."""
        if self._process is None:
            return None
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@dataclass
class Account:
    """What the storm did, and what came of it."""

    seconds: float = 0.0
    events: int = 0
    deliveries: int = 0
    poison: int = 0
    answered: int = 0
    answers: int = 0
    lost: int = 0
    different_words: int = 0
    dead: dict[str, int] = field(default_factory=dict)
    poison_not_dead: int = 0
    dead_without_poison: int = 0
    disturbances: dict[str, int] = field(default_factory=dict)
    still_pending: int = 0
    queue_length: int = 0
    drain_exit_codes: list[int | None] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        faults = (
            self.lost,
            self.different_words,
            self.poison_not_dead,
            self.dead_without_poison,
            self.still_pending,
        )
        return not any(faults) and set(self.drain_exit_codes) == {0}

    def printed(self) -> str:
        did = ", ".join(f"{name} {count}" for name, count in self.disturbances.items())
        dead = ", ".join(f"{reason} {count}" for reason, count in sorted(self.dead.items())) or "none"
        return (
            f"{self.events} events and {self.poison} poison messages, delivered {self.deliveries} times, "
            f"in {self.seconds:.0f} s\n"
            f"disturbances: {did}\n"
            f"events answered                       {self.answered:>7}\n"
            f"answers published (some twice)        {self.answers:>7}\n"
            f"events lost                           {self.lost:>7}\n"
            f"events answered with different words  {self.different_words:>7}\n"
            f"dead letters                          {sum(self.dead.values()):>7}  {dead}\n"
            f"poison that is no dead letter         {self.poison_not_dead:>7}\n"
            f"good events among the dead letters    {self.dead_without_poison:>7}\n"
            f"left waiting or in hand               {self.still_pending:>7}\n"
            f"entries of the queue not trimmed      {self.queue_length:>7}\n"
            f"exit codes of the consumers, drained  {self.drain_exit_codes}"
        )


class Storm:
    """One storm in `folder`."""

    def __init__(
        self, folder: Path, events: int, seconds: float, seed: int, tell: Callable[[str], None]
    ) -> None:
        self._events = events
        self._seconds = seconds
        self._random = random.Random(seed)
        self._tell = tell
        self._broker = EmbeddedValkey("broker", folder / "valkey")
        self._url = self._broker.start()
        self._gateway_port, *health = free_ports(1 + CONSUMERS)
        state = {name: value for name, value in os.environ.items() if not name.startswith("SLMFLEET_")}
        environment = {
            **state,
            "SLMFLEET_STATE_DIR": str(folder),
            "SLMFLEET_BROKER_URL": self._url,
            "SLMFLEET_EVENT_RECLAIM_S": str(RECLAIM_S),
            "HF_HUB_OFFLINE": "1",
        }
        self._gateway = Process(GATEWAY, [str(self._gateway_port)], environment, folder / "gateway.log")
        url = f"http://127.0.0.1:{self._gateway_port}"
        self._consumers = [
            Process(
                CLI,
                ["consume", "--gateway", url, "--port", str(port)],
                environment,
                folder / f"consumer-{n}.log",
            )
            for n, port in enumerate(health)
        ]
        self._client = retrying_client(self._url)
        self._settings = load_settings(state_dir=folder)
        self._did: Counter[str] = Counter()
        self._published = 0
        self._good: set[str] = set()
        self._poison: set[bytes] = set()
        self._over = asyncio.Event()
        self._paused: set[int] = set()

    async def run(self) -> Account:
        """The storm, then quiet until everything is dealt with, then the account."""
        started = time.monotonic()
        texts = bench_texts(load_corpus(load_fleet(SHOP_DIR)))
        token = DefaultFactory().token_for(self._settings, CUSTOMER)
        self._gateway.keep_up()
        await self._until_gateway()
        began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(self._keep_up())
                storms = [
                    tasks.create_task(self._now_and_then(each, every_s))
                    for each, every_s in (
                        (self._kill_consumer, KILL_EVERY_S),
                        (self._pause_consumer, 9.0),
                        (self._kill_broker, 13.0),
                        (self._kill_gateway, 17.0),
                    )
                ]
                telling = tasks.create_task(self._progress(began))
                await self._publish(texts, token)
                remaining = self._seconds - (time.monotonic() - began)
                await asyncio.sleep(max(0.0, remaining))
                self._over.set()
                await asyncio.gather(*storms)
                await self._quiet(120.0)
                keeping.cancel()
                telling.cancel()
            drained = [await asyncio.to_thread(consumer.end) for consumer in self._consumers]
            account = await self._account()
            account.drain_exit_codes = drained
            account.seconds = time.monotonic() - started
            return account
        finally:
            for process in (*self._consumers, self._gateway):
                await asyncio.to_thread(process.end)
            await self._client.aclose()
            self._broker.stop()

    async def _until_gateway(self) -> None:
        async with httpx.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(f"http://127.0.0.1:{self._gateway_port}/readyz")).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)

    async def _publish(self, texts: list[str], token: str) -> None:
        """Every event, evenly over the time: some twice, some of an order, one in a hundred poison."""
        began = time.monotonic()
        for number in range(self._events):
            due = began + self._seconds * number / self._events
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._random.random() < POISON:
                await self._put(self._poisonous(number))
            text = self._random.choice(texts)
            data = QueryData(text=text)
            if self._random.random() < 0.1:
                data = QueryData(text="where is my order #W7678072?", token=token)
            event = make_event(QUERY_RECEIVED, data, id=str(number), source=SOURCE)
            self._good.add(key_of(event))
            body = serialized(event)
            await self._put(body)
            if self._random.random() < TWICE:
                await asyncio.sleep(self._random.choice((0.0, 0.05, 0.5)))
                await self._put(body)

    def _poisonous(self, number: int) -> bytes:
        body = self._random.choice(
            (
                b"\xff\xfe" + str(number).encode(),
                b'{"specversion": "1.0", "id": "poison-%d"' % number,
                serialized(make_event(QUERY_RECEIVED, {"text": ""}, id=f"poison-{number}", source=SOURCE)),
                serialized(
                    make_event(QUERY_RECEIVED, {"question": "hm"}, id=f"poison-{number}", source=SOURCE)
                ),
                serialized(make_event("other.thing.v1", {}, id=f"poison-{number}", source=SOURCE)),
                serialized(
                    make_event(
                        QUERY_RECEIVED, {"text": "hi", "token": "x.y.z"}, id=f"poison-{number}", source=SOURCE
                    )
                ),
            )
        )
        self._poison.add(body)
        return body

    async def _put(self, body: bytes) -> None:
        await self._client.xadd(QUERIES, {FIELD: body})
        self._published += 1

    async def _keep_up(self) -> None:
        """The supervisor of consumers and gateway."""
        while True:
            for process in (*self._consumers, self._gateway):
                process.keep_up()
            await asyncio.sleep(0.1)

    async def _now_and_then(self, disturb: Callable[[], Coroutine[Any, Any, None]], every_s: float) -> None:
        while not self._over.is_set():
            try:
                async with asyncio.timeout(every_s):
                    await self._over.wait()
            except TimeoutError:
                await disturb()

    async def _kill_consumer(self) -> None:
        running = [n for n in range(CONSUMERS) if n not in self._paused]
        self._consumers[self._random.choice(running)].signal(signal.SIGKILL)
        self._did["consumers killed"] += 1

    async def _pause_consumer(self) -> None:
        number = self._random.randrange(CONSUMERS)
        self._paused.add(number)
        self._consumers[number].signal(signal.SIGSTOP)
        await asyncio.sleep(PAUSE_S)
        self._consumers[number].signal(signal.SIGCONT)
        self._paused.discard(number)
        self._did[f"consumers paused for {PAUSE_S:g} s"] += 1

    async def _kill_broker(self) -> None:
        await asyncio.to_thread(self._broker.kill)
        await asyncio.sleep(1.0)
        await asyncio.to_thread(self._broker.start)
        self._did["broker killed"] += 1

    async def _kill_gateway(self) -> None:
        self._gateway.signal(signal.SIGKILL)
        self._did["gateway killed"] += 1

    async def _progress(self, began: float) -> None:
        while True:
            await asyncio.sleep(5)
            waiting, pending = await self._backlog()
            self._tell(
                f"{time.monotonic() - began:5.0f} s  {self._published:6} published, {waiting:5} waiting, "
                f"{pending:4} in hand; " + ", ".join(f"{k} {v}" for k, v in self._did.items())
            )

    async def _backlog(self) -> tuple[int, int]:
        for group in await self._client.xinfo_groups(QUERIES):
            if group["name"] == GROUP.encode():
                return group["lag"] or 0, group["pending"]
        return self._published, 0

    async def _quiet(self, within_s: float) -> None:
        """Until every event is dealt with, and the queue is trimmed to its last entry."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if await self._backlog() == (0, 0) and await self._client.xlen(QUERIES) <= 1:
                return
            await asyncio.sleep(0.5)

    async def _account(self) -> Account:
        said: dict[str, list[str]] = defaultdict(list)
        for stream in (ANSWERS, HANDOFFS):
            entries: Any = await self._client.xrange(stream)
            for _, fields in entries:
                body = fields[FIELD.encode()]
                about = data_of(read_event(body), AnswerData).in_reply_to
                said[key_of(make_event("any", {}, id=about.id, source=about.source))].append(body.decode())
        letters = await DeadLetters(self._client).all()
        dead = {letter.died.raw() for letter in letters}
        dead_keys = {
            key_of(make_event("any", {}, id=letter.died.event.id, source=letter.died.event.source))
            for letter in letters
            if letter.died.event is not None
        }
        waiting, pending = await self._backlog()
        return Account(
            events=len(self._good),
            deliveries=self._published,
            poison=len(self._poison),
            answered=len(self._good & said.keys()),
            answers=sum(map(len, said.values())),
            lost=len(self._good - said.keys() - dead_keys),
            different_words=sum(len(set(words)) > 1 for words in said.values()),
            dead=dict(Counter(letter.died.reason for letter in letters)),
            poison_not_dead=len(self._poison - dead),
            dead_without_poison=len(self._good & dead_keys),
            disturbances=dict(self._did),
            still_pending=waiting + pending,
            queue_length=await self._client.xlen(QUERIES),
        )


def storm(events: int, seconds: float, seed: int = 1, tell: Callable[[str], None] = print) -> Account:
    """One storm in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="slmfleet-storm-") as folder:

        async def run() -> Account:
            return await Storm(Path(folder), events, seconds, seed, tell).run()

        return asyncio.run(run())


def main() -> None:
    """The command line; exit code 1 unless nothing was lost and nothing said in two ways."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1_200.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    progress = (lambda line: print(line, file=sys.stderr, flush=True)) if options.json else print
    account = storm(options.events, options.seconds, options.seed, progress)
    print(json.dumps(account.__dict__, indent=2) if options.json else account.printed())
    sys.exit(0 if account.clean else 1)


if __name__ == "__main__":
    main()
