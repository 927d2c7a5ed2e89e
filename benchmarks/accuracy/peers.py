"""Apply the rule sets of others to the identifiers of a genome.

Definitions are read where their licence leaves them: module and heat-map files in the data folder,
MetaCyc structures in an installed HUMAnN. This repository holds ids alone (`peer_rules.tsv`: which
module, row or pathway speaks of which product) and patterns of protein names (`peer_names.tsv`).

- *GMM*: each line of a module is a step, tabs part alternatives, commas parts of a complex.
  Coverage is the share of steps with one whole alternative. Omixer-RPM learns its cut-off from a
  cohort unless told one; here it is given as an argument.
- *DRAM*: a row of the form is lit by any one of its ids.
- *HUMAnN*: its own program, run on a table of genes; a pathway counts if it has an abundance.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fermentome.errors import FermentomeError
from fermentome.tables import read_table

HERE = Path(__file__).resolve().parent
RULES = HERE / "peer_rules.tsv"
NAMES = HERE / "peer_names.tsv"

#: Which of HUMAnN's files it uses unless told otherwise (its config.py, version 3.9).
HUMANN_REACTIONS = "data/pathways/metacyc_reactions_level4ec_only.uniref.bz2"
HUMANN_PATHWAYS = "data/pathways/metacyc_pathways_structured_filtered_v24_subreactions"
HUMANN_KO_NAMES = "data/misc/map_ko_name.txt.gz"
HUMANN_EC_NAMES = "data/misc/map_level4ec_name.txt.gz"

Step = tuple[frozenset[str], ...]
"""Alternatives of a step, each the orthologues that it needs together."""


class PeerError(FermentomeError):
    """The rules of another tool cannot be read, or the tool failed."""


# --- gut metabolic modules ------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """One module: its name and its steps."""

    name: str
    steps: tuple[Step, ...]

    def coverage(self, orthologues: frozenset[str]) -> float:
        """Share of the steps of which one alternative is complete; 0 for a module without steps."""
        done = sum(any(needed <= orthologues for needed in step) for step in self.steps)
        return done / len(self.steps) if self.steps else 0.0


def parse_modules(lines: Iterable[str]) -> dict[str, Module]:
    r"""Modules of a GMM file by id.

    Examples
    --------
    >>> module = parse_modules(["M1\ta name", "K1,K2\tK3", "K4", "///"])["M1"]
    >>> module.coverage(frozenset({"K1", "K2"})), module.coverage(frozenset({"K1"}))
    (0.5, 0.0)
    """
    modules: dict[str, Module] = {}
    name, identifier = "", ""
    steps: list[Step] = []
    for line in lines:
        line = line.rstrip("\n").strip("\t ")
        if line == "///":
            modules[identifier] = Module(name, tuple(steps))
            identifier, steps = "", []
        elif line and not identifier:
            identifier, _, name = line.partition("\t")
        elif line:
            steps.append(_step(line))
    if identifier:
        modules[identifier] = Module(name, tuple(steps))
    return modules


def _step(line: str) -> Step:
    return tuple(
        frozenset(part.strip() for part in alternative.split(",") if part.strip())
        for alternative in line.split("\t")
        if alternative.strip()
    )


# --- DRAM's form ----------------------------------------------------------------------------------


def parse_form(lines: Iterable[str]) -> dict[str, frozenset[str]]:
    r"""Ids of each row of DRAM's heat-map form, by function name.

    Examples
    --------
    >>> form = parse_form(["function_name\tfunction_ids", 'a\t"K1, EC:1.1.1.1"'])
    >>> sorted(form["a"])
    ['EC:1.1.1.1', 'K1']
    """
    form: dict[str, frozenset[str]] = {}
    for row in csv.DictReader(lines, delimiter="\t"):
        ids = (part.strip() for part in row["function_ids"].split(","))
        form[row["function_name"].strip()] = frozenset(part for part in ids if part)
    return form


# --- which rule speaks of which product -----------------------------------------------------------


def read_rules(path: Path = RULES) -> dict[str, dict[str, list[str]]]:
    """Tool to product to the rules that claim it."""
    rules: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in read_table(path, ["tool", "product", "rule"]):
        rules[row["tool"]][row["product"]].append(row["rule"])
    return {tool: dict(products) for tool, products in rules.items()}


def modules_called(
    modules: Mapping[str, Module], rules: Iterable[str], orthologues: frozenset[str], cut_off: float
) -> list[str]:
    """Modules whose coverage reaches the cut-off."""
    return [rule for rule in rules if modules[rule].coverage(orthologues) >= cut_off - 1e-9]


def rows_lit(
    form: Mapping[str, frozenset[str]], rules: Iterable[str], identifiers: frozenset[str]
) -> list[str]:
    """Rows of DRAM's form that have one of their ids in the genome."""
    return [rule for rule in rules if form[rule] & identifiers]


# --- identifiers from protein names ---------------------------------------------------------------


def plain_name(name: str) -> str:
    """A protein name without what annotators add: lower case, words only, no EC, no "putative".

    Examples
    --------
    >>> plain_name("MULTISPECIES: putative acetate kinase [EC:2.7.2.1]")
    'acetate kinase'
    """
    name = re.sub(r"\[EC[^\]]*\]", "", name)
    name = re.sub(r"^MULTISPECIES: ", "", name).lower()
    name = re.sub(r"^(putative|probable|predicted) ", "", name)
    name = re.sub(r"[^a-z0-9]+", " ", name)
    return " ".join(re.sub(r"\b(family protein|family|protein|enzyme)\b", " ", name).split())


def product_of_header(description: str) -> str:
    """Product name of a RefSeq header: what stands before the organism.

    Examples
    --------
    >>> product_of_header("acyl-CoA dehydrogenase [[Eubacterium] hallii]")
    'acyl-CoA dehydrogenase'
    """
    bare = re.sub(r" \[(?:[^\[\]]|\[[^\[\]]*\])*\]$", "", description.strip())
    bare = re.sub(r"^MULTISPECIES: ", "", bare)
    return re.sub(r" \(plasmid\)$|, partial$", "", bare)


@dataclass
class NameTables:
    """Orthologues and enzyme numbers by protein name.

    Parameters
    ----------
    exact
        Identifiers by plain name, from the name tables that HUMAnN ships.
    patterns
        Patterns over whole names and their identifier.
    """

    exact: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    patterns: list[tuple[re.Pattern[str], str]] = field(default_factory=list)
    _known: dict[str, frozenset[str]] = field(default_factory=dict)

    def identifiers(self, name: str) -> frozenset[str]:
        """Orthologues and enzyme numbers that a product name stands for."""
        if name not in self._known:
            found = set(self.exact.get(plain_name(name), ()))
            found.update(i for pattern, i in self.patterns if pattern.fullmatch(name))
            self._known[name] = frozenset(found)
        return self._known[name]


def read_names(humann: Path | None, patterns: Path = NAMES) -> NameTables:
    """Name tables: HUMAnN's where it is installed, and the patterns of this repository."""
    tables = NameTables()
    for row in read_table(patterns, ["identifier", "pattern", "note"]):
        tables.patterns.append((re.compile(row["pattern"]), row["identifier"]))
    if humann is None:
        return tables
    with gzip.open(humann / HUMANN_KO_NAMES, "rt", encoding="utf-8") as lines:
        for line in lines:
            identifier, _, name = line.rstrip("\n").partition("\t")
            numbers = {n for group in re.findall(r"\[EC:([^\]]*)\]", name) for n in group.split()}
            for part in {name, *re.sub(r"\[EC[^\]]*\]", "", name).split(" / ")}:
                if key := plain_name(part):
                    tables.exact[key] |= {identifier} | numbers
    with gzip.open(humann / HUMANN_EC_NAMES, "rt", encoding="utf-8") as lines:
        for line in lines:
            identifier, _, name = line.rstrip("\n").partition("\t")
            if key := plain_name(name):
                tables.exact[key].add(identifier)
    return tables


# --- HUMAnN ---------------------------------------------------------------------------------------


def find_package(program: Path) -> Path:
    """Folder of the HUMAnN package that a program belongs to.

    Raises
    ------
    PeerError
        If there is none.
    """
    python = program.parent / "python"
    command = [str(python), "-c", "import humann; print(humann.__path__[0])"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    folder = Path(done.stdout.strip() or "-")
    if not (folder / HUMANN_PATHWAYS).is_file():
        raise PeerError(
            f"{program}: no HUMAnN 3.9 package beside it ({done.stderr.strip()[-200:]}); "
            "install it with 'pip install --no-deps humann==3.9 && pip install biom-format' in an "
            "environment of its own, and glpsol (GLPK) on its PATH"
        )
    return folder


def reaction_numbers(package: Path) -> dict[str, tuple[str, ...]]:
    """Enzyme numbers of each reaction that HUMAnN knows."""
    numbers: dict[str, tuple[str, ...]] = {}
    with bz2.open(package / HUMANN_REACTIONS, "rt", encoding="utf-8") as lines:
        for line in lines:
            reaction, number = line.rstrip("\n").split("\t", 2)[:2]
            numbers[reaction] = tuple(n for n in number.split(",") if n)
    return numbers


def write_reactions(
    path: Path, numbers: Mapping[str, Sequence[str]], genes: Mapping[str, Iterable[str]]
) -> None:
    """Write HUMAnN's first pathway file: the genes of each reaction.

    Parameters
    ----------
    path
        File to write.
    numbers
        Enzyme numbers of each reaction; ``EC:number`` is a gene of it.
    genes
        Further genes by reaction.
    """
    with path.open("w", encoding="utf-8") as out:
        for reaction in sorted(numbers):
            members = {f"EC:{number}" for number in numbers[reaction]} | set(
                genes.get(reaction, ())
            )
            if members:
                out.write("\t".join([reaction, *sorted(members)]) + "\n")


def humann_environment(program: Path) -> dict[str, str]:
    """Environment with the program's folder first on the path (its glpsol and its Python)."""
    return os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def humann_pathways(
    program: Path,
    genes: Mapping[str, float],
    reactions: Path,
    pathways: Path,
    folder: Path,
    options: Sequence[str] = (),
) -> dict[str, float]:
    """Pathways with an abundance that HUMAnN finds in a table of genes.

    Parameters
    ----------
    program
        HUMAnN's executable.
    genes
        Copies by gene.
    reactions, pathways
        Its two pathway files.
    folder
        Scratch folder of this run.
    options
        Further arguments of HUMAnN.

    Raises
    ------
    PeerError
        If HUMAnN ends with an error.
    """
    if not genes:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "genes.tsv"
    rows = "".join(f"{gene}\t{copies}\n" for gene, copies in sorted(genes.items()))
    table.write_text(f"# Gene Family\tgenes_Abundance\n{rows}", encoding="utf-8")
    run_humann(
        program,
        ["--input", str(table), "--output", str(folder), "--input-format", "genetable",
         "--pathways-database", f"{reactions},{pathways}", "--remove-temp-output", *options],
    )  # fmt: skip
    return read_abundance(folder / "genes_pathabundance.tsv")


def run_humann(program: Path, arguments: Sequence[str]) -> None:
    """Run HUMAnN.

    Raises
    ------
    PeerError
        If it ends with an error.
    """
    done = subprocess.run(
        [str(program), *arguments],
        capture_output=True, text=True, check=False, env=humann_environment(program),
    )  # fmt: skip
    if done.returncode != 0:
        raise PeerError(f"{program} failed: {(done.stderr + done.stdout).strip()[-500:]}")


def read_abundance(path: Path) -> dict[str, float]:
    """Unstratified abundances of a HUMAnN table, without what it could not place."""
    found: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        name, value = line.split("\t")[:2]
        if "|" not in name and name not in ("UNMAPPED", "UNINTEGRATED") and float(value) > 0:
            found[name.split(": ")[0]] = float(value)
    return found
