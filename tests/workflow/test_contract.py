"""Conventions that every rule, rule file and adapter keeps."""

import ast
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
import yaml
from snakemake_runs import ROOT, write_project

RULE_FILES = sorted((ROOT / "workflow/rules").glob("*.smk"))
OTHER_RULE_FILES = [path for path in RULE_FILES if path.name != "common.smk"]
SNAKEFILES = [ROOT / "Snakefile", ROOT / "workflow/Snakefile", *RULE_FILES]
ADAPTERS = sorted((ROOT / "scripts").glob("*.py"))
# Those of the jobs that use a network. What they import concerns no other job.
DATABASE_ADAPTERS = [
    path for path in ADAPTERS if path.stem in ("fetch_databases", "verify_databases")
]
# Those that compare samples, groups and people, with packages that no other job needs.
COHORT_ADAPTERS = [
    path for path in ADAPTERS if "from fermentome.cohort" in path.read_text(encoding="utf-8")
]
LIBRARY = ROOT / "scripts/fermentome"
# Libraries that may be imported while the workflow is parsed, besides the standard ones.
PARSE_TIME = {"snakemake", "fermentome"}


def load_rules():
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder))
        program = ROOT / "tests/workflow/describe_rules.py"
        done = subprocess.run(
            [sys.executable, program, ROOT / "Snakefile", folder], capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


RULES = load_rules()
SCRIPT_RULES = [rule for rule in RULES if rule["script"]]

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
each_script_rule = pytest.mark.parametrize("rule", SCRIPT_RULES, ids=lambda rule: rule["name"])
each_adapter = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda path: path.stem)


def code_of(path):
    """Lines of a Snakefile without strings and comments."""
    text = re.sub(r'"""[\s\S]*?"""', '""', path.read_text(encoding="utf-8"))
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', '""', text)
    return re.sub(r"#.*", "", text)


# Rules -------------------------------------------------------------------------------------------


@each_rule
def test_docstring_is_one_sentence(rule):
    assert re.fullmatch(r"[A-Z][^\n]+\.", rule["docstring"])


@each_rule
def test_name_is_verb_and_noun(rule):
    assert re.fullmatch(r"[a-z]+_[a-z]+", rule["name"])


@each_rule
def test_environment_file_exists(rule):
    assert rule["conda"].startswith("../../envs/")
    assert (Path(rule["file"]).parent / rule["conda"]).is_file()


@each_rule
def test_rule_is_a_shell_command_or_a_script(rule):
    assert rule["other_kinds"] == []
    assert rule["shell"] != bool(rule["script"])


@each_rule
def test_log_and_benchmark_are_named_after_rule_and_wildcards(rule):
    wildcards = re.findall(r"\{([a-z]+)", rule["log"][0])
    tail = "/".join(f"{{{name}}}" for name in wildcards)
    place = f"{rule['name']}/{tail}" if wildcards else rule["name"]
    assert sorted(wildcards) == rule["wildcards"]
    assert [without_constraints(log) for log in rule["log"]] == [f"logs/{place}.log"]
    assert without_constraints(rule["benchmark"]) == f"benchmarks/{place}.tsv"


def without_constraints(pattern):
    return re.sub(r"\{(\w+),(?:[^{}]|\{[^}]*\})*\}", r"{\1}", pattern)


@each_rule
def test_every_wildcard_is_constrained(rule):
    # In a pattern `{name,regex}`: Snakemake adds the constraints when it reads the rule.
    for name in rule["wildcards"]:
        assert f"{{{name}," in rule["log"][0]


@each_rule
@pytest.mark.parametrize("resource", ["mem_mb", "runtime"])
def test_memory_and_time_grow_with_each_attempt(rule, resource):
    first, second, third = rule["resources"][resource]
    assert 0 < first < second < third


@each_rule
def test_inputs_and_outputs_have_names(rule):
    assert rule["unnamed"] == [0, 0]
    assert rule["outputs"]


@each_script_rule
def test_script_rule_depends_on_the_library(rule):
    modules = {path.partition("/fermentome/")[2].removesuffix(".py") for path in rule["code"]}
    assert modules == modules_of(rule["name"])


@each_script_rule
def test_script_is_named_after_its_rule(rule):
    assert rule["script"] == f"../../scripts/{rule['name']}.py"


@each_script_rule
def test_script_rule_runs_in_the_environment_of_its_part(rule):
    assert Path(rule["conda"]).stem == part_of(rule["name"])


def test_every_adapter_has_a_rule_and_every_script_rule_an_adapter():
    assert {path.stem for path in ADAPTERS} == {rule["name"] for rule in SCRIPT_RULES}


def imports_of(path):
    """Modules of the library that a file imports, as `errors` and `databases/manifest`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            module = name.replace(".", "/").removeprefix("fermentome/")
            if name.startswith("fermentome.") and (LIBRARY / f"{module}.py").is_file():
                found |= {module} | ({f"{module.partition('/')[0]}/__init__"} & PACKAGES)
    return found


PACKAGES = {f"{path.parent.name}/__init__" for path in LIBRARY.glob("*/__init__.py")}


def modules_imported_by(adapters):
    """What adapters and common.smk import, and what that imports in turn."""
    wanted = set().union(*map(imports_of, adapters))
    common = (ROOT / "workflow/rules/common.smk").read_text(encoding="utf-8")
    imported = re.findall(r"^from fermentome\.([\w.]+) import", common, re.MULTILINE)
    wanted |= {name.replace(".", "/") for name in imported}
    seen = {"__init__"}
    while wanted - seen:
        module = min(wanted - seen)
        seen.add(module)
        wanted |= imports_of(LIBRARY / f"{module}.py")
    return seen


def part_of(rule):
    """Environment of a script rule, by what its adapter needs."""
    if rule in {path.stem for path in DATABASE_ADAPTERS}:
        return "databases"
    return "cohort" if rule in {path.stem for path in COHORT_ADAPTERS} else "analysis"


def modules_that_run_in_jobs():
    others = {*DATABASE_ADAPTERS, *COHORT_ADAPTERS}
    return modules_imported_by([path for path in ADAPTERS if path not in others])


def modules_of(rule):
    """What a script rule names as its code."""
    more = {"analysis": [], "databases": DATABASE_ADAPTERS, "cohort": COHORT_ADAPTERS}
    return modules_that_run_in_jobs() | modules_imported_by(more[part_of(rule)])


@pytest.mark.parametrize(
    ("rules", "adapters"),
    [("common", []), ("databases", DATABASE_ADAPTERS), ("cohort", COHORT_ADAPTERS)],
)
def test_library_list_is_what_jobs_import(rules, adapters):
    """More would run jobs again for an edit that does not concern them; less would miss edits."""
    text = (ROOT / f"workflow/rules/{rules}.smk").read_text("utf-8")
    listed = re.search(r'for module in """([^"]*)"""', text)[1].split()
    everywhere = modules_that_run_in_jobs()
    expected = modules_imported_by(adapters) - everywhere if adapters else everywhere
    assert listed == sorted(expected)


# Rule files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
def test_rule_file_opens_with_a_docstring(path):
    assert path.read_text(encoding="utf-8").startswith('"""')


@pytest.mark.parametrize("path", OTHER_RULE_FILES, ids=lambda path: path.name)
def test_docstring_of_rule_file_names_inputs_and_outputs(path):
    docstring = path.read_text(encoding="utf-8").split('"""')[1]
    assert re.search(r"^Inputs$\n {4}\S", docstring, re.MULTILINE)
    assert re.search(r"^Outputs$\n {4}\S", docstring, re.MULTILINE)


@pytest.mark.parametrize("path", OTHER_RULE_FILES, ids=lambda path: path.name)
def test_only_common_holds_python(path):
    statement = r"^(?:def|class|import|from|for|while|if|else|try|with|async)\b.*"
    assert re.findall(statement, code_of(path), re.MULTILINE) == []


def test_common_stays_short():
    assert len((ROOT / "workflow/rules/common.smk").read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("path", SNAKEFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_lambda_checkpoint_run_wrapper_or_notebook(path):
    forbidden = r"\b(?:lambda|checkpoint)\b|^ *(?:run|wrapper|notebook|cwl|template_engine) *:"
    assert re.findall(forbidden, code_of(path), re.MULTILINE) == []


def test_common_imports_the_standard_library_and_snakemake_only():
    code = code_of(ROOT / "workflow/rules/common.smk")
    imported = set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE))
    assert imported
    assert imported - sys.stdlib_module_names <= PARSE_TIME


@pytest.mark.parametrize("path", SNAKEFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_of_the_repository_are_relative(path):
    text = path.read_text(encoding="utf-8").replace("/dev/null", "")
    assert re.findall(r"""(?<![\w}.)"'*])[/~]\w+/[^"'\s]*|["'][/~]\w[^"'\s]*""", text) == []


# Adapters ----------------------------------------------------------------------------------------


def is_type_checking_block(node):
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        and all(isinstance(inner, ast.ImportFrom) for inner in node.body)
        and not node.orelse
    )


@each_adapter
def test_adapter_is_imports_and_one_call(adapter):
    docstring, *body = ast.parse(adapter.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert docstring.value.value == f"Adapter of rule {adapter.stem}."
    *head, work = body
    assert all(isinstance(n, ast.ImportFrom) or is_type_checking_block(n) for n in head)
    assert isinstance(work, ast.With)
    assert ast.unparse(work.items[0].context_expr) == "log_to(snakemake.log[0])"
    (call,) = work.body
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)


@each_adapter
def test_adapter_holds_no_logic(adapter):
    logic = (
        ast.Lambda, ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try, ast.IfExp,
        ast.Compare, ast.BinOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
        ast.JoinedStr, ast.Assign,
    )  # fmt: skip
    nodes = ast.walk(ast.parse(adapter.read_text(encoding="utf-8")))
    assert [ast.unparse(node) for node in nodes if isinstance(node, logic)] == []


@each_adapter
def test_adapter_imports_the_library_only(adapter):
    modules = {
        node.module.partition(".")[0]
        for node in ast.walk(ast.parse(adapter.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    }
    assert modules == {"typing", "fermentome", "snakemake"}


def test_library_knows_nothing_of_snakemake_and_never_prints_or_exits():
    commands = {"__main__.py", "cli.py"} | {path.name for path in LIBRARY.glob("command_*.py")}
    for module in sorted(LIBRARY.rglob("*.py")):
        if module.name in commands:
            continue
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert "snakemake" not in {alias.name for alias in node.names}, module
            elif isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("snakemake"), module
            elif isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in {"print", "exit", "quit", "sys.exit"}, module


# Environments (names and versions are compared in tests/setup/test_dependencies.py) --------------


def test_analysis_environment_pins_python_within_what_the_project_declares():
    packages = yaml.safe_load((ROOT / "envs/analysis.yaml").read_text("utf-8"))["dependencies"]
    (pinned,) = [entry for entry in packages if str(entry).startswith("python=")]
    version = tuple(map(int, pinned.partition("=")[2].split(".")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lowest = tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    assert len(version) == 2
    assert version >= lowest


def test_every_environment_is_used():
    used = {Path(rule["conda"]).name for rule in RULES}
    assert used == {path.name for path in (ROOT / "envs").glob("*.yaml")}
