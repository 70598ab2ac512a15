"""`glasseg train`: labelled photos in, a model folder with its metrics and pictures out, by Ray Train."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, Final

from glasseg.config import TrainConfig, TrainJob
from glasseg.errors import GlassegError
from glasseg.labels import pairs, splits
from glasseg.labels.pairs import Found, Split
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.storage.roots import Bucket, Root, check_writable, name_of, open_root
from glasseg.training.samples import Samples
from jobs import sizing
from jobs.engine import available_cpus, engine, given_cluster, quiet_stderr
from jobs.terminal import say
from jobs.train import datacheck, finish, resume
from jobs.train.board import board_of_lines
from jobs.train.course import Course
from jobs.train.loop import fit

EXPIRING: Final = {"iam-role", "container-role", "assume-role", "assume-role-with-web-identity"}
"""What botocore calls ways to get keys that expire and that Arrow knows as well."""
MAX_FAILURES: Final = 8
"""Times that a run starts again from its last checkpoint after losing a worker."""


@dataclass(frozen=True)
class Data:
    """What a run learns from; `fingerprint` changes with the content or the role of any file."""

    found: Found
    fingerprint: str


def train(data: str, out: str, config: TrainConfig, job: TrainJob, *, chosen: Collection[str]) -> None:
    """Fit a network on the labelled photos of `data` and write a model folder to `out`, each a folder or s3://.

    Goes on where an unfinished run of the same recipe and data stopped; `chosen` names the fields of `config` that
    somebody asked for, all others are as they were in that run. Raises GlassegError for unusable data, an OUT that is
    finished or another run's, or a recipe that does not fit.
    """
    root = open_root(out, endpoint_url=job.endpoint_url)
    resume.refuse_finished(root, overwrite=job.overwrite)
    if not job.overwrite:
        config = resume.resumed(config, resume.unfinished(root) or {}, chosen)
    start = _start(config, job)
    if config.batch % job.workers:
        raise GlassegError(f"a batch of {config.batch} can't be shared evenly by {job.workers} workers")
    found = find(data, job)
    check_writable(root)
    mine = 1 if given_cluster(job.address) else max(1, available_cpus() // job.workers)
    cpus = job.cpus_per_worker or mine
    say(f"Training {config.preset} on {data}, into {root.uri}")
    with engine(job.address, cpus=job.workers * (cpus + job.loader_cpus) + 1, verbose=job.verbose):
        _refuse_crowd(cpus, job)
        checked = _checked(found, config, job)
        about = _about(data, checked, config, job, start)
        about["started_from"] = resume.begin_or_resume(root, about, overwrite=job.overwrite)
        resume.write(root, finish.SPLIT, splits.as_csv(checked.found))
        _fit(root, checked.found, config, job, about=about, start=start, cpus=cpus)
        finish.finish(root, checked.found, config, job, cpus)
    resume.clear_finished(root)
    say(f"Model: {root.uri}")


def find(data: str, job: TrainJob) -> Found:
    """The labelled photos, cutouts and backgrounds of a run, split as far as the data says; nothing is read yet."""
    found = pairs.find(data, cutouts=job.cutouts, backgrounds=job.backgrounds, endpoint_url=job.endpoint_url)
    if not job.val:
        return found
    other = pairs.find(job.val, endpoint_url=job.endpoint_url)
    validating = {f"{p.root}/{p.photo}" for p in other.pairs}  # --val may lie inside of DATA
    training = [p for p in found.pairs if f"{p.root}/{p.photo}" not in validating]
    return Found(
        [
            *(replace(p, split=Split.TRAIN) if p.split in {"", *Split} else p for p in training),
            *(replace(p, split=Split.VALIDATION) for p in other.pairs),
        ],
        [*found.backdrops, *(replace(b, split=Split.VALIDATION) for b in other.backdrops)],
        [*found.problems, *other.problems],
        dict(Counter(found.left_out) + Counter(other.left_out)),
    )


def _refuse_crowd(cpus: int, job: TrainJob) -> None:
    """Raises GlassegError when the connected cluster is too small: Ray would wait for ever."""
    import ray

    has, wanted = ray.cluster_resources().get("CPU", 0), job.workers * (cpus + job.loader_cpus)
    pool = sizing.connected(cpus, job.gpus_per_worker)
    if not pool.growing and (pool.now < job.workers or has < wanted):
        raise GlassegError(
            f"the cluster's {has:g} CPUs have no room for {job.workers} workers with {cpus} CPUs, "
            f"{job.gpus_per_worker} GPUs and {job.loader_cpus} CPUs to load photos: lower --workers or what each takes"
        )


def _checked(found: Found, config: TrainConfig, job: TrainJob) -> Data:
    """What can be used, split; says how much that is."""
    usable, digests = datacheck.check(found, job.max_bad, endpoint_url=job.endpoint_url)
    usable = splits.assign(usable, share=config.validation_share, seed=config.seed)
    for split, kinds in _photos(usable).items():
        say(f"  {split}: " + ", ".join(f"{n} {kind}{'s' * (n != 1)}" for kind, n in kinds.items()))
    others = Counter(f"of split {p.split}" for p in usable.pairs if p.split not in [*Split])
    if left_out := {**usable.left_out, **others}:
        say("  left out: " + ", ".join(f"{n} {reason}" for reason, n in left_out.items()))
    if twice := datacheck.on_both_sides(usable, digests):
        say(
            f"  {len(twice)} validation photos are trained on too, under other names (first {twice[0]}): scores flatter"
        )
    return Data(usable, datacheck.fingerprint(usable, digests))


def _photos(found: Found) -> dict[str, dict[str, int]]:
    """Photos by split and kind."""
    counts = Counter((p.split, p.kind) for p in found.pairs if p.split in [*Split])
    return {s: {kind: n for (split, kind), n in sorted(counts.items()) if split == s} for s in Split}


def _start(config: TrainConfig, job: TrainJob) -> ModelFolder | None:
    """The model to start from, of the same preset."""
    if not job.start_from:
        return None
    start = model_folder.load(job.start_from, endpoint_url=job.endpoint_url)
    if start.spec.preset != config.preset:
        raise GlassegError(
            f"--start-from {job.start_from} is a {start.spec.preset} network, which can't start a {config.preset} one"
        )
    return start


def _about(data: str, checked: Data, config: TrainConfig, job: TrainJob, start: ModelFolder | None) -> dict[str, Any]:
    """What `model.json` records besides the results; no path of this machine."""
    found = checked.found
    hashed = {"seed": config.seed, "share": config.validation_share, "how": "stable hash of the group"}
    packages = ("glasseg", "tensorflow", "keras", "ray", "numpy", "opencv-python-headless")
    return {
        "recipe": asdict(config),
        "started_from": start.spec.model_id if start else None,
        "data": {
            "name": name_of(data),
            "fingerprint": checked.fingerprint,
            "photos": _photos(found),
            "backgrounds": dict(Counter(b.split for b in found.backdrops)),
            "skipped": len(found.problems),
        },
        "split": {"how": "--val"} if job.val else hashed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def _fit(root: Root, found: Found, config: TrainConfig, job: TrainJob, **course: Any) -> None:
    """One Ray Train run of `fit`; `course`: the rest of its `Course`. Raises GlassegError when a worker gave up."""
    import ray
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.exceptions import TrainingFailedError

    with quiet_stderr(job.verbose):
        from ray.train.tensorflow import TensorflowTrainer

    samples = Samples(found, config)
    filesystem, place = _ray_storage(root)
    with board_of_lines() as board:
        settings = Course(
            found=found,
            config=config,
            out=root.uri,
            samples=samples.training,
            validation=samples.validation,
            gpus=job.gpus_per_worker,
            loader_cpus=job.loader_cpus,
            checkpoint_minutes=job.checkpoint_minutes,
            endpoint_url=job.endpoint_url,
            board=board,
            **course,
        )
        trainer = TensorflowTrainer(
            fit,
            train_loop_config={"course": settings},
            scaling_config=ScalingConfig(
                num_workers=job.workers,
                use_gpu=job.gpus_per_worker > 0,
                resources_per_worker={
                    "CPU": settings.cpus,
                    **({"GPU": job.gpus_per_worker} if job.gpus_per_worker else {}),
                },
            ),
            run_config=RunConfig(
                name="ray",
                storage_path=place,
                storage_filesystem=filesystem,
                failure_config=FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
            ),
        )
        # Ray's own handler ends a run that Ctrl-C stopped with exit code 0, and stays when training is over
        trainer._register_sigint_handler = lambda controller: None
        try:
            trainer.fit()
        except TrainingFailedError as error:
            if fatal := ray.get(board.fatal.remote()):
                raise GlassegError(fatal) from error
            raise


def _ray_storage(root: Root) -> tuple[Any, str]:
    """The filesystem (None: Ray's own choice) and the path below which Ray Train keeps its checkpoints."""
    if not isinstance(root, Bucket):
        return None, str(root.path / resume.UNFINISHED)
    import boto3
    from pyarrow.fs import S3FileSystem

    session = boto3.session.Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise GlassegError(f"no credentials for {root.uri}: set AWS_ACCESS_KEY_ID or a profile")
    key = credentials.get_frozen_credentials()
    # a role's keys end within hours: Arrow looks for those itself, and renews them
    lasting = credentials.method not in EXPIRING
    keys = {"access_key": key.access_key, "secret_key": key.secret_key, "session_token": key.token} if lasting else {}
    scheme, _, host = root.endpoint().partition("://")
    server = {} if ".amazonaws." in host else {"endpoint_override": host.rstrip("/"), "scheme": scheme}
    filesystem = S3FileSystem(region=session.region_name, **keys, **server)
    return filesystem, f"{root.bucket}/{root.prefix}/{resume.UNFINISHED}".replace("//", "/").rstrip("/")
