"""A build under Prefect: opens the store, runs stages as tasks of one chunk each, releases."""

import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from multiprocessing import get_context
from typing import Any
from uuid import uuid4

from prefect import task
from prefect.blocks.system import Secret
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from pydantic import SecretStr

from storage.lock import build_lock
from storage.releases import Release, current_release, releases
from storage.store import Store
from tasks.chunks import Chunk, Future
from tasks.gpus import pin, visible_gpus
from tasks.pending import last_runs
from tasks.plan import Step, all_stages, reads_sources, stages_of
from tasks.prepare import asking_nobody, ensure_world, standing_in, with_keys
from tasks.progress import Bars
from tasks.release import ReleaseBlocked, publish_release, validation_of
from tasks.run_stage import run_stage
from tasks.settings import Catalogue, load_catalogue
from tasks.stage import ChunkResult, Stage, StageResult

Gpus = tuple[str, ...]
_SHARES_S = 8.0
"""A stage with less work than this runs here: workers take about 3 s to start and import (measured 2026-11)."""


def workers() -> int:
    """Processes that share the work: MEDIATECA_WORKERS, or one per core."""
    return int(os.environ.get("MEDIATECA_WORKERS") or os.cpu_count() or 1)


@dataclass(kw_only=True)
class Build:
    """One build of one catalogue; holds the store's build lock while it is open."""

    catalogue: Catalogue
    store: Store
    progress: Bars
    build_id: str = field(default_factory=lambda: uuid4().hex[:12])
    results: list[StageResult] = field(default_factory=list[StageResult])
    last: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    refit: tuple[str, ...] = ()
    replay: bool = False
    _pools: dict[Gpus, ProcessPoolExecutor] = field(default_factory=dict[Gpus, ProcessPoolExecutor])
    _driver: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def partial(self) -> bool:
        """Whether a stage ended at a quota."""
        return any(r.status == "partial" for r in self.results)

    def submit(self, stage: Stage, work: Chunk, seconds: float) -> Future:
        """Run one chunk as a Prefect task.

        In the process pool, or in that of one process per GPU; or here, if the stage holds a model on all cores, or is
        done before workers have started.
        """
        small = stage.runs_in == "pool" and seconds < _SHARES_S and "MEDIATECA_WORKERS" not in os.environ
        gpus = _gpus_of(stage)
        here = small or stage.runs_in == "driver" or (stage.runs_in == "gpus" and not gpus)
        place = self._in_driver if here else partial(self._in_pool, gpus=gpus)

        # A closure: Prefect walks through every parameter of a task, and a chunk's rows are no parameter.
        # Retries and caches stay off: what is done is known from the tables.
        @task(name=stage.name, task_run_name=f"{stage.name}-{next(self._numbers)}", cache_policy=NO_CACHE, retries=0)
        def chunk() -> ChunkResult:
            return place(work)

        return chunk.submit()

    def _in_driver(self, work: Chunk) -> ChunkResult:
        with self._driver:
            return work()

    def _in_pool(self, work: Chunk, gpus: Gpus = ()) -> ChunkResult:
        with self._driver:
            pool = self._pools.get(gpus) or self._pools.setdefault(gpus, _processes(len(gpus) or workers(), gpus))
        try:
            return pool.submit(work).result()
        except BrokenProcessPool:  # a worker died: out of memory, or a decoder crashed
            with self._driver:
                if self._pools.get(gpus) is pool:
                    del self._pools[gpus]
            with self._driver if gpus else nullcontext():  # one at a time: they share a GPU
                return _alone(work, gpus[:1])

    def close(self) -> None:
        """End the worker processes."""
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)


@contextmanager
def open_build(
    catalogue: str, *, wait_s: float = 0.0, quiet: bool = False, refit: tuple[str, ...] = (), replay: bool = False
) -> Generator[Build]:
    """A build of the catalogue, its store locked and its tables created.

    Args:
        catalogue: Name of a shipped catalogue, or path of a YAML file.
        wait_s: How long to wait for another build of the same store.
        quiet: Show no progress.
        refit: Featurizers whose frozen fit is made anew.
        replay: Compute everything after `raw` anew, and ask no source.

    Raises:
        CatalogueError: The catalogue cannot be used.
        StoreLocked: Another build holds the store.
    """
    chosen = load_catalogue(catalogue)
    store = Store(chosen.store_url)
    asking = asking_nobody() if replay else standing_in(chosen)
    with Bars(quiet=quiet) as bars, build_lock(store.url, wait_s=wait_s):
        bars.look("sources")
        ensure_world(chosen)
        with asking, with_keys(chosen, _stored_secret) as missing:
            for name in missing:
                bars.note(f"{name} is not set, so its source answers nothing (`mediateca doctor` says where to get it)")
            bars.look("tables")
            store.create((stage.writes for stage in all_stages(chosen, store)), owner=chosen.catalogue)
            last = last_runs(store)
            build = Build(catalogue=chosen, store=store, progress=bars, last=last, refit=refit, replay=replay)
            try:
                yield build
            finally:
                build.close()


def _stored_secret(name: str) -> SecretStr | None:
    """What the Prefect Secret block of that name holds; None if the server has none."""
    try:
        block: Any = Secret.load(name)
    except ValueError:
        return None
    return SecretStr(str(block.get()))


def run(build: Build, *steps: Step) -> None:
    """Bring the tables of these steps up to date, stage by stage."""
    for step in steps:
        for stage in stages_of(step, build.catalogue, build.store):
            if stage.name in build.refit:
                stage = replace(stage, prepare=stage.refit)
            before = next((result for result in build.results if result.stage == stage.name), None)
            if stage.note:
                build.progress.note(f"{stage.name}: {stage.note}")
            result = run_stage(
                build.store,
                stage,
                build_id=build.build_id,
                submit=build.submit,
                window=2 * max(workers(), len(_gpus_of(stage))),
                progress=build.progress,
                last=(last_runs(build.store) if before else build.last).get(stage.name),
                again=build.replay and not before and not reads_sources(stage),
            )
            if before:
                before.go_on(result)
            else:
                build.results.append(result)


def release(build: Build) -> Release:
    """Publish what the tables hold, and say so in an event.

    Raises:
        ReleaseBlocked: The tables are not fit to be released.
    """
    started = time.perf_counter()
    build.progress.look("release")
    before = _newest(build.store)
    try:
        published = publish_release(build.catalogue, build.store, partial=build.partial)
    except ReleaseBlocked as blocked:
        blocked.result = summary(build, current_release(build.store)) | {"validation": blocked.validation}
        raise
    new = published.number > before
    build.results.append(
        StageResult(
            stage="release",
            status="completed" if new else "up_to_date",
            done=int(new),
            skipped=int(not new),
            seconds=round(time.perf_counter() - started, 3),
        )
    )
    if new:
        _tell(build, published)
    return published


def summary(build: Build, current: Release | None) -> dict[str, Any]:
    """What `mediateca build --json` prints."""
    return {
        "release": current.release_id if current else None,
        "partial": build.partial,
        "stages": [result.as_json() for result in build.results],
        "validation": validation_of(build.store),
    }


def _newest(store: Store) -> int:
    return max((r.number for r in releases(store)), default=0)


def _tell(build: Build, published: Release) -> None:
    name = build.catalogue.catalogue
    emit_event(
        event="mediateca.release.published",
        resource={"prefect.resource.id": f"mediateca.catalogue.{name}", "prefect.resource.name": name},
        payload={
            "catalogue": build.catalogue.asked_as,
            "release": published.release_id,
            "partial": published.partial,
            "store": build.store.url,
        },
    )


def _gpus_of(stage: Stage) -> Gpus:
    return visible_gpus() if stage.runs_in == "gpus" else ()


def _processes(count: int, gpus: Gpus = ()) -> ProcessPoolExecutor:
    context = get_context("spawn")
    devices: Any = context.SimpleQueue()
    for gpu in gpus:
        devices.put(gpu)
    given = (os.getpid(), devices if gpus else None)
    return ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=given)


def _alone(work: Chunk, gpus: Gpus = ()) -> ChunkResult:
    """The chunk in a process of its own; where that dies too, in halves, down to the key that does it."""
    with _processes(1, gpus) as pool:
        try:
            return pool.submit(work).result()
        except BrokenProcessPool:
            pass
    if work.rows.num_rows == 1:
        return work.give_up("the process that computed it died")
    first, second = work.halves()
    return _alone(first, gpus) + _alone(second, gpus)


def _begin(parent: int, devices: Any) -> None:
    """In a worker, before it imports anything of the work."""
    _end_with(parent)
    if devices is not None:
        pin(devices)


def _end_with(parent: int) -> None:
    """In a worker: leave Ctrl-C to the driver, and end when the driver was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
