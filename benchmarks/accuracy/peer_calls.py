"""Which tool calls which product, given the identifiers of a genome or a sample."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import peers
import phenotypes
from organisms import Row

from fermentome.catalogue import Catalogue

TWO_THIRDS = 2 / 3

OURS, HUMANN = "Fermentome", "HUMAnN 3.9"
GMM_FULL, GMM_PART = "GMM v1.07, complete", "GMM v1.07, two thirds"
DRAM = "DRAM form"
TOOLS = (OURS, HUMANN, GMM_FULL, GMM_PART, DRAM)
#: Key in peer_rules.tsv.
RULES_OF = {HUMANN: "humann", GMM_FULL: "gmm", GMM_PART: "gmm", DRAM: "dram"}


@dataclass
class Identifiers:
    """What the others are fed of one genome.

    Parameters
    ----------
    families
        Proteins of each family, decoys included.
    names
        Proteins of each orthologue (``K…``) and enzyme number that protein names stand for.
    """

    families: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)

    def genes(self) -> dict[str, float]:
        """Genes for HUMAnN: families by their id, enzyme numbers as ``EC:number``."""
        found = {family: float(n) for family, n in self.families.items()}
        found |= {f"EC:{name}": float(n) for name, n in self.names.items() if name[0].isdigit()}
        return found

    def all(self, catalogue: Catalogue) -> frozenset[str]:
        """Orthologues, and enzyme numbers as DRAM writes them (``EC:number``)."""
        found = {n if n.startswith("K") else f"EC:{n}" for n in self.names}
        for family in self.families:
            found |= set(orthologues(catalogue, family))
            found |= {f"EC:{number}" for number in catalogue.families[family].ec}
        return frozenset(found)


def orthologues(catalogue: Catalogue, family: str) -> tuple[str, ...]:
    """KEGG orthologues of a family; none for single-copy families."""
    logic = catalogue.families[family].ko_logic if family in catalogue.families else None
    return tuple(part.strip() for part in (logic or "").split("|") if part.strip())


# --- the others -----------------------------------------------------------------------------------


@dataclass
class Peers:
    """The rules of the others, and HUMAnN's program.

    Parameters
    ----------
    humann
        Its executable, None where it cannot be run.
    version
        What it says of itself, or why it was not run.
    """

    rules: dict[str, dict[str, list[str]]]
    modules: dict[str, peers.Module]
    form: dict[str, frozenset[str]]
    humann: Path | None
    package: Path | None
    version: str
    names: peers.NameTables

    def claims(self, tool: str, product: str) -> list[str] | None:
        """Rules by which a tool claims a product, None if it has none."""
        return self.rules[RULES_OF[tool]].get(product)

    def by_rules(self, tool: str, product: str, ids: frozenset[str]) -> list[str] | None:
        """Rules of a rule set that hold for a set of identifiers."""
        rules = self.claims(tool, product)
        if rules is None:
            return None
        if tool == DRAM:
            return peers.rows_lit(self.form, rules, ids)
        cut_off = 1.0 if tool == GMM_FULL else TWO_THIRDS
        return peers.modules_called(self.modules, rules, ids, cut_off)


def load_peers(data: Path, humann: Path | None, why_not: str) -> Peers:
    """Read the rules of the others from the data folder and from HUMAnN's package."""
    package, version = None, f"not run: {why_not}"
    if humann is not None:
        package = peers.find_package(humann)
        said = subprocess.run([str(humann), "--version"], capture_output=True, text=True,
                              check=True)  # fmt: skip
        minpath = "off: no glpsol on its path" if minpath_options(humann) else "on"
        version = f"{said.stdout.strip()}, gap filling on, MinPath {minpath}"
    with (data / "rules/GMMs.v1.07.txt").open(encoding="utf-8") as lines:
        modules = peers.parse_modules(lines)
    form_path = data / "rules/DRAM_function_heatmap_form.tsv"
    with form_path.open(encoding="utf-8", newline="") as lines:
        form = peers.parse_form(lines)
    return Peers(peers.read_rules(), modules, form, humann, package, version,
                 peers.read_names(package))  # fmt: skip


def find_humann(given: str, work: Path) -> tuple[Path | None, str]:
    """HUMAnN's program and, without one, the reason.

    Parameters
    ----------
    given
        Path, ``none`` not to run it, or empty to look on PATH and else to install it.
    work
        The environment is made below.
    """
    if given == "none":
        return None, "left out with --humann none"
    if given:
        return Path(given).absolute(), ""
    on_path = shutil.which("humann")
    if on_path:
        return Path(on_path).absolute(), ""
    folder = work / "humann"
    program = folder / "bin/humann"
    if not program.is_file():
        # Without its dependencies: MetaPhlAn is not needed where the profile is by-passed.
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [str(folder / "bin/pip"), "install", "--quiet", "--no-deps", "humann==3.9"],
            [str(folder / "bin/pip"), "install", "--quiet", "numpy", "biom-format"],
        ]
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
                return None, f"could not be installed ({reason[:120]})"
    return program.absolute(), ""


def minpath_options(humann: Path) -> list[str]:
    """``--minpath off`` where the solver that MinPath needs is not installed."""
    path = peers.humann_environment(humann)["PATH"]
    return [] if shutil.which("glpsol", path=path) else ["--minpath", "off"]


def family_reactions(catalogue: Catalogue, package: Path) -> dict[str, set[str]]:
    """Families by MetaCyc reaction: by enzyme number, and by the reactions among their sources."""
    numbers = peers.reaction_numbers(package)
    by_number: dict[str, set[str]] = defaultdict(set)
    for reaction, own in numbers.items():
        for number in own:
            by_number[number].add(reaction)
    genes: dict[str, set[str]] = defaultdict(set)
    for family in catalogue.families.values():
        for number in family.ec:
            for reaction in by_number.get(number, ()):
                genes[reaction].add(family.id)
        for source in family.sources:
            if source.startswith("MetaCyc:") and source[8:] in numbers:
                genes[source[8:]].add(family.id)
    return genes


def humann_on_genomes(
    found: Mapping[str, Identifiers], known: Peers, catalogue: Catalogue, work: Path
) -> dict[str, dict[str, float]]:
    """Pathways with an abundance by genome."""
    if known.humann is None or known.package is None:
        return {}
    work.mkdir(parents=True, exist_ok=True)
    reactions = work / "reactions.tsv"
    peers.write_reactions(reactions, peers.reaction_numbers(known.package),
                          family_reactions(catalogue, known.package))  # fmt: skip
    options = minpath_options(known.humann)
    return {
        genome: peers.humann_pathways(
            known.humann, ids.genes(), reactions, known.package / peers.HUMANN_PATHWAYS,
            work / genome, options,
        )
        for genome, ids in found.items()
    }  # fmt: skip


def calls_of_tools(
    ours: Mapping[str, list[str]],
    ids: frozenset[str],
    pathways: Mapping[str, float] | None,
    known: Peers,
    products: Sequence[str],
) -> dict[tuple[str, str], list[str] | None]:
    """Rules that hold by tool and product; None where a tool has no rule or was not run.

    Parameters
    ----------
    ours
        Our present routes by product.
    ids
        Identifiers for the rule sets.
    pathways
        HUMAnN's pathways, None where it was not run.
    """
    calls: dict[tuple[str, str], list[str] | None] = {}
    for product in products:
        calls[OURS, product] = ours[product]
        for tool in TOOLS[1:]:
            rules = known.claims(tool, product)
            if tool == HUMANN:
                calls[tool, product] = (
                    None if pathways is None or rules is None
                    else [rule for rule in rules if rule in pathways]
                )  # fmt: skip
            else:
                calls[tool, product] = known.by_rules(tool, product, ids)
    return calls


def judged(rules: Sequence[str] | None, made: phenotypes.Made) -> Row:
    """Call, the rules that made it, and the verdict; ``no_rule`` where a tool says nothing."""
    if rules is None:
        return {"called": None, "rules": "", "made": made, "verdict": "no_rule"}
    return {"called": "yes" if rules else "no", "rules": ",".join(rules), "made": made,
            "verdict": phenotypes.verdict(made, bool(rules))}  # fmt: skip


def compared_products(
    organisms: Iterable[phenotypes.Organism], routes: Iterable[str], known: Peers
) -> list[str]:
    """Products for which there is a truth, a route of ours and a rule of another tool."""
    products = phenotypes.products_of(organisms, routes, phenotypes.read_literature())
    return [p for p in products if any(known.claims(tool, p) for tool in RULES_OF)]
