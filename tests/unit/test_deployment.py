"""The Dockerfiles and the compose file say the same as the code."""

import importlib.util
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import services
from cli.postgres import LOG_WITHOUT_VALUES
from common.broker import BATCH, INTERACTIVE
from common.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = ("Dockerfile.api", "Dockerfile.worker")
SERVERS = ("postgres", "redis-broker", "redis-cache")
ONE_SHOT = ("migrate", "data", "kalpi")

SECRET = re.compile(r"PASSWORD|SECRET|AUTH|TOKEN", re.IGNORECASE)
INTERPOLATED = re.compile(r"(?<!\$)\$\{(\w+)(?:(:?[-?+])([^}]*))?\}")
NUMERICS = {"pandas", "numpy", "numba", "llvmlite", "pyarrow", "ta-lib"}


@cache
def text(name: str) -> str:
    return (ROOT / name).read_text()


@cache
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text("docker-compose.yml"))
    return loaded


def of_ours() -> dict[str, Any]:
    return {name: service for name, service in compose()["services"].items() if name not in SERVERS}


@cache
def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """(instruction, rest) with continued lines joined and comments left out."""
    lines = [line for line in text(dockerfile).splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    split = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word, rest) for word, rest in split]


def context_sources(dockerfile: str) -> list[str]:
    """What is copied from the repository."""
    copies = [rest.split() for word, rest in instructions(dockerfile) if word == "COPY" and not rest.startswith("--")]
    return [source for words in copies for source in words[:-1]]


def stages(dockerfile: str) -> dict[str, list[tuple[str, str]]]:
    """Instructions by stage; the last one is called `` if it has no name of its own."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions(dockerfile):
        if word == "FROM":
            name = rest.partition(" AS ")[2]
            found[name] = []
        found[name].append((word, rest))
    return found


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command of ours, from both kinds of file, as a list of words."""
    for name, service in of_ours().items():
        yield name, [str(word) for word in service["command"]]
    for dockerfile in DOCKERFILES:
        for word, rest in instructions(dockerfile):
            if word == "CMD":
                yield dockerfile, yaml.safe_load(rest)


def environment(service: Mapping[str, Any]) -> dict[str, str]:
    given = service.get("environment", {})
    assert isinstance(given, dict)
    return {name: str(value) for name, value in given.items()}


# --- the words are the code's


@pytest.mark.parametrize("name", [*DOCKERFILES, "docker-compose.yml", ".env.example"])
def test_every_variable_is_a_setting(name: str) -> None:
    used = set(re.findall(r"\bKALPI_[A-Z_]+", text(name)))
    assert used
    assert used <= {f"KALPI_{field.upper()}" for field in Settings.model_fields}


def test_values_of_settings_are_valid() -> None:
    for name, service in of_ours().items():
        ours = {k: v for k, v in environment(service).items() if k.startswith("KALPI_")}
        filled = {k: INTERPOLATED.sub(lambda m: _filling(m[1], m[3]), v) for k, v in ours.items()}
        fields: dict[str, Any] = {k.removeprefix("KALPI_").lower(): v for k, v in filled.items()}
        settings = Settings(**fields)
        if name not in {"migrate", "flower"}:
            assert settings.broker != settings.cache
            assert settings.database.startswith("postgresql+psycopg2://kalpi:")


def _filling(name: str, default: str) -> str:
    return "0123456789abcdef" * 4 if SECRET.search(name) else default


@pytest.mark.parametrize(("where", "command"), list(commands()))
def test_every_module_exists(where: str, command: list[str]) -> None:
    modules = [after for before, after in pairwise(command) if before in {"-m", "-A"}]
    modules += re.findall(r"python -m ([\w.]+)", " ".join(command))
    assert modules or where in ONE_SHOT
    for module in modules:
        assert importlib.util.find_spec(module) is not None, f"{where}: {module}"


def test_health_checks_name_what_exists() -> None:
    checks = " ".join(
        " ".join(service["healthcheck"]["test"]) for name, service in of_ours().items() if name not in ONE_SHOT
    )
    checks += " ".join(rest for name in DOCKERFILES for word, rest in instructions(name) if word == "HEALTHCHECK")
    operations = text("api/routes/operations.py")
    paths = set(re.findall(r"(/health/\w+)", checks))
    assert paths == {"/health/live", "/health/ready"}
    assert all(f'"{path}"' in operations for path in paths)
    assert 'name="kalpi-sweeper"' in text("worker/sweeper.py")
    assert "application_name = 'kalpi-sweeper'" in checks


def test_every_service_has_a_health_check_or_ends() -> None:
    for name, service in compose()["services"].items():
        assert (name in ONE_SHOT) == (service.get("restart") == "no")
        assert (name in ONE_SHOT) != ("healthcheck" in service)


@pytest.mark.parametrize("command", [c for _, c in commands() if "worker.app" in c])
def test_workers_run_as_kalpi_up_runs_them(command: list[str]) -> None:
    given = services.worker(2, ROOT, {}).argv
    filled = [INTERPOLATED.sub(lambda m: m[3], word) for word in command]
    assert filled[1:] == list(given[1:])
    assert given[given.index("--queues") + 1].split(",") == [INTERACTIVE, BATCH]


@pytest.mark.parametrize("command", [c for _, c in commands() if "flower" in c])
def test_flower_runs_as_kalpi_up_runs_it(command: list[str]) -> None:
    given = services.flower("0.0.0.0", 5555, Path("/var/lib/flower"), "user:password", {})
    assert command[1:] == list(given.argv[1:])
    assert "FLOWER_BASIC_AUTH" in given.env
    assert "FLOWER_BASIC_AUTH" in environment(of_ours()["flower"])


def test_sweeper_runs_as_kalpi_up_runs_it() -> None:
    assert of_ours()["sweeper"]["command"][1:] == list(services.sweeper(ROOT, {}).argv[1:])


# --- images


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_sources_exist_and_are_in_the_context(dockerfile: str) -> None:
    ignored = text(".dockerignore").splitlines()
    assert "*" in ignored
    for source in context_sources(dockerfile):
        assert (ROOT / source).exists()
        assert f"!{Path(source).parts[0]}" in ignored


def test_nothing_else_is_in_the_context() -> None:
    let_in = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert let_in == {Path(s).parts[0] for name in DOCKERFILES for s in context_sources(name)}


def test_the_api_image_has_no_numerics() -> None:
    locked = set(re.findall(r"^([\w-]+)(?:\[.*\])?==", text("locks/api.txt"), re.MULTILINE))
    assert "fastapi" in locked
    assert not locked & NUMERICS
    assert set(context_sources("Dockerfile.api")) == {"locks/api.txt", "locks/remote-results.txt", "api", "common"}
    assert installed("Dockerfile.api", "build") == locked


def test_the_api_image_has_pyarrow_alone_where_results_are_remote() -> None:
    assert ("ARG", "REMOTE_RESULTS=") in stages("Dockerfile.api")["build"]
    assert installed("Dockerfile.api", "build", given=("REMOTE_RESULTS",)) & NUMERICS == {"pyarrow"}


def test_the_worker_image_has_what_its_modules_need() -> None:
    assert {"common", "worker", "cli"} <= set(context_sources("Dockerfile.worker"))
    assert installed("Dockerfile.worker", "build") >= NUMERICS | {"psutil"}


@pytest.mark.parametrize(
    ("dockerfile", "stage"),
    [("Dockerfile.api", "build"), ("Dockerfile.worker", "build"), ("Dockerfile.worker", "build-flower")],
)
def test_every_image_can_reach_the_broker(dockerfile: str, stage: str) -> None:
    needed = [one for one in metadata.requires("kombu") or [] if re.search(r"extra == .redis.", one)]
    assert {re.split(r"[^\w-]", one)[0] for one in needed} <= installed(dockerfile, stage)


def installed(dockerfile: str, stage: str, given: tuple[str, ...] = ()) -> set[str]:
    """Packages of the locks a stage installs from, and those it picks from the lock of everything.

    `given` are build arguments that are set.
    """
    runs = " ".join(rest for word, rest in stages(dockerfile)[stage] if word == "RUN")
    runs = re.sub(r"\$\{(\w+):\+([^}]*)\}", lambda m: m[2] if m[1] in given else "", runs)
    picked = set(re.findall(r"/\^([\w-]+)==/", runs))
    everything = set(re.findall(r"^([\w-]+)==", text("locks/dev.txt"), re.MULTILINE))
    assert picked <= everything
    locks = [name for name in re.findall(r"-r /tmp/([\w-]+\.txt)", runs) if name != "more.txt"]
    return picked.union(*(re.findall(r"^([\w-]+)==", text(f"locks/{name}"), re.MULTILINE) for name in locks))


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_everything_is_installed_by_hash(dockerfile: str) -> None:
    installs = [rest for word, rest in instructions(dockerfile) if word == "RUN" and "pip install" in rest]
    assert installs
    assert all("--require-hashes" in rest for rest in installs)


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_images_run_unprivileged_and_are_checked(dockerfile: str) -> None:
    final = [stage for stage in stages(dockerfile).values() if any(word == "CMD" for word, _ in stage)]
    assert final
    for stage in final:
        words = [word for word, _ in stage]
        assert dict(stage)["USER"] == "10001:10001"
        assert "HEALTHCHECK" in words
        assert words[-1] == "CMD"
    assert not SECRET.search(text(dockerfile))


def test_images_agree_on_the_owner_of_the_state() -> None:
    ids = {tuple(re.findall(r"--[ug]id (\d+)", text(name))) for name in DOCKERFILES}
    assert ids == {("10001", "10001")}


def test_built_images_come_from_these_files() -> None:
    for name, service in of_ours().items():
        build = service["build"]
        assert (ROOT / build["dockerfile"]).is_file()
        assert build.get("target", "") in stages(build["dockerfile"]), name


# --- secrets


@pytest.mark.parametrize("name", ["docker-compose.yml", ".env.example"])
def test_no_secret_has_a_default(name: str) -> None:
    for variable, operator, message in INTERPOLATED.findall(text(name)):
        if SECRET.search(variable):
            assert operator == ":?", variable
            assert message, variable
    for line in text(name).splitlines():
        assigned = re.match(r"(\w+)=(.*)", line)
        if assigned and SECRET.search(assigned[1]):
            assert assigned[2] == "", line


def test_secrets_come_from_the_environment_alone() -> None:
    for name, service in compose()["services"].items():
        for variable, value in environment(service).items():
            if SECRET.search(variable):
                assert INTERPOLATED.fullmatch(value), f"{name}: {variable}"
            assert not re.search(r"://\w*:(?!\$)", value), f"{name}: {variable}"  # a password in an address


def test_the_example_names_every_required_variable() -> None:
    required = {name for name, operator, _ in INTERPOLATED.findall(text("docker-compose.yml")) if operator == ":?"}
    optional = {name for name, operator, _ in INTERPOLATED.findall(text("docker-compose.yml")) if operator == ":-"}
    named = set(re.findall(r"^(\w+)=", text(".env.example"), re.MULTILINE))
    mentioned = dict(re.findall(r"^# (\w+)=(\S+)", text(".env.example"), re.MULTILINE))
    assert named == required
    assert mentioned == {
        name: default
        for name, operator, default in INTERPOLATED.findall(text("docker-compose.yml"))
        if operator == ":-"
    }
    assert set(mentioned) == optional


def test_only_the_api_signs() -> None:
    assert [name for name, s in of_ours().items() if "KALPI_SECRET_KEY" in environment(s)] == ["api"]


# --- what runs


def test_redis_policies() -> None:
    broker = shlex.join(compose()["services"]["redis-broker"]["command"])
    cache_server = shlex.join(compose()["services"]["redis-cache"]["command"])
    for wanted in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert wanted in broker
    for wanted in ("--appendonly no", "--save ''", "--maxmemory-policy allkeys-lru"):
        assert wanted in cache_server
    assert re.search(r"--maxmemory \d+mb", cache_server)
    assert all("--requirepass" in command for command in (broker, cache_server))
    assert "broker:/data" in compose()["services"]["redis-broker"]["volumes"]


def test_postgresql_logs_no_values() -> None:
    first, *options = compose()["services"]["postgres"]["command"]
    assert first == "postgres"
    assert set(options[::2]) == {"-c"}
    assert {f"{name}={value}" for name, value in LOG_WITHOUT_VALUES.items()} < set(options[1::2])


def test_workers_can_be_scaled() -> None:
    for name, service in compose()["services"].items():
        assert "container_name" not in service, name
        assert "hostname" not in service, name
    assert "ports" not in of_ours()["worker"]
    assert "kalpi@%h" in of_ours()["worker"]["command"]


def test_ports_are_published_on_this_machine_alone() -> None:
    published = {name: s["ports"] for name, s in compose()["services"].items() if "ports" in s}
    assert set(published) == {"api", "flower"}
    for ports in published.values():
        assert all(port.startswith("${KALPI_HOST:-127.0.0.1}:") for port in ports)
    assert compose()["networks"]["backend"] == {"internal": True}


def test_nothing_starts_before_what_it_stands_on() -> None:
    for name in ("api", "worker", "sweeper"):
        conditions = {on: c["condition"] for on, c in of_ours()[name]["depends_on"].items()}
        assert conditions == {
            **dict.fromkeys(SERVERS, "service_healthy"),
            "migrate": "service_completed_successfully",
            "data": "service_completed_successfully",
        }


def test_every_volume_is_declared_and_used() -> None:
    used = {volume.partition(":")[0] for s in compose()["services"].values() for volume in s.get("volumes", [])} - {
        "./data"
    }
    assert used == set(compose()["volumes"])
    for name in ("api", "worker", "sweeper", "data"):
        assert any(volume.startswith("state:/var/lib/kalpi") for volume in of_ours()[name]["volumes"])
