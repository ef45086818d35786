"""Trials of one index under threads and kills: ``python index_trials.py FOLDER TRIALS``.

In each trial a child process shares one index among threads that add, delete, search, copy and
save, all at once, and half of the children are killed at a random moment. What a child did is in a
log that survives it; the file must agree with the log, and every answer with what was added.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import signal
import sys
import threading
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from narrows.indexing import hash_index
from narrows.indexing import index_file as verification
from narrows.indexing.index import Index

KINDS = ["flat", "hash", "multihash", "hnsw", "float"]
_ROWS = 5  # a batch: what is added or deleted at a time
_BITS = 32
_SECONDS = float(os.environ.get("NARROWS_TRIAL_SECONDS", "0.25"))


def code_of(name: str, kind: str) -> np.ndarray:
    """Return the code that belongs to a name, (width,)."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if kind == "float":
        vector = rng.normal(size=8)
        return (vector / np.linalg.norm(vector)).astype(np.float32)
    return rng.integers(0, 256, _BITS // 8, dtype=np.uint8)


def distance_of(name: str, query: np.ndarray, kind: str) -> float:
    code = code_of(name, kind)
    if kind == "float":
        return float(1 - code.astype(float) @ query.astype(float))
    return int(np.bitwise_count(code ^ query).sum())


def new_index(kind: str) -> Index:
    if kind == "float":
        return Index.create(n_components=8)
    return Index.create(n_bits=_BITS, kind=kind, vector_width=3)


def names_of(batch: str) -> list[str]:
    return [f"{batch}/{i}" for i in range(_ROWS)]


def vector_of(name: str) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(name[::-1].encode())).normal(size=3)


class Child:
    """The threads of one trial, and the log of what they did."""

    def __init__(self, path: Path, log: Path, kind: str, seed: int) -> None:
        self.path, self.kind, self.seed = path, kind, seed
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.index = Index.load(path)
        self.end = time.monotonic() + _SECONDS

    def note(self, *words: object) -> None:
        os.write(self.log, (" ".join(map(str, words)) + "\n").encode())

    def run(self) -> None:
        """Start all threads; a failure of any is recorded and ends the trial."""
        work = [self.add, self.add, self.search, self.search, self.save, self.save, self.copy]
        threads = [threading.Thread(target=self.guarded, args=(f, i)) for i, f in enumerate(work)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.index.verify()
        self.saved()

    def guarded(self, function: Callable[[int, random.Random], None], number: int) -> None:
        rng = random.Random(1000 * self.seed + number)
        try:
            while time.monotonic() < self.end:
                function(number, rng)
        except BaseException:
            self.note("failed", repr(traceback.format_exc()))
            self.end = 0

    def add(self, number: int, rng: random.Random) -> None:
        mine: list[str] = []
        for count in range(1000):
            batch = f"{self.seed}.{number}.{count}"
            names = names_of(batch)
            codes = np.stack([code_of(name, self.kind) for name in names])
            metadata = [{"name": name} for name in names]
            vectors = np.stack([vector_of(name) for name in names])
            self.note("adding", batch)
            beside = None if self.kind == "float" else vectors
            self.index.add(names, codes, metadata, beside)
            self.note("added", batch)
            mine.append(batch)
            if rng.random() < 0.4:
                batch = mine.pop(rng.randrange(len(mine)))
                self.note("deleting", batch)
                self.index.delete(names_of(batch))
                self.note("deleted", batch)
            if time.monotonic() > self.end:
                return

    def search(self, number: int, rng: random.Random) -> None:
        query = code_of(f"query {rng.random()}", self.kind)
        if self.kind != "float" and rng.random() < 0.3:
            hits = self.index.search(query[None], 5, vectors=vector_of("query")[None])[0]
            wanted = [-cosine(hit.name) for hit in hits]
        else:
            hits = self.index.search(query[None], 7)[0]
            wanted = [distance_of(hit.name, query, self.kind) for hit in hits]
        for hit in hits:
            far = distance_of(hit.name, query, self.kind)
            assert abs(hit.distance - far) < 1e-5, (hit, far)
            assert hit.metadata == {"name": hit.name}, hit
        steps = np.diff(wanted)
        assert (steps > -2e-3).all() if wanted and wanted[0] < 0 else (steps >= -1e-5).all(), hits
        if hits and rng.random() < 0.2:
            with contextlib.suppress(ValueError):  # deleted meanwhile
                assert hits[0].name not in [h.name for h in self.index.like(hits[0].name, 3)]
                np.testing.assert_allclose(
                    self.index.code(hits[0].name), code_of(hits[0].name, self.kind), atol=1e-6
                )

    def copy(self, number: int, rng: random.Random) -> None:
        twin = pickle.loads(pickle.dumps(self.index))
        twin.verify()
        check_whole(twin, self.kind)
        twin.add(["of the copy"], code_of("x", self.kind)[None], None,
                 None if self.kind == "float" else vector_of("x")[None])  # fmt: skip
        assert "of the copy" not in self.index

    def save(self, number: int, rng: random.Random) -> None:
        self.saved()
        time.sleep(rng.random() * 0.005)

    def saved(self) -> None:
        mark = f"{threading.get_ident()}.{time.monotonic_ns()}"
        self.note("saving", mark)
        self.index.save(self.path)
        self.note("saved", mark)


def cosine(name: str) -> float:
    a, b = vector_of(name), vector_of("query")
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def check_whole(index: Index, kind: str) -> set[str]:
    """Return the batches in an index; each must be complete and unchanged."""
    names = index.names
    batches = {name.rpartition("/")[0] for name in names}
    assert sorted(names) == sorted(n for batch in batches for n in names_of(batch)), "half a batch"
    for name in names[:: max(1, len(names) // 20)]:
        np.testing.assert_allclose(index.code(name), code_of(name, kind), atol=1e-6)
        assert index.metadata(name) == {"name": name}
    return batches


def check_file(path: Path, log: Path, before: set[str], kind: str) -> set[str]:
    """Return the batches in the file, which must match the log of saves."""
    events = [line.split(" ", 1) for line in log.read_text().splitlines()]
    failures = [rest for word, rest in events if word == "failed"]
    assert not failures, failures[0].encode().decode("unicode_escape")
    last = -1  # where the last save began that is known to have ended
    begun: dict[str, int] = {}
    for place, (word, what) in enumerate(events):
        if word == "saving":
            begun[what] = place
        elif word == "saved":
            last = max(last, begun[what])
    index = Index.load(path)
    index.verify()
    held = check_whole(index, kind)
    done: dict[str, set[str]] = {"added": set(), "deleted": set()}
    for word, what in events[: last + 1]:
        if word in done:
            done[word].add(what)
    announced: dict[str, set[str]] = {"adding": set(), "deleting": set()}
    for word, what in events:
        if word in announced:
            announced[word].add(what)
    lost = (before | done["added"]) - announced["deleting"] - held
    assert not lost, f"saved, and not there: {sorted(lost)[:3]}"
    back = held & done["deleted"]
    assert not back, f"deleted before a save, and there: {sorted(back)[:3]}"
    assert held <= before | announced["adding"], "never added, and there"
    return held


def trial(folder: Path, number: int, held: dict[str, set[str]]) -> bool:
    """Run one trial on the file of its kind; return whether the child was killed."""
    kind = KINDS[number % len(KINDS)]
    path, log = folder / f"{kind}.index", folder / f"{number}.log"
    if kind not in held or len(held[kind]) > 150:  # keep files small, and trials quick
        new_index(kind).save(path, replace=True)
        held[kind] = set()
    killed = (number + number // len(KINDS)) % 2 == 0  # each kind in turn
    child = os.fork()
    if not child:
        signal.alarm(60)  # a hang is a failure too
        try:
            Child(path, log, kind, number).run()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if killed:
        time.sleep(random.uniform(0.02, _SECONDS))
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in ((-signal.SIGKILL, 0) if killed else (0,)), (number, kind, code)
    if log.exists():
        held[kind] = check_file(path, log, held[kind], kind)
    return code != 0


def main(folder: Path, trials: int) -> None:
    import faiss
    import torch

    torch.set_num_threads(1)  # pools of threads do not survive a fork
    faiss.omp_set_num_threads(1)
    # structures that only large indexes have are built for small ones
    hash_index._SMALL = hash_index._SCAN = 0
    verification._LEAST_RECALL = 0  # a graph of unrelated codes finds few of the nearest
    random.seed(0)
    held: dict[str, set[str]] = {}
    kills = sum(trial(folder, number, held) for number in range(trials))
    print(trials, kills, sum(map(len, held.values())))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
