"""The catalogue loads, answers by hand-computed values, and names every planted error."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fermentome.catalogue import (
    Acceptance,
    Catalogue,
    CatalogueFiles,
    FullLength,
    load_catalogue,
)
from fermentome.errors import CatalogueError

ROOT = Path(__file__).parents[2]
SHIPPED = CatalogueFiles.in_folders(ROOT / "workflow/resources", ROOT / "workflow/schemas")

# Routes of version 0.1.0: an id never changes once released.
ROUTES = {
    "BUT_ACOA_BUT",
    "BUT_ACOA_BUK",
    "BUT_GLUTARATE",
    "BUT_4AB",
    "BUT_LYS",
    "PROP_SUCC_DEC",
    "PROP_SUCC_TC",
    "PROP_ACRYLATE",
    "PROP_PDU",
    "ACE_WL",
    "ACE_BIFID",
}


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return load_catalogue(SHIPPED)


# ------------------------------------------------------------------ the shipped catalogue


def test_shipped_catalogue_keeps_the_routes_of_its_first_release(shipped: Catalogue) -> None:
    assert set(shipped.pathways) >= ROUTES


def test_every_product_of_the_gut_has_a_route(shipped: Catalogue) -> None:
    formed = {p.product for p in shipped.pathways.values() if p.direction == "formation"}
    assert formed >= {"acetate", "propionate", "butyrate", "lactate", "succinate", "formate", "H2"}
    used = {p.product for p in shipped.pathways.values() if p.direction == "consumption"}
    assert used >= {"acetate", "lactate"}


def test_routes_that_are_not_reported_say_why(shipped: Catalogue) -> None:
    silent = [p for p in shipped.pathways.values() if not p.reported]
    assert silent
    assert all(len(pathway.not_reported_because.split()) > 5 for pathway in silent)


def test_every_diagnostic_family_names_its_decoys(shipped: Catalogue) -> None:
    diagnostic = {
        family
        for pathway in shipped.pathways.values()
        for step in pathway.steps
        if step.diagnostic
        for group in step.alternatives
        for family in group
    }
    assert len(diagnostic) > 30
    assert not [family for family in diagnostic if not shipped.families[family].decoys]


def test_terminal_ends_of_a_route_are_explicit_alternatives(shipped: Catalogue) -> None:
    terminal = {step.id: step for step in shipped.pathways["BUT_4AB"].steps}["term"]
    # CoA-transferase, or both enzymes of the kinase end, or the 4-hydroxybutyrate CoA-transferase
    assert terminal.alternatives == (("but",), ("ptb", "buk"), ("abfT",))


def test_required_markers_of_the_acetate_routes(shipped: Catalogue) -> None:
    assert shipped.pathways["ACE_WL"].required_markers == (("acsB", "acsC", "acsD", "acsE"),)
    assert shipped.pathways["ACE_BIFID"].required_markers == (("xfp", "ackA"),)


def test_but_has_no_orthologue_and_competes_with_its_look_alikes(shipped: Catalogue) -> None:
    # KEGG has no entry for the main terminal enzyme of the gut; a rule by KO cannot find it.
    assert shipped.families["but"].ko_logic is None
    assert {"abfT", "cat1"} <= set(shipped.families["but"].decoys)


def test_bifidobacterial_carboxylase_has_a_decoy_beside_mmda(shipped: Catalogue) -> None:
    assert "decoy_pccB_accD" in shipped.families["mmdA"].decoys
    assert shipped.pathways["PROP_SUCC_DEC"].required_markers == (("mmdA", "mut", "mce"),)


def test_forty_single_copy_families_with_distinct_names(shipped: Catalogue) -> None:
    assert len(shipped.single_copy) == 40
    names = [family.name for family in shipped.single_copy.values()]
    hits = {name: [f.gene for f in shipped.single_copy.values() if f.names(name)] for name in names}
    assert not {name: genes for name, genes in hits.items() if len(genes) > 1}


@pytest.mark.parametrize(
    ("product", "gene"),
    [
        ("30S ribosomal protein S12", "rpsL"),
        ("50S ribosomal protein L2", "rplB"),
        ("small ribosomal subunit protein uS12", "rpsL"),
        ("30S ribosomal subunit protein S7", "rpsG"),
        ("leucine--tRNA ligase", "leuS"),
        ("valyl-tRNA synthetase", "valS"),
        ("DNA-directed RNA polymerase subunit beta", "rpoB"),
        ("signal recognition particle-docking protein FtsY", "ftsY"),
        # The look-alikes of the patterns belong to nobody.
        ("50S ribosomal protein L20", None),
        ("isoleucine--tRNA ligase", None),
        ("DNA-directed RNA polymerase subunit beta'", None),
        ("methyltransferase for 50S ribosomal subunit protein L11", None),
        ("phenylalanine--tRNA ligase subunit beta", None),
    ],
)
def test_product_names_find_their_single_copy_family(
    shipped: Catalogue, product: str, gene: str | None
) -> None:
    found = [family.gene for family in shipped.single_copy.values() if family.names(product)]
    assert found == ([gene] if gene else [])


# ------------------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("read_length", "bits"),
    [
        (50, 32.0),  # flat below the first point
        (75, 32.0),
        (100, 34.0),
        (125, 35.0),  # half way from (100, 34) to (150, 36)
        (150, 36.0),
        (170, 36.6),  # 20 of 100 nt from (150, 36) to (250, 39): a fifth of 3 bits
        (250, 39.0),
        (300, 39.0),  # flat above the last point
    ],
)
def test_lowest_bit_score_by_read_length(
    shipped: Catalogue, read_length: float, bits: float
) -> None:
    assert shipped.acceptance("but").min_bits_at(read_length) == pytest.approx(bits)


def test_one_point_is_a_constant() -> None:
    acceptance = Acceptance(((100.0, 42.0),), 0.6)
    assert [acceptance.min_bits_at(length) for length in (10, 100, 1000)] == [42.0, 42.0, 42.0]


def test_roles(shipped: Catalogue) -> None:
    assert shipped.role("but") == "target"
    assert shipped.role("decoy_ydiF") == "decoy"
    assert shipped.role("COG0012") == "single_copy"


def test_single_copy_families_take_the_default_acceptance(shipped: Catalogue) -> None:
    assert shipped.acceptance("COG0012") == shipped.default_acceptance
    assert shipped.default_acceptance.min_query_cover == 0.6


def test_unknown_family_is_refused_with_the_nearest_name(shipped: Catalogue) -> None:
    with pytest.raises(CatalogueError, match=r"'mmda' is not in the catalogue.*'mmdA'"):
        shipped.role("mmda")
    with pytest.raises(CatalogueError, match="'COG12'"):
        shipped.acceptance("COG12")


def test_merge_groups(shipped: Catalogue) -> None:
    assert shipped.same_merge_group("ackA", "pduW")
    assert shipped.same_merge_group("but", "but")
    assert not shipped.same_merge_group("ackA", "pta")  # pta is in no group
    assert not shipped.same_merge_group("but", "pta")  # no group is not a group
    assert not shipped.same_merge_group("ackA", "pduW", "atoA")
    assert not shipped.same_merge_group("COG0012", "COG0016")


@pytest.mark.parametrize(
    ("names", "vetoed"),
    [
        # NCBI and GTDB names of Bacillus, and a part of a split order, as written and as read
        (("Bacteria", "Bacillota", "Bacilli", "Bacillales", "Bacillaceae", "Bacillus"), True),
        (("Bacteria", "Bacillota", "Bacilli", "Bacillales_A", "Planococcaceae"), True),
        (("Bacteria", "Bacillota", "Bacilli", "Bacillales A", "Planococcaceae"), True),
        (("Bacteria", "Bacillota", "Bacilli", "Lactobacillales", "Enterococcaceae"), True),
        # GTDB counts Erysipelotrichales among the Bacilli; NCBI does not
        (("Bacteria", "Bacillota", "Bacilli", "Erysipelotrichales"), False),
        (("Bacteria", "Bacillota_A", "Clostridia", "Clostridiales", "Clostridium"), False),
        ((), False),
    ],
)
def test_veto_of_the_kinase_route_means_the_same_in_ncbi_and_gtdb(
    shipped: Catalogue, names: tuple[str, ...], vetoed: bool
) -> None:
    assert shipped.pathways["BUT_ACOA_BUK"].is_vetoed(names) is vetoed


# -------------------------------------------------------------------------- planted errors

Content = dict[str, Any]
Edit = Callable[[Content, Content, Content], None]

FAMILIES: dict[str, Any] = {
    "version": "1.0.0",
    "licence": "CC-BY-4.0",
    "defaults": {"acceptance": {"min_bits": [[100, 35], [150, 40]], "min_query_cover": 0.6}},
    "families": [
        {
            "id": "alpha",
            "name": "first enzyme",
            "role": "target",
            "tier": "A",
            "ec": ["1.1.1.1"],
            "ko_logic": "K00001|K00002",
            "length_aa": 300,
            "decoys": ["decoy_alpha"],
            "merge_group": None,
            "confidence": "high",
            "sources": ["EC:1.1.1.1"],
            "checked": True,
        },
        {
            "id": "decoy_alpha",
            "name": "look-alike",
            "role": "decoy",
            "tier": "D",
            "ec": [],
            "ko_logic": None,
            "length_aa": None,
            "decoys": [],
            "merge_group": None,
            "confidence": "medium",
            "sources": ["Pfam:PF00001"],
            "checked": False,
        },
    ],
}
PATHWAYS: dict[str, Any] = {
    "version": "1.0.0",
    "licence": "CC-BY-4.0",
    "pathways": [
        {
            "id": "ROUTE",
            "name": "a route",
            "kind": "production",
            "product": "butyrate",
            "direction": "formation",
            "evidence_scope": "community",
            "min_completeness": 0.75,
            "taxon_veto": [],
            "reported": True,
            "confidence": "high",
            "checked": True,
            "steps": [
                {
                    "id": "one",
                    "reaction": "A -> B",
                    "ec": ["1.1.1.1"],
                    "required": True,
                    "diagnostic": True,
                    "alternatives": [["alpha"]],
                }
            ],
            "required_markers": [["alpha"]],
            "caveat": "none known",
            "sources": ["doi:10.1000/xyz"],
        }
    ],
}
SINGLE_COPY: dict[str, Any] = {
    "version": "1.0.0",
    "licence": "CC-BY-4.0",
    "source": "a list",
    "families": [{"id": "COG1", "gene": "abcA", "name": "one", "product_pattern": "one$"}],
}
CORE: Content = {
    "id": "CORE",
    "name": "a shared run of steps",
    "steps": [
        {
            "id": "two",
            "reaction": "B -> C",
            "ec": [],
            "required": True,
            "diagnostic": False,
            "alternatives": [["beta"]],
        }
    ],
}


def module(name: str, *steps: Any) -> Content:
    return {**CORE, "id": name, "steps": list(steps)}


def with_modules(*modules: Content, steps: list[Any] | None = None) -> Edit:
    """Edit that adds a shared family, modules, and steps to the route."""

    def edit(families: Content, pathways: Content, _: Content) -> None:
        beta = {**families["families"][0], "id": "beta", "tier": "C", "decoys": []}
        families["families"].append(beta)
        pathways["modules"] = list(modules)
        pathways["pathways"][0]["steps"].extend(steps or [])

    return edit


def write(folder: Path, edit: Edit | None = None) -> CatalogueFiles:
    contents = copy.deepcopy((FAMILIES, PATHWAYS, SINGLE_COPY))
    if edit:
        edit(*contents)
    for name, content in zip(("families", "pathways", "single_copy"), contents, strict=True):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return CatalogueFiles.in_folders(folder, ROOT / "workflow/schemas")


def set_family(position: int, **fields: Any) -> Edit:
    return lambda families, *_: families["families"][position].update(fields)


def set_pathway(**fields: Any) -> Edit:
    return lambda _, pathways, __: pathways["pathways"][0].update(fields)


def set_step(**fields: Any) -> Edit:
    return lambda _, pathways, __: pathways["pathways"][0]["steps"][0].update(fields)


def set_single_copy(**fields: Any) -> Edit:
    return lambda _, __, single_copy: single_copy["families"][0].update(fields)


def test_small_catalogue_without_errors_loads(tmp_path: Path) -> None:
    catalogue = load_catalogue(write(tmp_path))
    assert catalogue.version == "1.0.0"
    assert catalogue.pathways["ROUTE"].families() == {"alpha"}


@pytest.mark.parametrize(
    ("edit", "file", "words"),
    [
        pytest.param(
            set_step(alternatives=[["alpha"], ["alhpa"]]),
            "pathways.yaml",
            ["'ROUTE'", "step 'one'", "'alhpa' is not in the families", "did you mean 'alpha'"],
            id="unknown family in a step",
        ),
        pytest.param(
            set_family(0, decoys=["decoy_alpha", "decoy_alfa"]),
            "families.yaml",
            ["'alpha'", "the decoy 'decoy_alfa' is not a family", "did you mean 'decoy_alpha'"],
            id="unknown decoy",
        ),
        pytest.param(
            set_pathway(required_markers=[["alpha"], ["omega"]]),
            "pathways.yaml",
            ["'ROUTE'", "marker 'omega' is not in the families"],
            id="unknown marker",
        ),
        pytest.param(
            set_family(1, id="alpha"),
            "families.yaml",
            ["id 'alpha' stands 2 times"],
            id="duplicate family",
        ),
        pytest.param(
            lambda _, pathways, __: pathways["pathways"].append(pathways["pathways"][0]),
            "pathways.yaml",
            ["id 'ROUTE' stands 2 times"],
            id="duplicate pathway",
        ),
        pytest.param(
            lambda _, pathways, __: pathways["pathways"][0]["steps"].append(
                pathways["pathways"][0]["steps"][0]
            ),
            "pathways.yaml",
            ["'ROUTE'", "step id 'one' stands 2 times"],
            id="duplicate step",
        ),
        pytest.param(
            set_step(alternatives=[["alpha"], []]),
            "pathways.yaml",
            ["'ROUTE'", "'one' alternatives item 2: []", "remove the entry that holds it"],
            id="empty alternative",
        ),
        pytest.param(
            set_step(alternatives=[]),
            "pathways.yaml",
            ["'ROUTE'", "'one' alternatives: []", "fill the list"],
            id="no alternative",
        ),
        pytest.param(
            set_family(0, decoys=[]),
            "families.yaml",
            ["'alpha'", "diagnostic step but names no decoys"],
            id="diagnostic family without decoys",
        ),
        pytest.param(
            lambda families, pathways, _: (
                families["families"].append({**families["families"][0], "id": "beta"}),
                pathways["pathways"][0].update(required_markers=[["alpha", "beta"]]),
            )[-1],
            "pathways.yaml",
            ["'ROUTE'", "marker 'beta' stands in no step"],
            id="marker in no step",
        ),
        pytest.param(
            set_family(0, sources=[]),
            "families.yaml",
            ["'alpha' sources", "at least one source"],
            id="family without source",
        ),
        pytest.param(
            set_pathway(sources=[]),
            "pathways.yaml",
            ["'ROUTE' sources", "at least one source"],
            id="pathway without source",
        ),
        pytest.param(
            lambda families, *_: families["families"].append(
                {**families["families"][0], "id": "beta"}
            ),
            "families.yaml",
            ["'beta'", "target that no pathway uses"],
            id="unused target",
        ),
        pytest.param(
            lambda families, *_: families["families"].append(
                {**families["families"][1], "id": "decoy_beta"}
            ),
            "families.yaml",
            ["'decoy_beta'", "decoy that no family names"],
            id="unused decoy",
        ),
        pytest.param(
            set_family(0, decoys=["decoy_alpha", "alpha"]),
            "families.yaml",
            ["'alpha'", "its own decoy"],
            id="own decoy",
        ),
        pytest.param(
            set_family(0, tier="D"),
            "families.yaml",
            ["'alpha'", "role target and tier D"],
            id="role against tier",
        ),
        pytest.param(
            set_family(0, tier="C"),
            "pathways.yaml",
            ["'one'", "'alpha' is tier C and cannot be diagnostic"],
            id="shared family as diagnostic",
        ),
        pytest.param(
            set_step(alternatives=[["alpha"], ["decoy_alpha"]]),
            "pathways.yaml",
            ["'decoy_alpha' is a decoy"],
            id="decoy in a step",
        ),
        pytest.param(
            set_step(required=False),
            "pathways.yaml",
            ["'one' is diagnostic but not required", "no step is required"],
            id="diagnostic but optional",
        ),
        pytest.param(
            set_pathway(required_markers=[]),
            "pathways.yaml",
            ["'ROUTE'", "reported without required_markers"],
            id="reported without markers",
        ),
        pytest.param(
            set_pathway(reported=False),
            "pathways.yaml",
            ["'ROUTE'", "not_reported_because"],
            id="not reported, no reason",
        ),
        pytest.param(
            set_family(0, ko_logic="K00001&K00002"),
            "families.yaml",
            ["'alpha'", "joins subunits with &"],
            id="complex as one family",
        ),
        pytest.param(
            set_family(0, ko_logic="K001895"),
            "families.yaml",
            ["'alpha' ko_logic", "K001895", "expected: KEGG orthologues, K and five digits"],
            id="malformed KO",
        ),
        pytest.param(
            set_family(0, ec=["1.1.1"]),
            "families.yaml",
            ["'alpha' ec", "1.1.1"],
            id="malformed EC",
        ),
        pytest.param(
            set_family(0, merge_group="ALPHA"),
            "families.yaml",
            ["merge_group 'ALPHA' has one member"],
            id="lonely merge group",
        ),
        pytest.param(
            set_family(0, acceptance={"min_bits": [[150, 40], [100, 35]]}),
            "families.yaml",
            ["'alpha'", "read lengths must grow"],
            id="acceptance out of order",
        ),
        pytest.param(
            set_family(0, tear="A"),
            "families.yaml",
            ["'alpha'", "'tear' was unexpected", "only id, name"],
            id="misspelt key",
        ),
        pytest.param(
            set_pathway(taxon_veto=["o__Bacillales"]),
            "pathways.yaml",
            ["'ROUTE' taxon_veto", "o__Bacillales"],
            id="veto with rank prefix",
        ),
        pytest.param(
            lambda _, pathways, __: pathways.update(version="1.0.1"),
            "pathways.yaml",
            ["version 1.0.1 is not that of the families, 1.0.0"],
            id="versions apart",
        ),
        pytest.param(
            set_single_copy(id="alpha"),
            "single_copy.yaml",
            ["'alpha' is also the id of a family"],
            id="single-copy id taken",
        ),
        pytest.param(
            set_single_copy(product_pattern="one("),
            "single_copy.yaml",
            ["'COG1'", "not a regular expression"],
            id="broken pattern",
        ),
    ],
)
def test_planted_error_is_named(tmp_path: Path, edit: Edit, file: str, words: list[str]) -> None:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, edit))
    message = str(caught.value)
    assert str(tmp_path / file) in message
    assert not [word for word in words if word not in message], message


TWO = CORE["steps"][0]


def test_modules_are_put_in_place_in_order(tmp_path: Path) -> None:
    three = {**TWO, "id": "three"}
    four = {**TWO, "id": "four"}
    outer = module("OUTER", {"module": "CORE"}, three)
    edit = with_modules(outer, CORE, steps=[{"module": "OUTER"}, four])
    route = load_catalogue(write(tmp_path, edit)).pathways["ROUTE"]
    # the route's own first step, then CORE inside OUTER, the rest of OUTER, the route's last step
    assert [step.id for step in route.steps] == ["one", "two", "three", "four"]
    assert route.families() == {"alpha", "beta"}


def test_markers_may_stand_in_a_module(tmp_path: Path) -> None:
    edit = with_modules(CORE, steps=[{"module": "CORE"}])

    def both(families: Content, pathways: Content, single_copy: Content) -> None:
        edit(families, pathways, single_copy)
        pathways["pathways"][0]["required_markers"] = [["alpha", "beta"]]

    route = load_catalogue(write(tmp_path, both)).pathways["ROUTE"]
    assert route.required_markers == (("alpha", "beta"),)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(
            with_modules(CORE, steps=[{"module": "CORE"}, {"module": "CORES"}]),
            ["pathway 'ROUTE'", "module 'CORES' is not among", "did you mean 'CORE'"],
            id="unknown module",
        ),
        pytest.param(
            with_modules(
                module("A", TWO, {"module": "B"}),
                module("B", {"module": "A"}),
                steps=[{"module": "B"}],
            ),
            ["module 'A'", "in a circle, A -> B -> A;"],
            id="cycle of two",
        ),
        pytest.param(
            with_modules(module("A", TWO, {"module": "A"}), steps=[{"module": "A"}]),
            ["module 'A'", "in a circle, A -> A;"],
            id="module in itself",
        ),
        pytest.param(
            with_modules(module("EMPTY"), steps=[{"module": "EMPTY"}]),
            ["'EMPTY' steps: []", "at least one step or module; fill the list"],
            id="empty module",
        ),
        pytest.param(
            with_modules(CORE, steps=[{"module": "CORE"}, TWO]),
            ["'ROUTE'", "step id 'two' stands 2 times (of module 'CORE', its own)"],
            id="step of a module and of the route",
        ),
        pytest.param(
            with_modules(CORE, steps=[{"module": "CORE"}, {"module": "CORE"}]),
            ["'ROUTE'", "step id 'two' stands 2 times (of module 'CORE', of module 'CORE')"],
            id="module twice in a route",
        ),
        pytest.param(
            with_modules(CORE, CORE, steps=[{"module": "CORE"}]),
            ["module id 'CORE' stands 2 times"],
            id="duplicate module",
        ),
        pytest.param(
            with_modules(CORE, module("SPARE", TWO), steps=[{"module": "CORE"}]),
            ["module 'SPARE'", "no pathway uses it"],
            id="unused module",
        ),
        pytest.param(
            with_modules(module("ROUTE", TWO), steps=[{"module": "ROUTE"}]),
            ["'ROUTE' is the id of a pathway and of a module"],
            id="module with the name of a pathway",
        ),
        pytest.param(
            with_modules(
                module("CORE", {**TWO, "alternatives": [["betta"], ["beta"]]}),
                steps=[{"module": "CORE"}],
            ),
            ["module 'CORE': step 'two'", "'betta' is not in the families", "'beta'"],
            id="unknown family in a module",
        ),
        pytest.param(
            with_modules(CORE, steps=[{"module": "CORE", "required": False}]),
            ["'required' was unexpected", "only module"],
            id="module with a flag",
        ),
        pytest.param(
            set_step(diagnostic=False),
            ["'ROUTE'", "is reported without a diagnostic step"],
            id="reported without a diagnostic step",
        ),
        pytest.param(
            set_pathway(kind="producer"),
            ["'ROUTE' kind", "'producer'", "interconversion"],
            id="unknown kind",
        ),
    ],
)
def test_planted_error_of_modules_is_the_only_one_named(
    tmp_path: Path, edit: Edit, words: list[str]
) -> None:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, edit))
    # One mistake is one line: what follows from it is not said as well.
    (message,) = str(caught.value).splitlines()
    assert message.startswith(str(tmp_path / "pathways.yaml"))
    assert not [word for word in words if word not in message], message


def test_cycle_is_named_once_however_many_routes_and_modules_meet_it(tmp_path: Path) -> None:
    ring = [
        module("OUTER", {"module": "B"}),
        module("B", {**TWO, "id": "b"}, {"module": "C"}),
        module("C", {"module": "A"}),
        module("A", {"module": "B"}),
    ]
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(
            write(tmp_path, with_modules(*ring, steps=[{"module": "OUTER"}, {"module": "CORE"}]))
        )
    message = str(caught.value)
    assert message.count("in a circle") == 1
    assert "A -> B -> C -> A" in message
    assert "'CORE' is not among the modules" in message


def test_files_that_break_their_schemas_are_named_together(tmp_path: Path) -> None:
    def edit(families: Content, pathways: Content, single_copy: Content) -> None:
        families["families"][0]["ec"] = ["1.1.1"]
        pathways["pathways"][0]["steps"][0]["rhea"] = ["RHEA:2103"]
        single_copy["families"][0]["gene"] = ""

    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, edit))
    files = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert [Path(file).name for file in files] == [
        "families.yaml",
        "pathways.yaml",
        "single_copy.yaml",
    ]


def test_route_that_is_not_reported_needs_no_diagnostic_step(tmp_path: Path) -> None:
    def edit(families: Content, pathways: Content, single_copy: Content) -> None:
        set_pathway(reported=False, not_reported_because="shared", required_markers=[])(
            families, pathways, single_copy
        )
        set_step(diagnostic=False)(families, pathways, single_copy)

    route = load_catalogue(write(tmp_path, edit)).pathways["ROUTE"]
    assert not any(step.diagnostic for step in route.steps)


def test_fields_of_families_and_routes_are_carried_over(tmp_path: Path) -> None:
    def edit(families: Content, pathways: Content, _: Content) -> None:
        families["families"][0].update(genes=["abcA", "abc1"], uniprot_query="ec:1.1.1.1")
        pathways["pathways"][0].update(kind="sink", direction="consumption", product="H2")

    catalogue = load_catalogue(write(tmp_path, edit))
    assert catalogue.families["alpha"].genes == ("abcA", "abc1")
    assert catalogue.families["alpha"].uniprot_query == "ec:1.1.1.1"
    assert catalogue.families["decoy_alpha"].genes == ()
    assert catalogue.families["decoy_alpha"].uniprot_query is None
    route = catalogue.pathways["ROUTE"]
    assert (route.kind, route.direction, route.product) == ("sink", "consumption", "H2")


def test_full_length_rule_is_the_default_with_the_familys_own_bits(tmp_path: Path) -> None:
    def edit(families: Content, *_: Content) -> None:
        families["defaults"]["full_length"] = {
            "bits_per_aa": 0.6, "min_query_cover": 0.7, "min_subject_cover": 0.8,
        }  # fmt: skip
        families["families"][0]["full_length_bits_per_aa"] = 1.1

    catalogue = load_catalogue(write(tmp_path, edit))
    assert catalogue.default_full_length == FullLength(0.6, 0.7, 0.8)
    assert catalogue.full_length("alpha") == FullLength(1.1, 0.7, 0.8)
    assert catalogue.full_length("decoy_alpha") == FullLength(0.6, 0.7, 0.8)
    assert catalogue.full_length("COG1") == FullLength(0.6, 0.7, 0.8)
    with pytest.raises(CatalogueError, match="'alfa' is not in the catalogue"):
        catalogue.full_length("alfa")


def test_catalogue_without_a_full_length_rule_has_none(tmp_path: Path) -> None:
    catalogue = load_catalogue(write(tmp_path, set_family(0, full_length_bits_per_aa=1.1)))
    assert catalogue.full_length("alpha") is None


def test_all_contradictions_are_named_at_once(tmp_path: Path) -> None:
    def edit(families: Content, pathways: Content, _: Content) -> None:
        families["families"][0]["decoys"] = []
        pathways["version"] = "2.0.0"

    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, edit))
    # no decoys for alpha, hence a decoy that nobody names, and two versions
    assert len(str(caught.value).splitlines()) == 3


def test_family_acceptance_overrides_only_what_it_names(tmp_path: Path) -> None:
    catalogue = load_catalogue(write(tmp_path, set_family(0, acceptance={"min_query_cover": 0.8})))
    own = catalogue.acceptance("alpha")
    assert own.min_query_cover == 0.8
    assert own.min_bits == ((100.0, 35.0), (150.0, 40.0))
    assert catalogue.acceptance("decoy_alpha").min_query_cover == 0.6


def test_route_that_is_not_reported_keeps_its_reason(tmp_path: Path) -> None:
    edit = set_pathway(reported=False, not_reported_because="no family", required_markers=[])
    route = load_catalogue(write(tmp_path, edit)).pathways["ROUTE"]
    assert not route.reported
    assert route.not_reported_because == "no family"


@pytest.mark.parametrize(
    ("veto", "name", "vetoed"),
    [
        ("Bacillales", "Bacillales_A", True),
        ("Bacillales", "Bacillales", True),
        ("Bacillales_A", "Bacillales_A", True),
        ("Bacillales_A", "Bacillales A", True),
        ("Bacillales_A", "Bacillales", False),
        ("Bacillales_A", "Bacillales_B", False),
        ("Bacillus", "Bacillus subtilis", False),  # whole names only
    ],
)
def test_veto_with_and_without_gtdb_letters(
    tmp_path: Path, veto: str, name: str, vetoed: bool
) -> None:
    route = load_catalogue(write(tmp_path, set_pathway(taxon_veto=[veto]))).pathways["ROUTE"]
    assert route.is_vetoed(["Bacteria", name]) is vetoed


def test_key_given_twice_is_refused(tmp_path: Path) -> None:
    files = write(tmp_path)
    path = tmp_path / "pathways.yaml"
    path.write_text(path.read_text(encoding="utf-8") + 'version: "9.9.9"\n', encoding="utf-8")
    with pytest.raises(CatalogueError, match="the key 'version' stands 2 times"):
        load_catalogue(files)


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    files = write(tmp_path)
    (tmp_path / "families.yaml").write_text("families: [", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"families\.yaml: is not valid YAML"):
        load_catalogue(files)
    (tmp_path / "families.yaml").unlink()
    with pytest.raises(CatalogueError, match=r"families\.yaml: cannot be read"):
        load_catalogue(files)


@pytest.mark.parametrize("name", ["families", "pathways", "single_copy"])
def test_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    files = write(tmp_path)
    (tmp_path / f"{name}.yaml").write_text("", encoding="utf-8")
    with pytest.raises(CatalogueError, match=re.escape(f"{name}.yaml: ")):
        load_catalogue(files)
