"""Make workflow/resources/identifiers.tsv, the table of known identifiers of the linter.

Source: the lists of names in HUMAnN 3.9 (MIT licence), which hold KEGG orthologues up to K20784,
EC numbers, Pfam and MetaCyc ids of that time:

    pip download --no-deps --no-binary :all: humann==3.9
    python benchmarks/identifiers/build_identifiers.py humann-3.9.tar.gz

Kept are the identifiers that the catalogue names, and of KEGG orthologues and EC numbers those that
a slip of the finger makes of them (two neighbouring digits swapped, or a digit one too high or too
low), so that a slip shows as what it means. Of each only number, EC numbers and type of enzyme are
kept. What the lists do not hold, newer numbers and all of Rhea, stands in additions.tsv beside this
program, by hand, each row with the place where it was seen.
"""

import argparse
import gzip
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.enzymes import COLUMNS, FORMS, enzyme_types  # noqa: E402
from fermentome.tables import read_table, write_table  # noqa: E402

Row = dict[str, str]
SOURCE = "humann-3.9"
LISTS = {
    "ko": "map_ko_name.txt.gz",
    "ec": "map_level4ec_name.txt.gz",
    "pfam": "map_pfam_name.txt.gz",
    "metacyc": "map_metacyc-rxn_name.txt.gz",
    "metacyc pathways": "map_metacyc-pwy_name.txt.gz",
}
ORDER = {"ko": 0, "ec": 1, "rhea": 2, "pfam": 3, "metacyc": 4}

_IN_TEXT = {
    "ko": re.compile(r"\bK\d{5}\b"),
    "ec": re.compile(r"(?<![\w./:-])(?:EC:)?([1-7]\.\d+\.\d+\.\d+)(?![\w/-]|\.\d)"),
    "pfam": re.compile(r"\bPF\d{5}\b"),
    "metacyc": re.compile(r"MetaCyc:([^\s,\]]+)"),
}
_KO_NUMBERS = re.compile(r"\[EC:([^\]]*)\]")


def read_names(package: Path) -> dict[str, dict[str, str]]:
    """Names by kind and identifier, from a source distribution of HUMAnN, packed or not."""
    names: dict[str, dict[str, str]] = {kind: {} for kind in ORDER}
    for kind, file in LISTS.items():
        for line in gzip.decompress(_member(package, file)).decode("utf-8").splitlines():
            identifier, _, name = line.partition("\t")
            names[kind.split()[0]][identifier] = name
    return names


def _member(package: Path, file: str) -> bytes:
    if package.is_dir():
        return next(package.rglob(file)).read_bytes()
    with tarfile.open(package) as archive:
        member = next(name for name in archive.getnames() if name.endswith(f"/{file}"))
        content = archive.extractfile(member)
        if content is None:
            raise SystemExit(f"{package}: {member} is no file")
        return content.read()


def used_identifiers(texts: Iterable[str]) -> dict[str, set[str]]:
    """Identifiers that stand anywhere in the text of the catalogue, notes included."""
    joined = "\n".join(texts)
    return {kind: set(pattern.findall(joined)) for kind, pattern in _IN_TEXT.items()}


def slips(identifier: str) -> Iterator[str]:
    """Identifiers that a slip of the finger makes of one.

    >>> sorted(slips("K90"))
    ['K09', 'K80', 'K91']
    """
    for place, digit in enumerate(identifier):
        if not digit.isdigit():
            continue
        before, after = identifier[:place], identifier[place + 1 :]
        for other in (int(digit) - 1, int(digit) + 1):
            if 0 <= other <= 9:
                yield f"{before}{other}{after}"
        if after[:1].isdigit() and after[0] != digit:
            yield f"{before}{after[0]}{digit}{after[1:]}"


def kept(kind: str, used: set[str], known: Iterable[str]) -> set[str]:
    """Identifiers of a kind that go into the table."""
    wanted = set(used)
    if kind in ("ko", "ec"):
        wanted |= {slip for identifier in used for slip in slips(identifier)}
    return wanted & set(known)


def make_row(kind: str, identifier: str, name: str) -> Row:
    """Row of an identifier, of whose name only numbers and types are kept."""
    numbers = _KO_NUMBERS.search(name) if kind == "ko" else None
    whole = [
        part for part in (numbers[1].split() if numbers else []) if FORMS["ec"].fullmatch(part)
    ]
    types = enzyme_types(_KO_NUMBERS.sub("", name)) if kind in ("ko", "ec") else ()
    return {
        "kind": kind,
        "id": identifier,
        "ec": "|".join(whole),
        "types": "|".join(types),
        "source": SOURCE,
    }


def main(argv: list[str] | None = None) -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", type=Path, help="humann-3.9.tar.gz, or the folder unpacked")
    parser.add_argument("--catalogue", type=Path, default=ROOT / "workflow/resources")
    parser.add_argument("--out", type=Path, help="default: identifiers.tsv beside the catalogue")
    options = parser.parse_args(argv)
    texts = [
        (options.catalogue / f"{name}.yaml").read_text(encoding="utf-8")
        for name in ("families", "pathways", "single_copy")
    ]
    names = read_names(options.package)
    rows = {
        (kind, identifier): make_row(kind, identifier, names[kind][identifier])
        for kind, used in used_identifiers(texts).items()
        for identifier in kept(kind, used, names[kind])
    }
    # By hand goes before the list: it also says what became of withdrawn numbers.
    for row in read_table(Path(__file__).with_name("additions.tsv"), COLUMNS):
        rows[row["kind"], row["id"]] = row
    ordered = sorted(rows.values(), key=lambda row: (ORDER[row["kind"]], _natural(row["id"])))
    write_table(options.out or options.catalogue / "identifiers.tsv", COLUMNS, ordered)
    return 0


def _natural(identifier: str) -> list[tuple[int, str]]:
    """Sorting key by which 1.1.1.2 stands before 1.1.1.10."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", identifier)
    ]


if __name__ == "__main__":
    sys.exit(main())
