"""The files in cluster/, as far as that goes without a cluster: against schemas, models of APIs and real parsers."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml
from guides import GUIDES, commands, first_cells, parse
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from glasseg import __version__

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
KUBERNETES = "1.36"
MANIFESTS = ("access.yaml", "raycluster.yaml", "whiten-job.yaml", "train-job.yaml", "nightly.yaml")
LAUNCHER = "aws.yaml"
POLICIES = ("iam-head.json", "iam-photos.json", "iam-train.json")

# fields of ray.io/v1 that we use; a wrong one would be dropped by the server without a word
CLUSTER_KEYS = {
    *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions"),
    *("headGroupSpec", "workerGroupSpecs"),
}
JOB_KEYS = {
    *("entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit"),
    *("submitterPodTemplate", "rayClusterSpec"),
}
HEAD_KEYS = {"serviceType", "rayStartParams", "template"}
GROUP_KEYS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((CLUSTER / name).read_text()))


OBJECTS = {f"{name} {one['kind']}": one for name in MANIFESTS for one in documents(name)}
RAY_OBJECTS = {name: one for name, one in OBJECTS.items() if one["apiVersion"] == "ray.io/v1"}
RAY_CLUSTERS = {name: one["spec"].get("rayClusterSpec", one["spec"]) for name, one in RAY_OBJECTS.items()}


def pod_specs(tree: Any) -> Iterator[dict[str, Any]]:
    """Every pod's spec in a manifest, wherever it stands."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree if isinstance(tree, list) else ()):
        if key in {"template", "submitterPodTemplate"}:
            yield value["spec"]
        yield from pod_specs(value)


PODS = [pytest.param(pod, id=f"{name} {i}") for name, one in OBJECTS.items() for i, pod in enumerate(pod_specs(one))]


def check_pod(spec: dict[str, Any]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)


# Kubernetes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in OBJECTS if name not in RAY_OBJECTS])
def test_what_kubernetes_knows_fits_its_schema(name: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], KUBERNETES, strict=True)


@pytest.mark.parametrize("spec", PODS)
def test_pods_fit_the_schema_and_may_do_little(spec: dict[str, Any]) -> None:
    check_pod(spec)
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == 1000, "a name would not do: kubelet can't tell that it is not root's"
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        resources = container["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]
        assert not [one for one in container.get("env", ()) if "value" in one and re.search("KEY|TOKEN", one["name"])]


def test_a_misspelled_field_of_a_pod_is_found() -> None:
    [spec] = pod_specs(documents("nightly.yaml")[0]["spec"]["jobTemplate"])
    with pytest.raises(kubernetes_validate.ValidationError):
        check_pod({**spec, "securityContex": {}})


@pytest.mark.parametrize("spec", RAY_CLUSTERS.values(), ids=RAY_CLUSTERS)
def test_ray_clusters_have_the_fields_of_kuberay(spec: dict[str, Any]) -> None:
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    assert spec.keys() <= CLUSTER_KEYS
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"].keys() <= HEAD_KEYS
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in spec["workerGroupSpecs"]:
        assert group.keys() == GROUP_KEYS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert {f"--{name}" for name in group["rayStartParams"]} <= known
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    if options := spec.get("autoscalerOptions"):
        assert options.keys() <= {"idleTimeoutSeconds", "resources", "securityContext"}
        beside = {key: options[key] for key in ("resources", "securityContext")}
        check_pod({"containers": [{"name": "autoscaler", "image": "autoscaler", **beside}]})
    assert ("autoscalerOptions" in spec) == spec.get("enableInTreeAutoscaling", False)


@pytest.mark.parametrize("name", ["whiten-job.yaml", "train-job.yaml"])
def test_ray_jobs_have_the_fields_of_kuberay_and_all_their_workers_from_the_start(name: str) -> None:
    [job] = documents(name)
    assert job["kind"] == "RayJob"
    assert job["spec"].keys() == JOB_KEYS
    for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == group["maxReplicas"]


def test_training_has_room_on_its_cluster() -> None:
    [job] = documents("train-job.yaml")
    given = parse(job["spec"]["entrypoint"]).params
    [group] = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    [container] = group["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert given["workers"] == group["replicas"]
    assert given["gpus_per_worker"] == int(limits["nvidia.com/gpu"])
    assert (given["cpus_per_worker"] or 1) + given["loader_cpus"] <= int(limits["cpu"])


def test_the_night_asks_the_standing_cluster_with_its_token() -> None:
    [cluster], [night] = documents("raycluster.yaml"), documents("nightly.yaml")
    [spec] = pod_specs(night["spec"]["jobTemplate"])
    [container] = spec["containers"]
    name = cluster["metadata"]["name"]
    assert night["spec"]["concurrencyPolicy"] == "Forbid"
    assert spec["restartPolicy"] == "Never"
    [command] = [one for one in commands_of("nightly.yaml") if " submit " in one]
    submit = parse(command)
    assert submit.params["address"] == f"http://{name}-head-svc:8265"
    assert not submit.params["no_wait"], "the pod would be done before the photos"
    [token] = [one for one in container["env"] if one["name"] == "RAY_AUTH_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": name, "key": "auth_token"}
    groups = cluster["spec"]["workerGroupSpecs"]
    assert groups[0]["minReplicas"] >= 1, "glasseg refuses a cluster without room for one worker"


# Commands ------------------------------------------------------------------------------------------------------------


def commands_of(name: str) -> list[str]:
    """The commands of `glasseg` and `ray` in a manifest."""
    found = []
    for one in documents(name):
        stack: list[Any] = [one]
        while stack:
            item = stack.pop()
            if isinstance(item, str) and item.startswith(("glasseg ", "ray ")):
                found.append(item)
            stack += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return found


COMMANDS = [
    *(pytest.param(command, id=f"{name}: {command[:40]}") for name in MANIFESTS for command in commands_of(name)),
    *(
        pytest.param(command, id=f"cluster/README.md: {command[:40]}")
        for command in commands("cluster/README.md", programs=("ray",))
    ),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    assert "\n" not in command
    given = parse(command).params
    if carried := shlex.join(given.get("entrypoint", ())) or given.get("cmd"):  # of `ray job submit`, of `ray exec`
        assert carried.startswith("glasseg ")
        parse(carried)


def test_there_are_commands_to_understand() -> None:
    assert len(COMMANDS) >= 6
    for name in ("whiten-job.yaml", "train-job.yaml", "nightly.yaml"):
        assert commands_of(name)


def test_unknown_options_are_found() -> None:
    for command in ("glasseg whiten a b --wokers 3", "ray job submit --adress x -- glasseg status a", "ray upp x"):
        with pytest.raises((click.UsageError, KeyError)):
            parse(command)


def test_the_readme_explains_every_file() -> None:
    files = {path.name for path in CLUSTER.iterdir()} - {"README.md"}
    assert files <= set(first_cells(GUIDES["cluster/README.md"]))


# Versions ------------------------------------------------------------------------------------------------------------


def pins() -> dict[str, str]:
    """Names and versions of constraints.txt, which holds nothing else."""
    lines = [line for line in (CLUSTER / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["gpu"]])
def test_pins_lie_within_the_bounds_of_the_package(line: str) -> None:
    wanted = Requirement(line)
    assert wanted.specifier.contains(pins()[canonicalize_name(wanted.name)])


def test_pins_hold_the_cuda_of_tensorflow() -> None:
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12", "nvidia-cuda-runtime-cu12"} <= pins().keys()


def test_one_ray_everywhere() -> None:
    texts = {path: path.read_text() for path in CLUSTER.iterdir() if path.suffix != ".txt"}
    ray = pins()["ray"]
    assert re.search(r"^ARG RAY_VERSION=(.*)$", texts[CLUSTER / "Dockerfile"], re.M)[1] == ray  # type: ignore[index]
    assert {spec["rayVersion"] for spec in RAY_CLUSTERS.values()} == {ray}
    images = {image for text in texts.values() for image in re.findall(r"registry\.example\.com/\S+", text)}
    tag = f"registry.example.com/glasseg:{__version__}-ray{ray}"
    assert images == {f"{tag}-cpu", f"{tag}-gpu"}
    assert f"'ray[default]=={ray}'" in (CLUSTER / "constraints.txt").read_text(), "the command that makes the pins"


# Image ---------------------------------------------------------------------------------------------------------------


def test_the_dockerfile_passes_its_linter() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, CLUSTER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_gets_all_that_it_copies_and_little_else() -> None:
    text = (CLUSTER / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY \S+ (.*)$", text, re.M) for word in line.split()[:-1]]
    ignore = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert all((ROOT / name).exists() for name in copied)
    assert ignore[0] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == set(copied)
    assert re.findall(r"^USER (\S+)$", text, re.M) == ["1000:100"]


# AWS -----------------------------------------------------------------------------------------------------------------


def policy(name: str) -> list[dict[str, Any]]:
    """The statements of a policy, with lists where JSON may have a single word."""
    whole = json.loads((CLUSTER / name).read_text())
    assert whole["Version"] == "2012-10-17"
    assert {one["Effect"] for one in whole["Statement"]} == {"Allow"}
    return [
        {**one, **{key: [one[key]] if isinstance(one[key], str) else one[key] for key in ("Action", "Resource")}}
        for one in whole["Statement"]
    ]


def model(service: str) -> Any:
    """What botocore knows of a service; touches no network and needs no keys."""
    import botocore.session

    return botocore.session.get_session().get_service_model(service)


def test_the_launcher_takes_its_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load((CLUSTER / LAUNCHER).read_text()))
    validate_config(config)
    assert config["head_node_type"] in config["available_node_types"]
    for name, kind in config["available_node_types"].items():
        assert ("InstanceMarketOptions" in kind["node_config"]) == (name != config["head_node_type"])


def test_ec2_takes_the_machines_of_the_launcher() -> None:
    from botocore.validate import ParamValidator

    shape = model("ec2").operation_model("RunInstances").input_shape
    for kind in documents(LAUNCHER)[0]["available_node_types"].values():
        machine = {key: value for key, value in kind["node_config"].items() if key != "SubnetIds"}  # Ray's own
        report = ParamValidator().validate({**machine, "MinCount": 1, "MaxCount": 1}, shape)
        assert not report.has_errors(), report.generate_report()
        assert machine.keys() <= shape.members.keys()


@pytest.mark.parametrize("name", POLICIES)
def test_policies_name_every_action_and_narrow_it(name: str) -> None:
    known = {f"{service}:{one}" for service in ("ec2", "s3") for one in model(service).operation_names}
    for statement in policy(name):
        assert set(statement["Action"]) <= known | {"s3:ListBucket", "iam:PassRole"}
        if "*" in statement["Resource"]:
            assert all(action.startswith("ec2:Describe") for action in statement["Action"])


def test_the_head_may_launch_what_the_launcher_asks_for() -> None:
    [config] = documents(LAUNCHER)
    statements = policy("iam-head.json")
    granted = {resource for one in statements if "ec2:RunInstances" in one["Action"] for resource in one["Resource"]}
    passed = {resource for one in statements if "iam:PassRole" in one["Action"] for resource in one["Resource"]}
    for kind in config["available_node_types"].values():
        machine = kind["node_config"]
        for wanted in (
            f"image/{machine['ImageId']}",
            f"key-pair/{machine['KeyName']}",
            *(f"subnet/{one}" for one in machine["SubnetIds"]),
            *(f"security-group/{one}" for one in machine["SecurityGroupIds"]),
        ):
            assert [one for one in granted if one.endswith(":" + wanted)], wanted
        assert [one for one in passed if one.endswith(f":role/{machine['IamInstanceProfile']['Name']}")]
    tags = [one["Condition"]["StringEquals"] for one in statements if "Condition" in one]
    names = {value for tag in tags for key, value in tag.items() if key.endswith("/ray-cluster-name")}
    assert names == {config["cluster_name"]}


def listed(statement: dict[str, Any]) -> list[str]:
    """The prefixes that a statement lets one list."""
    [condition] = statement["Condition"].values()
    return list(condition["s3:prefix"])


def may(name: str, action: str, uri: str) -> bool:
    """Whether a policy allows an S3 action on an object, or ListBucket of a prefix."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    listing = action == "s3:ListBucket"
    arn = f"arn:aws:s3:::{bucket}" if listing else f"arn:aws:s3:::{bucket}/{key}"
    return any(
        action in one["Action"]
        and any(fnmatchcase(arn, resource) for resource in one["Resource"])
        and (not listing or any(fnmatchcase(key, prefix) for prefix in listed(one)))
        for one in policy(name)
    )


@pytest.mark.parametrize("name", ["whiten-job.yaml", "nightly.yaml"])
def test_whitening_may_do_what_it_does_and_no_more(name: str) -> None:
    command = next(one for one in commands_of(name) if " whiten " in one)
    src, dst = re.findall(r"s3://\S+", command)
    for action, uri in (
        ("s3:ListBucket", f"{src}/"),
        ("s3:GetObject", f"{src}/a/b.jpg"),
        ("s3:ListBucket", f"{dst}/"),
        ("s3:PutObject", f"{dst}/a/b.jpg"),
        ("s3:GetObject", f"{dst}/a/b.jpg"),  # the page shows what came before
        ("s3:GetObject", f"{dst}/_glasseg/lock.json"),
        ("s3:PutObject", f"{dst}/_glasseg/lock.json"),
        ("s3:DeleteObject", f"{dst}/_glasseg/lock.json"),
    ):
        assert may("iam-photos.json", action, uri), (action, uri)
    for action, uri in (
        ("s3:PutObject", f"{src}/a/b.jpg"),
        ("s3:DeleteObject", f"{src}/a/b.jpg"),
        ("s3:DeleteObject", f"{dst}/a/b.jpg"),
        ("s3:GetObject", "s3://shop/other/a.jpg"),
        ("s3:ListBucket", "s3://shop/"),
    ):
        assert not may("iam-photos.json", action, uri), (action, uri)


def test_training_may_do_what_it_does_and_no_more() -> None:
    data, out = re.findall(r"s3://\S+", commands_of("train-job.yaml")[0])
    for action, uri in (
        ("s3:ListBucket", f"{data}/"),
        ("s3:GetObject", f"{data}/a.jpg"),
        ("s3:ListBucket", f"{out}/"),
        *((f"s3:{verb}Object", f"{out}/_training/run.json") for verb in ("Get", "Put", "Delete")),
    ):
        assert may("iam-train.json", action, uri), (action, uri)
    assert not may("iam-train.json", "s3:DeleteObject", f"{data}/a.jpg")
    assert not may("iam-train.json", "s3:PutObject", f"{data}/a.jpg")
