"""The stations of a fleet as actors of Ray, each held to the node it was meant for."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nanocheck.core.errors import MachineError
from nanocheck.core.messages import say
from nanocheck.core.scrub import scrub
from nanocheck.fleet.identity import difference, versions
from nanocheck.fleet.messages import MOST_LOSSES, Ending, Item, Kind, Lost, Setup, Unfit
from nanocheck.fleet.ray_cluster import RESOURCE, RUN_BYTES, Node, RayCluster, offered
from nanocheck.fleet.ray_station import RayStation

#: A node whose stations end so often in a row is no place to run anything; more than one configuration alone
#: can be the reason of.
_MOST_ENDS = MOST_LOSSES + 1
#: How often the cluster is looked at for nodes that came and went, in seconds.
_LOOK_EVERY_S = 2.0
#: A station whose processors others use: half as many are asked for after so long, and the person is told.
_BUSY_S = 20.0


@dataclass(eq=False)
class RayPost:
    """See ``messages.Post``. ``stage``: versions, open, ready, working."""

    name: str
    kind: Kind
    workers: int
    node: str
    actor: Any
    stage: str = "versions"
    asked_at: float = field(default_factory=time.monotonic)


class RayCrew:
    """See ``messages.Crew``.

    Args:
        cluster: stays open when this is closed.
        most: stations' workers in all, of nodes without a card; ``None``: all that the cluster has.
    """

    def __init__(self, cluster: RayCluster, most: int | None = None) -> None:
        self._cluster, self._most = cluster, most
        self._ray = cluster.ray
        self._setups: dict[Kind, Setup] = {}
        self._posts: list[RayPost] = []
        self._refs: dict[Any, RayPost] = {}
        self._ends: Counter[tuple[str, Kind]] = Counter()
        self._refused: dict[tuple[str, Kind], str] = {}
        self._numbers: dict[str, int] = {}
        self._looked_at = 0.0
        self._told = False
        self._versions = versions()

    # -- who is there -------------------------------------------------------------------------------------

    def offers(self, kind: Kind) -> None:
        nodes = self._cluster.nodes()
        if any(node.slots(kind) for node in nodes):
            return
        if kind.kind == "real":
            raise MachineError(
                f"expected a node with the resource {RESOURCE}{kind.gpu} for a measured run, found "
                f"{offered(nodes)}",
                hint=f"ray start --address=... --resources='{{\"{RESOURCE}{kind.gpu}\": 1}}' on a machine "
                "with that card, or --device virtual",
            )
        raise MachineError(
            f"expected a node with a processor and {RUN_BYTES >> 30} GiB of memory, found {offered(nodes)}",
            hint="ray start --address=...   # on a machine with processors",
        )

    def engage(self, kind: Kind, setup: Setup) -> None:
        self.offers(kind)
        self._setups[kind] = setup
        self._look()

    def complaint(self, kind: Kind) -> str | None:
        if any(post.kind == kind for post in self._posts):
            return None
        self._look()
        if any(post.kind == kind for post in self._posts):
            return None
        said = [why for (_, of), why in self._refused.items() if of == kind]
        return "; ".join(dict.fromkeys(said)) or f"the cluster has {offered(self._cluster.nodes())}"

    def ready(self) -> Sequence[RayPost]:
        return [post for post in self._posts if post.stage in ("ready", "working")]

    def _look(self) -> None:
        """Have a station wherever one could be, and is not."""
        self._looked_at = time.monotonic()
        for node in self._cluster.nodes():
            for kind, setup in self._setups.items():
                if (node.id, kind) in self._refused:
                    continue
                here = [post for post in self._posts if post.node == node.id and post.kind == kind]
                missing = node.slots(kind) - sum(post.workers for post in here)
                if kind.kind == "real":
                    for _ in range(missing):
                        self._start(node, kind, setup, 1)
                elif not here and missing > 0:
                    self._start(node, kind, setup, self._allowed(missing))

    def _allowed(self, workers: int) -> int:
        if self._most is None:
            return workers
        return min(workers, self._most - sum(post.workers for post in self._posts))

    def _start(self, node: Node, kind: Kind, setup: Setup, workers: int) -> None:
        if workers < 1:
            return
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        number = self._numbers.setdefault(node.id, len(self._numbers) + 1)
        options: dict[str, Any] = {
            "num_cpus": workers,
            "max_restarts": 0,
            "max_task_retries": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False),
        }
        if kind.kind == "real":
            options["resources"] = {RESOURCE + kind.gpu: 1}
            if node.resources.get("GPU", 0) >= 1:  # so that no other program of Ray gets the card meanwhile
                options["num_gpus"] = 1
        else:
            options["memory"] = workers * RUN_BYTES
        actor = self._ray.remote(RayStation).options(**options).remote()
        post = RayPost(f"node {number}", kind, workers, node.id, actor)
        self._posts.append(post)
        self._refs[actor.versions.remote()] = post

    # -- exchanges ----------------------------------------------------------------------------------------

    def begin(self, post: RayPost, items: Sequence[Item], patience: float) -> None:
        post.stage = "working"
        self._refs[post.actor.exchange.remote(list(items), patience)] = post

    def ended(self, timeout: float | None) -> list[tuple[RayPost, Ending]]:
        now = time.monotonic()
        if now - self._looked_at > _LOOK_EVERY_S:
            self._look()
        self._ask_for_less(now)
        if not self._refs:
            return []
        wait = self._ray.wait
        patience = _LOOK_EVERY_S if timeout is None else min(timeout, _LOOK_EVERY_S)
        done, _ = wait(list(self._refs), num_returns=1, timeout=patience)
        if done:
            done, _ = wait(list(self._refs), num_returns=len(self._refs), timeout=0)
        found = [(self._refs.pop(ref), self._value(ref)) for ref in done]
        return [(post, ending) for post, value in found if (ending := self._heard(post, value)) is not None]

    def _value(self, ref: Any) -> Any:
        """What a call gave; ``Lost`` where its station is gone."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(ref)
        except errors.ActorUnavailableError:
            return Lost("it does not answer")
        except (errors.RayActorError, errors.WorkerCrashedError, errors.ObjectLostError) as error:
            # Ray's own words name machines, and this ends up in results. Why a station could not even be
            # made is told: its machine has no nanocheck, for one.
            cause = getattr(error, "cause", None)
            return Lost("its process died") if cause is None else Unfit(f"{type(cause).__name__}: {cause}")
        except errors.RayTaskError as error:
            cause = getattr(error, "cause", None) or error
            return Unfit(f"{type(cause).__name__}: {scrub(str(cause))[-1000:]}")

    def _heard(self, post: RayPost, value: Any) -> Ending | None:
        """The ending of an exchange; what belongs to a station's beginning is dealt with here."""
        if isinstance(value, (Lost, Unfit)):
            self._note_end(post, value)
            if post.stage == "working":
                return value
            self.dismiss(post)
            return None
        if post.stage == "versions":
            other = difference(self._versions, value)
            if other:
                self._refused[post.node, post.kind] = f"{post.name} has {other}"
                say(f"{post.name} of the cluster is left out: it has {other}")
                self.dismiss(post)
                return None
            post.stage = "open"
            setup = self._setups[post.kind]
            self._refs[post.actor.open.remote(setup, post.workers)] = post
            return None
        if post.stage == "open":
            post.stage = "ready"
            return None
        self._ends.pop((post.node, post.kind), None)
        ending: Ending = value
        return ending

    def _note_end(self, post: RayPost, value: Lost | Unfit) -> None:
        at = (post.node, post.kind)
        self._ends[at] += 1
        if isinstance(value, Unfit) or self._ends[at] >= _MOST_ENDS:
            self._refused[at] = f"{post.name}: {value.why}"
            say(f"{post.name} of the cluster is left out: {value.why.splitlines()[0]}")
        elif post.stage == "working":
            say(f"{post.name} of the cluster was lost ({value.why}): what it had runs again")

    def _ask_for_less(self, now: float) -> None:
        """Stations that Ray has not started: somebody else's program has the processors."""
        for post in [each for each in self._posts if each.stage == "versions"]:
            if now - post.asked_at < _BUSY_S:
                continue
            if not self._told:
                self._told = True
                say("waiting for the cluster: other programs use its processors, or its cards")
            if post.workers > 1:
                self.dismiss(post)
                node = next((each for each in self._cluster.nodes() if each.id == post.node), None)
                if node is not None:
                    self._start(node, post.kind, self._setups[post.kind], post.workers // 2)
            else:
                post.asked_at = now

    # -- the end ------------------------------------------------------------------------------------------

    def dismiss(self, post: RayPost) -> None:
        if post in self._posts:
            self._posts.remove(post)
        self._refs = {ref: of for ref, of in self._refs.items() if of is not post}
        with contextlib.suppress(Exception):  # it is gone already, or its node is
            self._ray.kill(post.actor, no_restart=True)

    def close(self) -> None:
        for post in list(self._posts):
            self.dismiss(post)
        self._setups.clear()
