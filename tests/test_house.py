"""The house stands as it is drawn: arrows, the README's tree and commands, the documented recipe, the shipped ones."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from pipelines.cli import main
from pipelines.recipe_files import MODELS, as_yaml, load_recipe

ROOT = Path(__file__).parent.parent
PACKAGES = ("prompts", "teachers", "critics", "students", "pipelines")
MAY_IMPORT = {
    "prompts": set(),
    "teachers": set(),
    "critics": {"prompts"},
    "students": set(),
    "pipelines": {"prompts", "teachers", "critics", "students"},
}
HEAVY = {
    "prefect",
    "litellm",
    "openai",
    "torch",
    "transformers",
    "trl",
    "sentence_transformers",
    "datasets",
    "matplotlib",
    "sqlalchemy",
    "psycopg",
    "scipy",
    "sacrebleu",
}
README = (ROOT / "README.md").read_text()


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_point_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        strangers = imports(path) & set(PACKAGES) - {package} - MAY_IMPORT[package]
        assert not strangers, f"{path.name} imports {strangers}"


def test_the_packages_are_those_of_this_repository() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    inner = sorted(".".join(found.parent.relative_to(ROOT).parts) for found in ROOT.glob("pipelines/*/__init__.py"))
    assert project["tool"]["setuptools"]["packages"] == [*PACKAGES, *inner]
    for package in PACKAGES:
        assert Path(__import__(package).__file__ or "").parent == ROOT / package


@pytest.mark.parametrize("module", [*PACKAGES, "pipelines.cli", "pipelines.running", "pipelines.recipes"])
def test_importing_a_room_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}} & {HEAVY}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert loaded.stdout.split() == []


def test_the_readmes_tree_is_the_repository() -> None:
    drawn = set(re.findall(r"^(\w+)/ {2,}\S", README, re.MULTILINE))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    folders = {name.split("/")[0] for name in tracked if "/" in name and not name.startswith(".")}
    assert drawn == folders


def test_the_readmes_commands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    targets = set(re.findall(r"^make (\S+)", README, re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text()
    assert targets == {"demo", "test"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    commands = set(re.findall(r"^potstill ([\w-]+)", blocks, re.MULTILINE))
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = set(re.findall(r"^    ([\w-]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))
    assert commands == listed
    for command, options in re.findall(r"^potstill ([\w-]+)(.*?)(?:#|$)", blocks, re.MULTILINE):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
        assert set(re.findall(r"--[\w-]+", options)) <= known, command


def yaml_blocks(path: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def test_the_readmes_recipe_is_one(tmp_path: Path) -> None:
    (block,) = yaml_blocks(ROOT / "README.md")
    assert len(block.splitlines()) <= 10
    (tmp_path / "mine.yaml").write_text(block)
    assert load_recipe(tmp_path / "mine.yaml").teacher[0].samples == 8


FREE = {
    "teacher.sampling.extra_body",
    "words",
    "labels.columns",
    "critic.thresholds",
    "publish.terms",
    "validation.labels.columns",
    "sample.labels.columns",
    "problems.only",
    "problems.without",
    "validation.problems.only",
    "validation.problems.without",
    "teacher.recorded.columns.verdicts",
}  # whose keys are the user's own


def keys(data: object, prefix: str = "") -> set[str]:
    if isinstance(data, list):
        return {key for item in data for key in keys(item, prefix)}
    if not isinstance(data, dict):
        return set()
    return {f"{prefix}{key}" for key in data} | {
        found for key, value in data.items() if f"{prefix}{key}" not in FREE for found in keys(value, f"{prefix}{key}.")
    }


AS_ABOVE = {  # keys that are documented elsewhere in the same document
    "rationales": re.compile(r"teacher\.recorded\.(hub|config|split)|drift\.problems\..+"),
    "evaluate": re.compile(
        r"(benchmarks\.(problems|critic|sampling)|sampling|budget)\..+|models\.(?!(benchmarks|curve|step)$).+"
    ),
}


@pytest.mark.parametrize("flow", MODELS)
def test_every_key_of_a_recipe_is_documented(flow: str) -> None:
    documented = {data["flow"]: data for data in map(yaml.safe_load, yaml_blocks(ROOT / "docs" / "recipes.md"))}
    assert set(documented) == set(MODELS)
    schema = MODELS[flow].model_json_schema()

    def known(node: dict[str, object], prefix: str = "") -> set[str]:
        while "$ref" in node:
            node = schema["$defs"][str(node["$ref"]).rsplit("/", 1)[1]]
        found: set[str] = set()
        for part in [*node.get("anyOf", []), *([node["items"]] if "items" in node else [])]:  # type: ignore[misc, list-item]
            found |= known(part, prefix)
        for key, value in node.get("properties", {}).items():  # type: ignore[attr-defined]
            found |= {f"{prefix}{key}"} | known(value, f"{prefix}{key}.")
        return found

    elsewhere = AS_ABOVE.get(flow, re.compile("(?!)"))

    def told_here(names: set[str]) -> set[str]:
        return {name for name in names if not elsewhere.fullmatch(name)}

    assert told_here(keys(documented[flow])) == told_here(known(schema))


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("recipes/*.yaml"), *ROOT.glob("bench/real/*.yaml")]), ids=lambda p: p.name
)
def test_every_shipped_recipe_loads_and_is_the_same_once_a_run_has_written_it_out(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    (tmp_path / "recipe.yaml").write_text(as_yaml(recipe))
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


def test_no_telemetry_is_left_on() -> None:
    code = (
        "from pipelines.cli import main; import os; main(['ledger', 'stats', '--ledger', 'none']); print(*os.environ)"
    )
    names = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout.split()
    assert {"DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "PREFECT_SERVER_ANALYTICS_ENABLED"} <= set(names)
