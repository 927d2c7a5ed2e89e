"""The linter names the mistakes that other tools have made for years, and only mistakes."""

import argparse
import copy
import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from fermentome import command_lint
from fermentome.catalogue import CatalogueFiles, load_catalogue
from fermentome.enzymes import (
    COLUMNS,
    ENZYME_TYPES,
    Identifier,
    enzyme_types,
    is_of_type,
    read_identifiers,
    related_types,
    same_ec,
)
from fermentome.errors import CatalogueError, TableError
from fermentome.lint import LONGEST_ENTRY, Finding, lint

ROOT = Path(__file__).parents[2]
RESOURCES = ROOT / "workflow/resources"
SCHEMAS = ROOT / "workflow/schemas"

Content = dict[str, Any]
Edit = Callable[[Content, Content], None]

# Two families of the propionate route, as they are: the transferase and the look-alike.
PCT: Content = {
    "id": "pct",
    "name": "propionate CoA-transferase",
    "role": "target",
    "tier": "B",
    "ec": ["2.8.3.1"],
    "ko_logic": "K01026",
    "length_aa": 524,
    "decoys": ["decoy_ydiF"],
    "merge_group": None,
    "confidence": "high",
    "sources": ["doi:10.1046/j.1432-1327.2002.02888.x", "EC:2.8.3.1"],
    "checked": True,
}
DECOY: Content = {
    **PCT,
    "id": "decoy_ydiF",
    "name": "acetate CoA-transferase YdiF",
    "role": "decoy",
    "tier": "D",
    "ec": ["2.8.3.8"],
    "ko_logic": "K19709",
    "decoys": [],
    "sources": ["ref:a book"],
    "checked": False,
}
BUK: Content = {
    **PCT,
    "id": "buk",
    "name": "butyrate kinase",
    "ec": ["2.7.2.7"],
    "ko_logic": "K00929",
    "sources": ["PMID:1"],
}
STEP: Content = {
    "id": "pct",
    "reaction": "propanoyl-CoA + acetate -> propanoate + acetyl-CoA",
    "ec": ["2.8.3.1"],
    "rhea": ["RHEA:23520"],
    "required": True,
    "diagnostic": True,
    "alternatives": [["pct"]],
}
KINASE: Content = {
    **STEP,
    "id": "buk",
    "ec": ["2.7.2.7"],
    "rhea": [],
    "diagnostic": False,
    "alternatives": [["buk"]],
}
ROUTE: Content = {
    "id": "ROUTE",
    "name": "a route",
    "kind": "production",
    "product": "propionate",
    "direction": "formation",
    "evidence_scope": "community",
    "min_completeness": 0.75,
    "taxon_veto": [],
    "reported": True,
    "confidence": "high",
    "checked": True,
    "steps": [STEP, KINASE],
    "required_markers": [["pct"]],
    "caveat": "none known",
    "sources": ["doi:10.1000/xyz"],
}
HEAD: Content = {"version": "1.0.0", "licence": "CC-BY-4.0"}
DEFAULTS = {"acceptance": {"min_bits": [[100, 35]], "min_query_cover": 0.6}}
SINGLE_COPY: Content = {
    **HEAD,
    "source": "a list",
    "families": [{"id": "COG1", "gene": "abcA", "name": "one", "product_pattern": "one$"}],
}


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, str], Identifier]:
    return read_identifiers([RESOURCES / "identifiers.tsv"])


def write(folder: Path, edit: Edit | None = None) -> CatalogueFiles:
    families = {**HEAD, "defaults": DEFAULTS, "families": copy.deepcopy([PCT, DECOY, BUK])}
    pathways = {**HEAD, "pathways": [copy.deepcopy(ROUTE)]}
    if edit:
        edit(families, pathways)
    contents = {"families": families, "pathways": pathways, "single_copy": SINGLE_COPY}
    for name, content in contents.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return CatalogueFiles.in_folders(folder, SCHEMAS)


def family(position: int, **fields: Any) -> Edit:
    return lambda families, _: families["families"][position].update(fields)


def route(**fields: Any) -> Edit:
    return lambda _, pathways: pathways["pathways"][0].update(fields)


def step(position: int, **fields: Any) -> Edit:
    return lambda _, pathways: pathways["pathways"][0]["steps"][position].update(fields)


def both(*edits: Edit) -> Edit:
    def edit(families: Content, pathways: Content) -> None:
        for one in edits:
            one(families, pathways)

    return edit


# ------------------------------------------------------------------- the shipped catalogue


def test_shipped_catalogue_has_no_errors(known: dict[tuple[str, str], Identifier]) -> None:
    findings = lint(CatalogueFiles.in_folders(RESOURCES, SCHEMAS), known)
    assert [finding.line() for finding in findings if finding.severity == "error"] == []


def test_fucosidase_for_the_transferase_is_caught_in_the_shipped_catalogue(
    tmp_path: Path, known: dict[tuple[str, str], Identifier]
) -> None:
    files = CatalogueFiles.in_folders(RESOURCES, SCHEMAS)
    (name,) = (
        family.id
        for family in load_catalogue(files).families.values()
        if family.role == "target" and "K01026" in (family.ko_logic or "")
    )
    for path in RESOURCES.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    text = (RESOURCES / "families.yaml").read_text(encoding="utf-8")
    assert text.count("ko_logic: K01026\n") == 1
    (tmp_path / "families.yaml").write_text(
        text.replace("ko_logic: K01026\n", "ko_logic: K01206\n"), encoding="utf-8"
    )
    (error,) = (
        finding
        for finding in lint(CatalogueFiles.in_folders(tmp_path, SCHEMAS), known)
        if finding.severity == "error"
    )
    assert error.entry == f"family {name!r}"
    assert "K01206 stands for EC 3.2.1.51, glycosidase" in error.text
    assert "did you mean K01026 (EC 2.8.3.1, coa-transferase)?" in error.text


def test_every_row_of_the_shipped_table_is_used_or_a_slip_of_one_that_is(
    known: dict[tuple[str, str], Identifier],
) -> None:
    # The meaning of the slip must be there to be shown.
    assert known["ko", "K01206"].ec == ("3.2.1.51",)
    assert known["ko", "K01026"].ec == ("2.8.3.1",)
    assert all(identifier.source for identifier in known.values())


# -------------------------------------------------------------------------- planted errors


def test_small_catalogue_without_mistakes_has_no_findings(
    tmp_path: Path, known: dict[tuple[str, str], Identifier]
) -> None:
    assert lint(write(tmp_path), known) == []


@pytest.mark.parametrize(
    ("edit", "severity", "file", "words"),
    [
        pytest.param(
            family(0, ko_logic="K01206"),
            "error",
            "families.yaml",
            ["family 'pct'", "EC 3.2.1.51, glycosidase", "did you mean K01026 (EC 2.8.3.1"],
            id="alpha-L-fucosidase for propionate CoA-transferase",
        ),
        pytest.param(
            family(0, ko_logic="K01026|K01206"),
            "error",
            "families.yaml",
            ["family 'pct'", "K01206 stands for EC 3.2.1.51"],
            id="a wrong orthologue beside the right one",
        ),
        pytest.param(
            family(0, ko_logic="K001895"),
            "error",
            "families.yaml",
            ["'pct' ko_logic", "'K001895' does not match", "K and five digits"],
            id="seven characters",
        ),
        pytest.param(
            family(2, ko_logic="K10929"),
            "error",
            "families.yaml",
            ["family 'buk'", "K10929 stands for no enzyme type known", "did you mean K00929"],
            id="what is no enzyme for an enzyme",
        ),
        pytest.param(
            family(0, ko_logic="K99999"),
            "error",
            "families.yaml",
            ["family 'pct'", "K99999 is not among the known identifiers", "table of identifiers"],
            id="unknown orthologue",
        ),
        pytest.param(
            family(0, ec=["2.8.3.1", "2.8.3.299"]),
            "error",
            "families.yaml",
            ["family 'pct'", "2.8.3.299 is not among the known identifiers of kind ec"],
            id="unknown EC number",
        ),
        pytest.param(
            family(0, ec=["2.8.3.1", "3.2.1.51"]),
            "error",
            "families.yaml",
            ["family 'pct'", "EC 3.2.1.51", "not of the type in the name, coa-transferase"],
            id="EC number of another class beside the right one",
        ),
        pytest.param(
            both(family(0, ec=["3.2.1.51"], ko_logic=None), step(0, ec=["3.2.1.51"])),
            "error",
            "families.yaml",
            ["family 'pct'", "EC 3.2.1.51", "not of the type in the name, coa-transferase"],
            id="EC number of another class without an orthologue",
        ),
        pytest.param(
            both(family(2, ec=["2.7.2.1"]), step(1, ec=["2.7.2.1"])),
            "error",
            "families.yaml",
            ["family 'buk'", "K00929 stands for EC 2.7.2.7, kinase", "EC 2.7.2.1, kinase"],
            id="another enzyme of the same type",
        ),
        pytest.param(
            family(1, ko_logic="K01206", ec=[]),
            "error",
            "families.yaml",
            ["family 'decoy_ydiF'", "K01206 stands for EC 3.2.1.51", "coa-transferase"],
            id="type against type where the family has no EC number",
        ),
        pytest.param(
            family(0, ec=["2.8.3"]),
            "error",
            "families.yaml",
            ["'pct' ec", "2.8.3", "an EC number of four levels"],
            id="malformed EC number",
        ),
        pytest.param(
            step(0, rhea=["RHEA:2352"]),
            "error",
            "pathways.yaml",
            ["'ROUTE' steps 'pct' rhea", "'RHEA:2352' does not match", "five digits"],
            id="malformed Rhea id",
        ),
        pytest.param(
            step(0, rhea=["RHEA:21036"]),
            "error",
            "pathways.yaml",
            ["step 'pct'", "RHEA:21036 is the reaction of EC 2.3.1.9", "not among 2.8.3.1"],
            id="reaction of another enzyme",
        ),
        pytest.param(
            family(0, sources=["RHEA:21036"]),
            "error",
            "families.yaml",
            ["family 'pct'", "RHEA:21036 is the reaction of EC 2.3.1.9", "not among 2.8.3.1"],
            id="reaction of another enzyme as a source",
        ),
        pytest.param(
            step(0, rhea=["RHEA:99999"]),
            "warning",
            "pathways.yaml",
            ["step 'pct'", "RHEA:99999 is not among the known"],
            id="reaction that nobody has looked up",
        ),
        pytest.param(
            family(0, sources=["doi:10.1046"]),
            "error",
            "families.yaml",
            ["'pct' sources", "'doi:10.1046' does not match", "a source like doi:10.1128"],
            id="malformed DOI",
        ),
        pytest.param(
            family(0, sources=["https://doi.org/10.1046/x"]),
            "error",
            "families.yaml",
            ["'pct' sources", "does not match"],
            id="address in the place of a DOI",
        ),
        pytest.param(
            family(0, sources=["doi:10.1046/j.1432-1327.2002.02888.x."]),
            "error",
            "families.yaml",
            ["family 'pct'", "ends in '.'"],
            id="DOI with the full stop of its sentence",
        ),
        pytest.param(
            family(0, sources=["EC:2.8.3.299"]),
            "error",
            "families.yaml",
            ["family 'pct'", "2.8.3.299 is not among the known"],
            id="unknown EC number as a source",
        ),
        pytest.param(
            family(0, sources=["PMID:1", "Pfam:PF99999"]),
            "error",
            "families.yaml",
            ["family 'pct'", "PF99999 is not among the known"],
            id="unknown Pfam family",
        ),
        pytest.param(
            family(0, sources=["PMID:1", "MetaCyc:NO-SUCH-RXN"]),
            "warning",
            "families.yaml",
            ["family 'pct'", "NO-SUCH-RXN is not among the known"],
            id="unknown MetaCyc name",
        ),
        pytest.param(
            family(0, sources=["ref:a letter"]),
            "error",
            "families.yaml",
            ["family 'pct'", "is checked, but no source of it is public"],
            id="checked family without a public source",
        ),
        pytest.param(
            route(sources=["ref:a letter"]),
            "error",
            "pathways.yaml",
            ["pathway 'ROUTE'", "is checked, but no source of it is public"],
            id="checked route without a public source",
        ),
        pytest.param(
            family(0, sources=[]),
            "error",
            "families.yaml",
            ["'pct' sources", "at least one source"],
            id="no source",
        ),
        pytest.param(
            step(0, ec=["2.8.3.1", "2.8.3.8"]),
            "error",
            "pathways.yaml",
            ["pathway 'ROUTE': step 'pct'", "EC 2.8.3.8 is of none of its families (2.8.3.1"],
            id="EC number of a step that its families lack",
        ),
        pytest.param(
            step(0, alternatives=[["pct"], ["buk"]]),
            "warning",
            "pathways.yaml",
            ["step 'pct'", "its family 'buk' has other EC numbers (2.7.2.7) than the step"],
            id="family of another reaction in a step",
        ),
        pytest.param(
            step(1, rhea=["RHEA:23520"]),
            "warning",
            "pathways.yaml",
            ["step 'buk'", "RHEA:23520 is also the reaction of pathway 'ROUTE': step 'pct'"],
            id="one Rhea id for two reactions",
        ),
        pytest.param(
            family(2, ko_logic="K00929|K01026", ec=["2.7.2.7"], ec_because="K01026 by the way"),
            "warning",
            "families.yaml",
            ["family 'pct'", "K01026 also stands for buk"],
            id="one orthologue for two targets",
        ),
        pytest.param(
            route(kind="production", direction="consumption"),
            "error",
            "pathways.yaml",
            ["pathway 'ROUTE'", "kind production and direction consumption"],
            id="production by consumption",
        ),
        pytest.param(
            route(required_markers=[["pct"], ["buk"]]),
            "error",
            "pathways.yaml",
            ["pathway 'ROUTE'", "the set of markers buk holds no family of a diagnostic step"],
            id="set of shared markers",
        ),
        pytest.param(
            family(0, decoys=[]),
            "error",
            "families.yaml",
            ["'pct'", "diagnostic step but names no decoys"],
            id="diagnostic family without decoys",
        ),
        pytest.param(
            route(caveat="\n".join(f"line {number}" for number in range(LONGEST_ENTRY + 1))),
            "warning",
            "pathways.yaml",
            ["pathway 'ROUTE'", "do not fit on a screen"],
            id="route of more than a screen",
        ),
    ],
)
def test_planted_mistake_is_named(
    tmp_path: Path,
    known: dict[tuple[str, str], Identifier],
    edit: Edit,
    severity: str,
    file: str,
    words: list[str],
) -> None:
    lines = [finding.line() for finding in lint(write(tmp_path, edit), known)]
    hits = [line for line in lines if all(word in line for word in words)]
    assert len(hits) == 1, lines
    assert hits[0].startswith(f"{severity}: {tmp_path / file}: ")
    assert "\n" not in hits[0]


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(
            family(0, ko_logic="K01206", ec_because="KEGG gives K01206 to this enzyme"),
            id="orthologue",
        ),
        pytest.param(
            family(0, ec=["2.8.3.1", "2.7.2.7"], ec_because="it also does 2.7.2.7."),
            id="EC number of a family",
        ),
        pytest.param(
            step(0, ec=["2.8.3.1", "2.8.3.8"], ec_because="2.8.3.8 is done in passing"),
            id="EC number of a step",
        ),
        pytest.param(
            step(0, alternatives=[["pct"], ["buk"]], ec_because="buk reacts as well"),
            id="family in a step",
        ),
        pytest.param(
            step(0, rhea=["RHEA:21036"], ec_because="RHEA:21036 has no EC number of its own"),
            id="reaction",
        ),
    ],
)
def test_reason_that_names_the_number_settles_it(
    tmp_path: Path, known: dict[tuple[str, str], Identifier], edit: Edit
) -> None:
    assert lint(write(tmp_path, edit), known) == []


def test_reason_for_another_number_settles_nothing(
    tmp_path: Path, known: dict[tuple[str, str], Identifier]
) -> None:
    edit = family(0, ko_logic="K01206", ec_because="K00929 is another matter")
    assert [finding.severity for finding in lint(write(tmp_path, edit), known)] == ["error"]


def test_one_merge_group_may_share_an_orthologue(
    tmp_path: Path, known: dict[tuple[str, str], Identifier]
) -> None:
    shared = {"merge_group": "PAIR"}
    edit = both(
        family(0, **shared),
        family(2, ko_logic="K00929|K01026", ec_because="K01026 as well", **shared),
    )
    assert lint(write(tmp_path, edit), known) == []


def test_old_number_of_an_orthologue_is_followed_to_the_new_one(tmp_path: Path) -> None:
    # The lists of KEGG and the enzyme list are of different years.
    rows = [
        Identifier("ko", "K01026", ("2.8.3.98",), ("coa-transferase",), "x"),
        Identifier("ko", "K19709", ("2.8.3.8",), (), "x"),
        Identifier("ko", "K00929", ("2.7.2.7",), (), "x"),
        Identifier("ec", "2.8.3.98", ("2.8.3.1",), (), "x"),
        Identifier("rhea", "RHEA:23520", ("2.8.3.1",), (), "x"),
        *(Identifier("ec", number, (), (), "x") for number in ("2.8.3.1", "2.8.3.8", "2.7.2.7")),
    ]
    known = {(row.kind, row.id): row for row in rows}
    assert lint(write(tmp_path), known) == []
    edit = both(family(0, ec=["2.8.3.98"]), step(0, ec=["2.8.3.98"]))
    lines = [finding.line() for finding in lint(write(tmp_path, edit), known)]
    assert len(lines) == 2  # the family and the step
    assert all("2.8.3.98 was withdrawn and replaced by 2.8.3.1" in line for line in lines)
    assert all(line.startswith("warning: ") for line in lines)


def test_identifier_that_nobody_has_seen_is_a_warning(
    tmp_path: Path, known: dict[tuple[str, str], Identifier]
) -> None:
    changed = {
        **known,
        ("ko", "K01026"): Identifier("ko", "K01026", ("2.8.3.1",), (), "unverified"),
    }
    (finding,) = lint(write(tmp_path), changed)
    assert finding.severity == "warning"
    assert "K01026 is new and nobody has seen it" in finding.text


def test_errors_come_first_and_each_is_said_once(
    tmp_path: Path, known: dict[tuple[str, str], Identifier]
) -> None:
    # The unknown number stands in ec and in sources, and a warning comes before it in the file.
    edit = both(
        family(0, sources=["PMID:1", "MetaCyc:NO-SUCH-RXN"]),
        family(1, ec=["2.8.3.8", "2.8.3.299"], sources=["EC:2.8.3.299"]),
    )
    findings = lint(write(tmp_path, edit), known)
    assert [finding.severity for finding in findings] == ["error", "warning"]


def test_step_of_a_module_is_judged_once(
    tmp_path: Path, known: dict[tuple[str, str], Identifier]
) -> None:
    def edit(_: Content, pathways: Content) -> None:
        wrong = {**STEP, "ec": ["2.8.3.8"], "rhea": []}
        pathways["modules"] = [{"id": "CORE", "name": "core", "steps": [wrong]}]
        first = {**ROUTE, "steps": [{"module": "CORE"}, KINASE]}
        pathways["pathways"] = [first, {**first, "id": "SECOND"}]

    errors = [f for f in lint(write(tmp_path, edit), known) if f.severity == "error"]
    assert [error.entry for error in errors] == ["pathway 'ROUTE' and 1 more: step 'pct'"]


# --------------------------------------------------------------------------- enzyme types


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("alpha-L-fucosidase", ("glycosidase",)),
        ("propionate CoA-transferase", ("coa-transferase",)),
        ("butyryl-CoA:acetate CoA-transferase", ("coa-transferase",)),
        ("acetyl-CoA C-acetyltransferase", ("transacylase",)),
        ("phosphotransbutyrylase", ("transacylase",)),
        ("butyryl-CoA dehydrogenase", ("dehydrogenase",)),  # not a hydrogenase
        ("glutaconyl-CoA decarboxylase", ("decarboxylase",)),  # not a carboxylase
        ("beta-lysine 5,6-aminomutase", ("aminomutase",)),
        ("acetate kinases", ("kinase",)),
        ("carbon-monoxide dehydrogenase/acetyl-CoA synthase", ("dehydrogenase", "synthase")),
        ("2-hydroxyacyl-CoA dehydratase activator", ()),  # not a dehydratase itself
        ("electron-transfer flavoprotein alpha", ("flavoprotein",)),
        ("L-lactate permease", ("transporter",)),
        ("corrinoid iron-sulfur protein", ()),
        ("", ()),
    ],
)
def test_types_in_names(name: str, types: tuple[str, ...]) -> None:
    assert enzyme_types(name) == types


@pytest.mark.parametrize(
    ("ec", "name", "fits"),
    [
        # number and name of each as in the enzyme list
        ("3.2.1.51", "alpha-L-fucosidase", True),
        ("3.2.1.51", "propionate CoA-transferase", False),
        ("2.8.3.1", "propionate CoA-transferase", True),
        ("2.3.1.54", "formate C-acetyltransferase (pyruvate formate-lyase)", True),
        ("2.3.1.169", "CO-methylating acetyl-CoA synthase", True),
        ("7.2.4.3", "methylmalonyl-CoA decarboxylase", True),
        ("2.1.3.1", "methylmalonyl-CoA carboxytransferase", True),
        ("4.2.1.150", "short-chain-enoyl-CoA hydratase", True),
        ("1.3.8.1", "short-chain acyl-CoA dehydrogenase", True),
        ("2.7.2.7", "butyrate kinase", True),
        ("27.2.1.1", "butyrate kinase", False),
        ("1.1.1.1", "flavoprotein", True),  # no type, no judgement
    ],
)
def test_number_against_the_types_of_a_name(ec: str, name: str, fits: bool) -> None:
    assert is_of_type(ec, enzyme_types(name)) is fits


def test_types_that_one_enzyme_can_bear_together() -> None:
    assert related_types(["transferase"], ["coa-transferase"])
    assert related_types(["dehydrogenase"], ["reductase"])
    assert related_types(["synthase"], ["kinase"])  # a synthase can be anything
    assert related_types([], ["kinase"])
    assert not related_types(["kinase"], ["glycosidase"])


def test_dash_of_an_ec_number_stands_for_any() -> None:
    assert same_ec("1.12.7.2", "1.12.-.-")
    assert not same_ec("1.12.7.2", "1.1.-.-")


def test_type_words_are_read_back_as_themselves() -> None:
    # A word of the table that a name cannot hold would never be compared.
    assert [word for word in ENZYME_TYPES if enzyme_types(f"some {word}") != (word,)] == []


# ------------------------------------------------------------------- tables of identifiers


def table(folder: Path, *rows: str, name: str = "own.tsv") -> Path:
    path = folder / name
    path.write_text("\n".join(["\t".join(COLUMNS), *rows]) + "\n", encoding="utf-8")
    return path


def test_later_table_says_anew(tmp_path: Path) -> None:
    first = table(tmp_path, "ko\tK01026\t2.8.3.1\t\tone", "ec\t2.8.3.1\t\t\tone", name="a.tsv")
    second = table(tmp_path, "ko\tK01026\t2.8.3.1|2.8.3.8\tkinase\ttwo", name="b.tsv")
    found = read_identifiers([first, second])
    assert found["ko", "K01026"].ec == ("2.8.3.1", "2.8.3.8")
    assert found["ko", "K01026"].source == "two"
    assert found["ec", "2.8.3.1"].source == "one"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("kegg\tK01026\t\t\tx", "kegg 'K01026': its kind is none of ko, ec"),
        ("ko\tK001895\t\t\tx", "'K001895': is no identifier of kind ko"),
        ("ko\tK01026\t2.8.3\t\tx", "'2.8.3' is no EC number"),
        ("ko\tK01026\t\tfucosidase\tx", "'fucosidase' is none of the types"),
        ("ko\tK01026\t\t\t", "has no source"),
        ("ko\tK00001\t\t\tx\nko\tK00001\t\t\tx", "stands twice"),
    ],
)
def test_broken_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=r"own\.tsv: ") as caught:
        read_identifiers([table(tmp_path, row)])
    assert message in str(caught.value)


def test_missing_table_and_missing_column_are_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"none\.tsv: cannot be read"):
        read_identifiers([tmp_path / "none.tsv"])
    (tmp_path / "short.tsv").write_text("kind\tid\n", encoding="utf-8")
    with pytest.raises(TableError, match="'ec' is missing"):
        read_identifiers([tmp_path / "short.tsv"])


# --------------------------------------------------------------- the program of the table


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    path = ROOT / "benchmarks/identifiers/build_identifiers.py"
    spec = importlib.util.spec_from_file_location("build_identifiers", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_slips_are_swapped_digits_and_digits_next_to_the_right_one(builder: ModuleType) -> None:
    # 0 -> 1; 1 -> 0 or 2; the two swapped; a swap of two equal digits is no slip
    assert sorted(builder.slips("K01")) == ["K00", "K02", "K10", "K11"]
    assert "K01206" in set(builder.slips("K01026"))
    assert "2.8.3.2" in set(builder.slips("2.8.3.1"))
    assert "2.3.8.1" not in set(builder.slips("2.8.3.1"))  # levels are not swapped


def test_of_a_name_only_numbers_and_types_are_kept(builder: ModuleType) -> None:
    name = "acetate CoA/acetoacetate CoA-transferase alpha subunit [EC:2.8.3.8 2.8.-.- 1.-.-.-]"
    assert builder.make_row("ko", "K01034", name) == {
        "kind": "ko",
        "id": "K01034",
        "ec": "2.8.3.8|2.8.-.-",
        "types": "coa-transferase",
        "source": "humann-3.9",
    }


def test_table_holds_what_is_used_and_its_slips_and_nothing_unknown(builder: ModuleType) -> None:
    known = ["K01026", "K01206", "K09999", "PF00001"]
    assert builder.kept("ko", {"K01026", "K77777"}, known) == {"K01026", "K01206"}
    assert builder.kept("pfam", {"PF00002"}, known) == set()


def test_identifiers_are_found_in_the_text_of_a_catalogue(builder: ModuleType) -> None:
    text = """
    ec: [2.8.3.8, 2.8.3.-]
    ko_logic: K01034|K01035
    sources: [EC:2.8.3.9, doi:10.1.2.3/x, MetaCyc:PWY-5676, Pfam:PF01144, "TCDB:3.B.1.1.2"]
    note: once 4.1.1.41.
    """
    assert builder.used_identifiers([text]) == {
        "ko": {"K01034", "K01035"},
        "ec": {"2.8.3.8", "2.8.3.9", "4.1.1.41"},
        "pfam": {"PF01144"},
        "metacyc": {"PWY-5676"},
    }


# -------------------------------------------------------------------------------- command


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command_lint.add_arguments(parser)
    return command_lint.run(parser.parse_args(arguments))


def test_command_looks_at_the_tables_of_literature_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    monkeypatch.setattr(command_lint, "check_caution", lambda _: ["Somebody: unknown limit x"])
    assert run() == 1
    assert "error: caution_organisms.yaml: Somebody: unknown limit x" in capsys.readouterr().out


def test_command_passes_a_catalogue_with_warnings_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, family(0, sources=["PMID:1", "MetaCyc:NO-SUCH-RXN"]))
    assert run("--catalogue", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning: ")
    assert lines[1] == f"{tmp_path}: 0 errors, 1 warnings"


def test_command_fails_on_an_error_with_one_line_per_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, both(family(0, ko_logic="K01206"), family(2, sources=["EC:2.8.3.299"])))
    assert run("--catalogue", str(tmp_path), "--schemas", str(SCHEMAS)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2] == f"{tmp_path}: 2 errors, 0 warnings"


def test_command_names_all_that_is_wrong_with_the_structure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, both(family(0, ko_logic="K001895"), route(sources=[])))
    (tmp_path / "single_copy.yaml").write_text("families: [", encoding="utf-8")
    assert run("--catalogue", str(tmp_path)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{tmp_path}: 3 errors, 0 warnings"


@pytest.mark.parametrize("beside", [True, False])
def test_new_identifier_of_a_users_catalogue_is_known_by_a_table_of_his_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], beside: bool
) -> None:
    write(tmp_path, family(0, ko_logic="K99999"))
    assert run("--catalogue", str(tmp_path)) == 1
    assert "K99999 is not among the known" in capsys.readouterr().out
    own = table(
        tmp_path,
        "ko\tK99999\t2.8.3.1\tcoa-transferase\ta paper",
        name="identifiers.tsv" if beside else "more.tsv",
    )
    extra = [] if beside else ["--identifiers", str(own)]
    assert run("--catalogue", str(tmp_path), *extra) == 0


def test_finding_without_a_place_is_its_text() -> None:
    assert Finding("error", "", "", "families.yaml: all").line() == "error: families.yaml: all"
