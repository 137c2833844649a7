"""The workers of a dask.distributed cluster as an executor; needs the extra ``cluster``.

    with cluster_at("tcp://10.0.0.5:8786") as executor:
        compare("a400", seeds=200, executor=executor, out="a400")

dask runs a task of a worker that died on another one, and gives it up when three workers died of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from wattswap.protocol.errors import InputError
from wattswap.runners.recording.rundir import wattswap_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

WITHOUT_CLUSTER: Final = "pip install 'wattswap[cluster]'"
CONNECT_TIMEOUT_S: Final = 10
"""So long a scheduler has to answer, and then its first worker to be there."""
_DASK_LOGS: Final = ("distributed", "tornado", "asyncio")


class ClusterExecutor(Executor):
    """Hands tasks on to a cluster; each is run in the folder we are in, so that it finds the files that are named."""

    def __init__(self, client: Client) -> None:
        self._executor = client.get_executor(pure=False)
        self._folder = os.getcwd()  # noqa: PTH109 - a text that a worker on another machine can read
        self.workers: Final = sum(client.nthreads().values())
        """How many tasks run at a time, now."""

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a task run on some worker."""
        future: Future[Any] = self._executor.submit(_run_in, self._folder, task, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further task; without ``wait``, or when told, forget those that are not over."""
        self._executor.shutdown(wait=wait and not cancel_futures)


def _run_in(folder: str, task: Callable[..., Any], *args: Any) -> Any:
    try:
        os.chdir(folder)
    except OSError as error:
        raise InputError(
            f"the worker has no folder {folder} ({error.strerror}): workers must see the same files"
        ) from None
    return task(*args)


@contextmanager
def cluster_at(address: str) -> Iterator[ClusterExecutor]:
    """An executor on the cluster whose scheduler listens at this address, such as ``tcp://10.0.0.5:8786``.

    Until it ends nothing is logged of the connection: what is lost is raised, by tasks as
    :class:`.executors.ExecutorLostError`.

    Raises:
        InputError: nobody answers there, it has no worker, or its workers have another Wattswap or none.
    """
    try:
        import distributed
    except ModuleNotFoundError:
        raise InputError(f"--cluster {address}: it needs dask.distributed: {WITHOUT_CLUSTER}") from None
    with _dask_is_quiet():
        try:
            _ask(address)
            client = distributed.Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except Exception as error:  # noqa: BLE001 - whatever dask makes of the bytes that something else answers
            raise InputError(
                f"--cluster: no dask scheduler answers at {address} ({_why(error, address)}); start one with"
                " `dask scheduler`, and workers with `dask worker ADDRESS`"
            ) from None
        with client:
            _refuse_workers(client, address)
            executor = ClusterExecutor(client)
            try:
                yield executor
            finally:
                executor.shutdown(cancel_futures=True)


def _why(error: Exception, address: str) -> str:
    """What keeps the scheduler from answering; what dask makes of foreign bytes says nothing to anybody."""
    from distributed.comm import get_address_host

    try:
        get_address_host(address)
    except ValueError as wrong:
        error = wrong
    else:
        if not isinstance(error, OSError | _OtherPartError):
            return "what answers there is something else"
    return " ".join(str(error).split()) or type(error).__name__


class _OtherPartError(Exception):
    """It is a part of a cluster that answers, but no scheduler."""


def _ask(address: str) -> None:
    """Raise unless a scheduler says in time that it is one; dask's client waits for ever for what only listens."""
    from distributed.core import rpc
    from distributed.security import Security

    async def kind() -> str:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as remote:
            identity: dict[str, str] = await remote.identity()
            return identity["type"]

    with ThreadPoolExecutor(1) as beside:  # a notebook's own thread runs a loop already
        try:
            found = beside.submit(lambda: asyncio.run(asyncio.wait_for(kind(), CONNECT_TIMEOUT_S))).result()
        except TimeoutError:
            raise TimeoutError(f"no answer within {CONNECT_TIMEOUT_S:g} s") from None
    if found != "Scheduler":
        raise _OtherPartError(f"a dask {found.lower()} does")


@contextmanager
def _dask_is_quiet() -> Iterator[None]:
    """Keep tracebacks that dask logs of its connection off the terminal: one line says what is wrong.

    Only its own loggers, and those of the loops it runs in; whoever else logs in this process goes on.
    """
    names = {*_DASK_LOGS, *(name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _DASK_LOGS)}
    loggers = [logging.getLogger(name) for name in names]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for each, level in zip(loggers, before, strict=True):
            each.setLevel(level)


def _refuse_workers(client: Client, address: str) -> None:
    """Raise unless there are workers, all with this Wattswap."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_S)
    except TimeoutError:
        raise InputError(f"--cluster {address}: it has no worker; start some with `dask worker {address}`") from None
    mine = wattswap_version()
    try:
        versions: dict[str, str] = client.run(wattswap_version)
    except Exception as error:  # noqa: BLE001 - whatever a worker without Wattswap raises
        raise InputError(
            f"--cluster {address}: its workers cannot run Wattswap ({type(error).__name__}: {error});"
            f" install version {mine} for them"
        ) from None
    for worker, version in versions.items():
        if version != mine:
            raise InputError(f"--cluster {address}: the worker {worker} has Wattswap {version}, here it is {mine}")
