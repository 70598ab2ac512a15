"""`glasseg train`: labelled photos in, a model folder with metrics and pictures out, by Ray Train."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, Final

from glasseg.config import TrainConfig, TrainJob
from glasseg.errors import GlassegError
from glasseg.labels import pairs, reviewed_photos, splits
from glasseg.labels.pairs import Found, Split
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.storage.roots import Bucket, Root, check_writable, name_of, open_root
from jobs import sizing
from jobs.engine import available_cpus, engine, given_cluster, quiet_stderr
from jobs.terminal import say
from jobs.train import datacheck, finish, resume
from jobs.train.course import Course
from jobs.train.loop import fit
from jobs.train.worker_lines import board_of_lines

EXPIRING: Final = {"iam-role", "container-role", "assume-role", "assume-role-with-web-identity"}
"""botocore's names for sources of temporary keys that Arrow can use by itself."""
MAX_FAILURES: Final = 8
"""How often a run restarts from its last checkpoint after losing a worker."""


@dataclass(frozen=True)
class Data:
    """What a run learns from; `fingerprint` changes with the content or role of any file."""

    found: Found
    fingerprint: str


def train(data: str, out: str, config: TrainConfig, job: TrainJob, *, chosen: Collection[str]) -> None:
    """Fit a network on the labelled photos of `data` and write a model folder to `out`, each a folder or s3://.

    Resumes an unfinished run of the same recipe and data; `chosen` names the fields of `config` that the user gave, all
    others are as they were in that run. Raises GlassegError for unusable data, an OUT that holds a finished model or
    another run, or a recipe that does not fit.
    """
    root = open_root(out, endpoint_url=job.endpoint_url)
    resume.refuse_finished(root, overwrite=job.overwrite)
    if not job.overwrite:
        config = resume.resumed(config, resume.unfinished(root) or {}, chosen)
    start = _start(job.start_from, config.preset, job.endpoint_url) if job.start_from else None
    if config.batch % job.workers:
        raise GlassegError(f"a batch of {config.batch} can't be shared evenly by {job.workers} workers")
    found = find(data, job)
    check_writable(root)
    share = 1 if given_cluster(job.address) else max(1, available_cpus() // job.workers)
    cpus = job.cpus_per_worker or share
    say(f"Training {config.preset} on {data}, into {root.uri}")
    with engine(job.address, cpus=job.workers * (cpus + job.loader_cpus) + 1, verbose=job.verbose):
        _refuse_crowd(job.workers, cpus, job.gpus_per_worker, job.loader_cpus)
        checked = _checked(found, config, job.max_bad, job.endpoint_url)
        about = _about(name_of(data), checked, config, start, given_apart=job.val is not None)
        about["started_from"] = resume.begin_or_resume(root, about, overwrite=job.overwrite)
        resume.write(root, finish.SPLIT, splits.as_csv(checked.found))
        course = Course(
            found=checked.found,
            config=config,
            out=root.uri,
            about=about,
            start=start,
            workers=job.workers,
            cpus=cpus,
            gpus=job.gpus_per_worker,
            loader_cpus=job.loader_cpus,
            checkpoint_minutes=job.checkpoint_minutes,
            endpoint_url=job.endpoint_url,
        )
        _fit(root, course, verbose=job.verbose)
        finish.finish(root, course)
    resume.clear_finished(root)
    say(f"Model: {root.uri}")


def find(data: str, job: TrainJob) -> Found:
    """The labelled photos, cutouts and backgrounds of a run, with the splits that the data names; no photo is read yet.

    With `job.val` everything else that names no other split is trained on. Raises GlassegError for a place that can't
    be used.
    """
    found = pairs.find(data, cutouts=job.cutouts, backgrounds=job.backgrounds, endpoint_url=job.endpoint_url)
    if job.corrections:
        found = _together(found, reviewed_photos.find(job.corrections, endpoint_url=job.endpoint_url))
    if not job.val:
        return found
    other = pairs.find(job.val, endpoint_url=job.endpoint_url)
    validating = {f"{p.root}/{p.photo}" for p in other.pairs}  # --val may lie inside DATA
    training = [p for p in found.pairs if p.correction or f"{p.root}/{p.photo}" not in validating]
    return _together(
        replace(found, pairs=[replace(p, split=Split.TRAIN) if p.split in {"", *Split} else p for p in training]),
        replace(
            other,
            pairs=[replace(p, split=Split.VALIDATION) for p in other.pairs],
            backdrops=[replace(b, split=Split.VALIDATION) for b in other.backdrops],
        ),
    )


def _together(one: Found, other: Found) -> Found:
    return Found(
        [*one.pairs, *other.pairs],
        [*one.backdrops, *other.backdrops],
        [*one.problems, *other.problems],
        dict(Counter(one.left_out) + Counter(other.left_out)),
    )


def _refuse_crowd(workers: int, cpus: int, gpus: int, loader_cpus: int) -> None:
    """Raises GlassegError when the connected cluster is too small: Ray would wait for ever."""
    import ray

    has, wanted = ray.cluster_resources().get("CPU", 0), workers * (cpus + loader_cpus)
    pool = sizing.connected(cpus, gpus)
    if not pool.growing and (pool.now < workers or has < wanted):
        raise GlassegError(
            f"the cluster's {has:g} CPUs have no room for {workers} workers with {cpus} CPUs, "
            f"{gpus} GPUs and {loader_cpus} CPUs to load photos: lower --workers or what each takes"
        )


def _checked(found: Found, config: TrainConfig, max_bad: int, endpoint_url: str | None) -> Data:
    """What can be used, with a split for every photo; reports how much that is."""
    usable, digests = datacheck.check(found, max_bad, endpoint_url=endpoint_url)
    usable = splits.assign(usable, share=config.validation_share, seed=config.seed)
    for split, kinds in _photos(usable).items():
        say(f"  {split}: " + ", ".join(f"{n} {kind}{'s' * (n != 1)}" for kind, n in kinds.items()))
    if reviewed := _reviewed(usable):
        say("  " + " and ".join(f"{n} {word}" for word, n in reviewed.items()) + " by people")
    others = Counter(f"of split {p.split}" for p in usable.pairs if p.split not in [*Split])
    if left_out := {**usable.left_out, **others}:
        say("  left out: " + ", ".join(f"{n} {reason}" for reason, n in left_out.items()))
    if twice := datacheck.on_both_sides(usable, digests):
        say(
            f"  {len(twice)} validation photos are also trained on, under other names (first {twice[0]}): "
            "the scores will be too high"
        )
    return Data(usable, datacheck.fingerprint(usable, digests))


def _photos(found: Found) -> dict[str, dict[str, int]]:
    """Photos by split and kind."""
    counts = Counter((p.split, p.kind) for p in found.pairs if p.split in [*Split])
    return {s: {kind: n for (split, kind), n in sorted(counts.items()) if split == s} for s in Split}


def _reviewed(found: Found) -> dict[str, int]:
    """Photos that people corrected and approved, by word."""
    counts = Counter(str(p.correction.word) for p in found.pairs if p.correction and p.split in [*Split])
    return dict(sorted(counts.items(), reverse=True))


def _start(uri: str, preset: str, endpoint_url: str | None) -> ModelFolder:
    """The model to start from. Raises GlassegError when it has another preset."""
    start = model_folder.load(uri, endpoint_url=endpoint_url)
    if start.spec.preset != preset:
        raise GlassegError(f"--start-from {uri} is a {start.spec.preset} network, which can't start a {preset} one")
    return start


def _about(
    name: str, checked: Data, config: TrainConfig, start: ModelFolder | None, *, given_apart: bool
) -> dict[str, Any]:
    """What `model.json` records besides the results: no path of this machine.

    `name`: of the data. `given_apart`: whether the validation photos came from a place of their own.
    """
    found = checked.found
    hashed = {"seed": config.seed, "share": config.validation_share, "how": "stable hash of the group"}
    packages = ("glasseg", "tensorflow", "keras", "ray", "numpy", "opencv-python-headless")
    return {
        "recipe": asdict(config),
        "started_from": start.spec.model_id if start else None,
        "data": {
            "name": name,
            "fingerprint": checked.fingerprint,
            "photos": _photos(found),
            "backgrounds": dict(Counter(b.split for b in found.backdrops)),
            "skipped": len(found.problems),
            **({"corrections": reviewed} if (reviewed := _reviewed(found)) else {}),
        },
        "split": {"how": "--val"} if given_apart else hashed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def _fit(root: Root, course: Course, *, verbose: bool) -> None:
    """Run `course` by Ray Train. Raises GlassegError when a worker gave up."""
    import ray
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.exceptions import TrainingFailedError

    with quiet_stderr(verbose):
        from ray.train.tensorflow import TensorflowTrainer

    resources = {"CPU": course.cpus, **({"GPU": course.gpus} if course.gpus else {})}
    filesystem, place = _ray_storage(root)
    with board_of_lines() as board:
        trainer = TensorflowTrainer(
            fit,
            train_loop_config={"course": replace(course, board=board)},
            scaling_config=ScalingConfig(
                num_workers=course.workers, use_gpu=course.gpus > 0, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name="ray",
                storage_path=place,
                storage_filesystem=filesystem,
                failure_config=FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
            ),
        )
        # after Ctrl-C Ray's own handler would end with exit code 0, and it stays installed when training is over
        trainer._register_sigint_handler = lambda controller: None
        try:
            trainer.fit()
        except TrainingFailedError as error:
            if fatal := ray.get(board.fatal.remote()):
                raise GlassegError(fatal) from error
            raise


def _ray_storage(root: Root) -> tuple[Any, str]:
    """The filesystem (None: Ray chooses) and the path below which Ray Train keeps its checkpoints."""
    if not isinstance(root, Bucket):
        return None, str(root.path / resume.UNFINISHED)
    if root.bucket.startswith("arn:"):
        raise GlassegError(f"Ray can't keep checkpoints in {root.uri}: give the alias of the access point (…-s3alias)")
    import boto3
    from pyarrow.fs import S3FileSystem

    session = boto3.session.Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise GlassegError(f"no credentials for {root.uri}: set AWS_ACCESS_KEY_ID or a profile")
    key = credentials.get_frozen_credentials()
    # a role's keys expire within hours: Arrow finds those itself, and renews them
    lasting = credentials.method not in EXPIRING
    keys = {"access_key": key.access_key, "secret_key": key.secret_key, "session_token": key.token} if lasting else {}
    scheme, _, host = root.endpoint().partition("://")
    server = {} if ".amazonaws." in host else {"endpoint_override": host.rstrip("/"), "scheme": scheme}
    filesystem = S3FileSystem(region=session.region_name, **keys, **server)
    return filesystem, f"{root.bucket}/{root.prefix}/{resume.UNFINISHED}".replace("//", "/").rstrip("/")
