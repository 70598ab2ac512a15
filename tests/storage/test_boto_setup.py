"""What is wrong with the set-up of boto3 is said in one line that names it, before anything is signed or sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from s3server import free_ports

from glasseg.errors import GlassegError
from glasseg.storage.credentials import without_credentials, without_secrets
from glasseg.storage.roots import Bucket, open_root
from jobs.train.run import _ray_storage

KEY, SECRET, TOKEN = "AKIAPLANTEDDONOTPRINT", "planted/secret+do/not=print", "planted-token-do-not-print=="
SIGNED = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
PIECES = ("PLANTED", "DONOTPRINT", "planted", "do-not-print", "not=print", "Signature", "Traceback")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment with credentials, a server that is not there, and nothing else that boto3 reads."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name == "REQUESTS_CA_BUNDLE":
            monkeypatch.delenv(name)
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    for name, value in {**SIGNED, "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))


def said() -> str:
    """What a run's first request to its bucket ends with, once it is sure that it is one line without a secret."""
    with pytest.raises(GlassegError) as error:
        Bucket("photos", "raw").holds_anything()
    message = str(error.value)
    assert "\n" not in message
    assert not [piece for piece in PIECES if piece in message], message
    return message


@pytest.mark.parametrize(
    ("name", "value", "trouble"),
    [
        ("AWS_ACCESS_KEY_ID", KEY + "\n", "a line break"),
        ("AWS_ACCESS_KEY_ID", "AKIAPLANTED\nDONOTPRINT", "a line break"),
        ("AWS_ACCESS_KEY_ID", KEY + "\r", "a line break"),
        ("AWS_ACCESS_KEY_ID", f" {KEY}", "a blank"),
        ("AWS_ACCESS_KEY_ID", f"“{KEY}”", "a letter that is not ASCII"),
        ("AWS_SECRET_ACCESS_KEY", SECRET + "\n", "a line break"),
        ("AWS_SECRET_ACCESS_KEY", SECRET + "\u200b", "an invisible character"),
        ("AWS_SESSION_TOKEN", "planted-token\n-do-not-print==", "a line break"),
        ("AWS_SESSION_TOKEN", TOKEN + "\x1b", "an invisible character"),
        ("AWS_SECURITY_TOKEN", TOKEN + "\nmore", "a line break"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN + "\n", "a line break"),
        ("AWS_DEFAULT_REGION", "us-east-1\n", "a line break"),
        ("AWS_DEFAULT_REGION", "us-east-1 ", "a blank"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9\n", "a line break"),
        ("AWS_PROFILE", "work\n", "a line break"),
    ],
)
def test_a_variable_that_can_not_be_sent_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, trouble: str
) -> None:
    monkeypatch.setenv(name, value)
    assert said() == f"{name} has {trouble} in it: set it again without"


def test_an_empty_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "")
    assert said() == "AWS_PROFILE is set, but empty: unset it, or name a profile"


@pytest.mark.parametrize("region", ["us_east_1", SECRET, "-", "eu-central-1,eu-west-1"])
def test_what_is_no_region_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert "AWS_DEFAULT_REGION is not the name of a region" in said()


@pytest.mark.parametrize(
    ("token", "words"),
    [("planted-token\n    -do-not-print", "the session token .* 'default' has a line break"), ("planted ", "reach")],
)
def test_credentials_of_a_file_are_looked_at_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str, words: str
) -> None:
    for name in SIGNED:
        monkeypatch.delenv(name)
    written = f"aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\naws_session_token = {token}\n"
    (tmp_path / "credentials").write_text(f"[default]\n{written}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with pytest.raises(GlassegError, match=words):
        Bucket("photos").holds_anything()
    assert said()
    assert KEY not in without_credentials(f"a library quotes {KEY}"), "what came from a file is a secret, too"


GIVES_NONE = "the credential_process of the profile 'default' gives no credentials"
FAILS = "the credential_process of the profile gives no credentials: run it by hand"
PROGRAMS = {
    "/no/such/program --password planted": f"{GIVES_NONE} (No such file or directory): run it by hand",
    "echo Please log in first": f"{GIVES_NONE}: run it by hand",
    "echo []": f"{GIVES_NONE}: run it by hand",
    "echo {}": FAILS,
    "echo 'planted": f"{GIVES_NONE}: run it by hand",
    "sh -c 'echo planted-token >&2; exit 3'": FAILS,
    """echo '{"Version": 1, "AccessKeyId": "AKIAPLANTED"}'""": FAILS,
    r"""printf '{"Version":1,"AccessKeyId":"AKIAPLANTED\\nX","SecretAccessKey":"planted"}'""": "has a line break in it",
}
ROLE = "role_arn = arn:aws:iam::1:role/x"
PROFILES = {
    "s3 = addressing_style=path": "'default' has its settings for s3 on one line: write `s3 =`, and each",
    "services = x\n[services x]\ns3 = endpoint_url=http://x": "has its settings for s3 on one line",
    "s3 =\n    addressing_style = pathy": "S3 addressing style pathy is invalid",
    "region = us east": "the region of the profile 'default' is not the name of a region",
    "metadata_service_timeout = long": "no AWS credentials: check the AWS_ variables, the profile 'default'",
    "[default]": "Unable to parse config file",
    ROLE: "incomplete AWS credentials for s3://photos/raw: source_profile or credential_source is missing",
    f"{ROLE}\nweb_identity_token_file = /no/such": "no AWS credentials (No such file or directory): check web_identity",
    f"{ROLE}\nsource_profile = other": 'source_profile "other" referenced in the profile "default" does not exist',
    "sso_session = nope\nsso_account_id = 1\nsso_role_name = r": "sso-session does not exist",
    **{f"credential_process = {program}": words for program, words in PROGRAMS.items()},
}


@pytest.mark.parametrize("lines", PROFILES)
def test_what_is_wrong_in_a_profile_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str) -> None:
    for name in SIGNED:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[default]\n{lines}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert PROFILES[lines] in said()


def test_an_mfa_code_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = f"aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}"
    role = f"{ROLE}\nsource_profile = keys\nmfa_serial = arn:aws:iam::1:mfa/x"
    (tmp_path / "config").write_text(f"[profile keys]\n{keys}\n[profile work]\n{role}\n")
    for name in SIGNED:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    ask = "from glasseg.storage.roots import Bucket; Bucket('photos').holds_anything()"
    # in a session of its own, where there is no terminal to ask on
    asked = subprocess.run(
        [sys.executable, "-c", ask],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert "GlassegError: no AWS credentials: an MFA code is asked for: log in first" in asked.stderr


def test_files_that_are_not_there_are_named_when_no_credentials_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SIGNED:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file")
    assert said().endswith("or a profile; AWS_SHARED_CREDENTIALS_FILE names no file")


@pytest.mark.parametrize(
    ("content", "cause"), [(None, "No such file or directory"), ("no certificate", "no certificate in it")]
)
@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_file_of_certificates_that_can_not_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: str | None, cause: str
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:9")
    assert said() == f"{name} is to name a file of certificates: {tmp_path}/ca.pem: {cause}"


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:planted#pw@127.0.0.1:9",
        "http://user:planted/pw@127.0.0.1:9",
        "http://user:planted?pw@127.0.0.1:9",
        "http://user:planted@127.0.0.1:port",
        "http://user:planted\n@127.0.0.1:9",
        "socks5://user:planted@127.0.0.1:9",
    ],
)
def test_a_proxy_that_is_no_address_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:9")
    assert "HTTP_PROXY is not an address like http://host:port" in said()


def test_a_proxy_that_is_not_there_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://user:planted@127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1:9")
    assert said().endswith("check HTTP_PROXY and HTTPS_PROXY")


@pytest.mark.parametrize("endpoint", ["someone:planted@s3.example.com", "s3.example.com"])
def test_an_endpoint_without_a_scheme_is_said_without_its_password(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert said().endswith("s3.example.com; an endpoint looks like https://host:port")


def test_an_underscore_in_the_name_of_a_host_is_thought_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://my_minio:9000")
    assert said().endswith("an endpoint looks like https://host:port, without _ in the name of the host")


def test_a_region_that_does_not_exist_is_thought_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-esat-1")
    assert "us-esat-1" in (message := said()) and "check the region and the network" in message


@pytest.mark.parametrize(
    "text",
    [
        f"Invalid header value b'AWS4-HMAC-SHA256 Credential={KEY}/20261129/s3, Signature=bc3c54cdplanted'",
        f"Invalid header value b'{TOKEN}'",
        f"GET /raw?X-Amz-Credential=AKIAPLANTED&X-Amz-Signature=planted for {SECRET}",
        "wget http://someone:planted@proxy:3128/x and someone:planted@proxy",
        "planted%2Fsecret%2Bdo%2Fnot%3Dprint in a query",
    ],
)
def test_texts_of_others_are_told_without_secrets(text: str) -> None:
    assert not [piece for piece in PIECES if piece in without_secrets(text).replace("Signature=…", "")]


def test_an_access_point_is_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    arn = "arn:aws:s3:eu-central-1:123456789012:accesspoint/shop"
    for shape in (arn, arn.replace("accesspoint/", "accesspoint:")):
        root = open_root(f"s3://{shape}/raw/new/")
        assert isinstance(root, Bucket)
        assert (root.bucket, root.prefix, root.uri) == (shape, "raw/new", f"s3://{shape}/raw/new")
        assert open_root(root.uri) == root
        signed = root._client().generate_presigned_url("get_object", {"Bucket": root.bucket, "Key": "raw/new/a.jpg"})
        assert urlsplit(signed).hostname == "shop-123456789012.s3-accesspoint.eu-central-1.amazonaws.com"
        assert urlsplit(signed).path == "/raw/new/a.jpg"


@pytest.mark.parametrize("uri", ["s3://src//a", "s3://src//", "s3://src/a//", "s3://src///a/"])
def test_a_folder_without_a_name_is_not_silently_another(uri: str) -> None:
    with pytest.raises(GlassegError, match=r"has a folder without a name, .*: write s3://src") as error:
        open_root(uri)
    assert error.value.exit_code == 2


def test_a_program_that_gives_no_new_credentials_ends_the_run_without_its_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in SIGNED:
        monkeypatch.delenv(name)
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    keys = {"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "Expiration": soon}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/keys.json\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    root = Bucket("photos", "raw")
    root._client()
    for content, words in (("{}", FAILS), ("planted, log in", "can't use s3://photos/raw/a.jpg: JSONDecodeError")):
        (tmp_path / "keys.json").write_text(content)
        with pytest.raises(GlassegError) as error:
            root.read("a.jpg")
        assert words in str(error.value) and "planted" not in str(error.value)


def test_checkpoints_are_not_kept_at_an_access_point() -> None:
    with pytest.raises(GlassegError, match="alias") as error:
        _ray_storage(Bucket("arn:aws:s3:eu-central-1:123456789012:accesspoint/shop", "mine"))
    assert "s3://arn:" in str(error.value)
