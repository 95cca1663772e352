"""What is not a vendor's fault: full disks, spoiled files, a queue that is full."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from stack.waiting import wait_for
from tests.faults.harness.bench import Bench
from tests.faults.harness.disk import fill, free, small_disk
from tests.faults.harness.held import ROUTES, Held
from tests.faults.harness.run import look
from tests.faults.harness.sender import Sender, Sent

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

TOLD_SECONDS = 30


@pytest.fixture
def own_bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as started:
        yield started


def everything_held(
    bench: Bench, sent: Sent, keys: Iterable[tuple[str, str]] = ROUTES
) -> dict[tuple[str, str], Held]:
    def missing() -> int:
        found = look(bench, sent)
        return sum(len(found[key].missing) for key in keys)

    wait_for("every id to be held", missing, until=lambda m: m == 0, seconds=60, pause=0.5)
    return look(bench, sent)


def sent_once(sent: Sent) -> bool:
    return sent.tries == sent.requests


def short_queue(config: str, exporter: str) -> str:
    """`config` with two seconds' room for that vendor. The others keep theirs: on a busy machine a
    healthy one is late by as much.
    """
    whole = yaml.safe_load(config)
    queue = whole["exporters"][exporter]["sending_queue"]
    short = {"queue_size": 400, "batch": {**queue["batch"], "min_size": 100, "max_size": 100}}
    whole["exporters"][exporter]["sending_queue"] = {**queue, **short}
    return str(yaml.safe_dump(whole, sort_keys=False))


def test_a_full_queue_is_that_vendors_loss_alone(own_bench: Bench) -> None:
    own_bench.stop()
    own_bench.config = short_queue(own_bench.config, "otlp_http/honeycomb")
    own_bench.start()
    own_bench.client.break_("honeycomb", "refuse")

    with Sender(own_bench.otlp_url) as sender:
        time.sleep(6)
        wait_for(
            "the ledger to tell of the full queue",
            lambda: own_bench.ledger()["honeycomb", "traces"].dropped,
            seconds=TOLD_SECONDS,
        )
    own_bench.client.heal()

    healthy = [key for key in ROUTES if key[0] != "honeycomb"]
    found = everything_held(own_bench, sender.sent, healthy)
    assert sender.sent.refused == []
    assert sent_once(sender.sent)
    assert all(found[key].copies == 0 for key in healthy)
    for key in ROUTES:
        if key[0] == "honeycomb":
            wait_for(
                "the queue to be empty",
                lambda key=key: own_bench.ledger()[key].queued,  # type: ignore[misc]
                until=lambda queued: queued == 0,
                seconds=60,
            )
            missing = len(look(own_bench, sender.sent)[key].missing)
            assert missing == own_bench.ledger()[key].dropped


def test_a_full_disk_under_the_local_record_reaches_nobody(tmp_path: Path) -> None:
    with small_disk(tmp_path / "telemetry", 1) as disk, Bench(tmp_path) as bench:
        fill(disk)
        with Sender(bench.otlp_url) as sender:
            time.sleep(4)
        found = everything_held(bench, sender.sent)

        assert sent_once(sender.sent)
        assert all(one.copies == 0 for one in found.values())
        wait_for(
            "the ledger to tell what the record lacks",
            lambda: bench.ledger()["local record", "traces"].failed,
            seconds=TOLD_SECONDS,
        )

        free(disk)
        with Sender(bench.otlp_url) as later:
            time.sleep(1)
        span = min(later.sent.ids["traces"]).partition(":")[2]
        wait_for(
            "the record to go on",
            (disk / "traces.jsonl").read_text,
            until=lambda text: span in text,
            seconds=20,
        )


def test_a_full_disk_under_the_queues_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "queues", 4) as disk, Bench(tmp_path) as bench:
        bench.client.break_("xray", "hang")
        with Sender(bench.otlp_url) as sender:
            time.sleep(1)
            fill(disk)
            time.sleep(5)
            free(disk)
            bench.client.heal()
            time.sleep(1)
        found = everything_held(bench, sender.sent)

        assert sender.sent.refused == []
        copies = sum(one.copies for one in found.values())
        assert copies <= 0.01 * sum(one.wanted for one in found.values())
        lost = {key: bench.ledger()[key].dropped for key in ROUTES}
        assert not any(lost.values()), lost


def test_a_full_disk_outlives_a_restart(tmp_path: Path) -> None:
    with small_disk(tmp_path / "queues", 4) as disk, Bench(tmp_path) as bench:
        with Sender(bench.otlp_url) as sender:
            time.sleep(1)
            fill(disk)
            time.sleep(1)
            bench.stop()
            free(disk)
            bench.start()
            time.sleep(1)

        # What memory held is offered to the vendors themselves, for two seconds. AWS's emulators
        # take longer on a busy machine: that is lost then, and the log says so.
        slow = [("xray", "traces"), ("cloudwatch", "metrics")]
        everything_held(bench, sender.sent, [key for key in ROUTES if key not in slow])
        assert sender.sent.refused == []
        wait_for(
            "all at AWS, or a line that says what is not",
            lambda: (
                sum(len(look(bench, sender.sent)[key].missing) for key in slow),
                "Lost: held in memory" in bench.log.read_text(),
            ),
            until=lambda seen: seen[0] == 0 or seen[1],
            seconds=60,
        )


def names(queues: Path) -> set[str]:
    return {file.name for file in queues.glob("exporter_*")}


def delete_the_files(queues: Path) -> None:
    for name in names(queues):
        (queues / name).unlink()


def delete_their_folder(queues: Path) -> None:
    # Not one by one: a file that is there again would keep the folder.
    shutil.rmtree(queues.rename(queues.with_name("deleted")))


@pytest.mark.parametrize("delete", [delete_the_files, delete_their_folder])
def test_queues_that_are_deleted_while_the_collector_runs_lose_nothing(
    own_bench: Bench, delete: Callable[[Path], None]
) -> None:
    """The database writes on into files that nobody finds after a stop."""
    own_bench.client.break_("honeycomb", "refuse")
    with Sender(own_bench.otlp_url) as sender:
        time.sleep(2)
        all_of_them = names(own_bench.queues)
        delete(own_bench.queues)
        wait_for(
            "the queues' files",
            lambda: names(own_bench.queues),
            until=lambda found: found >= all_of_them,
            seconds=20,
        )
        wait_for(
            "the ledger to tell it",
            lambda: own_bench.ledger()["honeycomb", "traces"],
            until=lambda told: told.renewed == 1 and not told.missing,
            seconds=20,
        )
        own_bench.kill()
        own_bench.start()
        time.sleep(1)
    delete(own_bench.queues)
    own_bench.stop()
    own_bench.client.heal()

    own_bench.start()

    found = everything_held(own_bench, sender.sent)
    assert not any(one.missing for one in found.values())
    assert "A queue's file was deleted" in own_bench.log.read_text()


def cut_off(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 3])


def overwrite(file: Path) -> None:
    file.write_bytes(b"not a queue" * 5000)


def spoil_the_middle(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 : len(content)] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)


@pytest.mark.parametrize("spoil", [cut_off, overwrite, spoil_the_middle])
def test_a_spoiled_queue_file_stops_nobody(own_bench: Bench, spoil: Callable[[Path], None]) -> None:
    own_bench.client.break_("honeycomb", "refuse")
    with Sender(own_bench.otlp_url) as before:
        time.sleep(2)
    own_bench.stop()
    [file] = [path for path in own_bench.queues.iterdir() if "honeycomb_traces" in path.name]
    spoil(file)
    own_bench.client.heal()

    own_bench.start()

    with Sender(own_bench.otlp_url) as after:
        time.sleep(2)
    everything_held(own_bench, after.sent)
    others = [key for key in ROUTES if key != ("honeycomb", "traces")]
    everything_held(own_bench, before.sent, others)
    assert [path for path in own_bench.queues.iterdir() if path.name.endswith(".backup")]
