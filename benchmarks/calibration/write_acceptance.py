"""Carry the proposal of ``calibrate.py`` into families.yaml; comments and order stay.

    python benchmarks/calibration/write_acceptance.py [--proposal FILE] [--families FILE]

Replaces the defaults, and in each family the lines ``acceptance`` and ``full_length_bits_per_aa``.
A family that the proposal does not name loses its ``acceptance``; its own full-length value stays.
The result is loaded before it is written.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fermentome.errors import FermentomeError  # noqa: E402  (needs the path above)

FAMILY = re.compile(r"^  - id: (?P<id>\S+)\s*$")
OWN_LINE = re.compile(r"^    (?P<key>acceptance|full_length_bits_per_aa):")
AFTER = re.compile(r"^    merge_group:")


class ProposalError(FermentomeError):
    """The proposal and families.yaml do not fit together."""


def flow(value: Any) -> str:
    """A value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def family_lines(entry: Mapping[str, Any]) -> list[str]:
    """Lines that the proposal gives to a family."""
    return [
        f"    {key}: {flow(entry[key])}\n"
        for key in ("full_length_bits_per_aa", "acceptance")
        if key in entry
    ]


def carried(text: str, proposal: Mapping[str, Any]) -> str:
    """families.yaml with the proposal in it.

    Raises
    ------
    ProposalError
        If the proposal names a family that the file does not hold, or a family has no line
        ``merge_group`` after which the values belong.
    """
    wanted: Mapping[str, Mapping[str, Any]] = proposal["families"]
    missing = set(wanted)
    result: list[str] = []
    family, in_defaults, waiting = "", False, ""
    for line in text.splitlines(keepends=True):
        found = FAMILY.match(line)
        if found:
            if waiting:
                break
            family, in_defaults = found["id"], False
            waiting = family if family in wanted else ""
        elif line.startswith("defaults:"):
            in_defaults = True
        elif line.startswith("families:"):
            in_defaults = False
        key = re.match(r"^  (\w+):", line)
        if in_defaults and key and key[1] in proposal["defaults"]:
            result.append(f"  {key[1]}: {flow(proposal['defaults'][key[1]])}\n")
            continue
        own = OWN_LINE.match(line)
        if family and own and (own["key"] == "acceptance" or own["key"] in wanted.get(family, {})):
            continue
        result.append(line)
        if waiting and AFTER.match(line):
            result.extend(family_lines(wanted[family]))
            missing.remove(family)
            waiting = ""
    if waiting:
        raise ProposalError(f"family {waiting!r} has no line merge_group; add one")
    if missing:
        raise ProposalError(
            f"the proposal names {sorted(missing)[0]!r}, which families.yaml does not hold; run"
            " calibrate.py with the present catalogue"
        )
    return "".join(result)


def check(text: str, proposal: Mapping[str, Any]) -> None:
    """Read the result back: the values stand where they should, and nowhere else."""
    content = yaml.safe_load(text)
    for key, value in proposal["defaults"].items():
        if content["defaults"].get(key) != value:
            raise ProposalError(f"defaults.{key} could not be replaced; it must stand on one line")
    for family in content["families"]:
        entry = proposal["families"].get(family["id"], {})
        if family.get("acceptance") != entry.get("acceptance"):
            raise ProposalError(f"family {family['id']!r}: acceptance must stand on one line")
    lines = len(re.findall(r"^    (?:acceptance|full_length_bits_per_aa):", text, re.MULTILINE))
    keys = ("acceptance", "full_length_bits_per_aa")
    if lines != sum(key in family for family in content["families"] for key in keys):
        raise ProposalError("a family would hold a value twice; nothing was written")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--proposal", type=Path, default=Path(__file__).with_name("acceptance.yaml")
    )
    parser.add_argument(
        "--families", type=Path, default=ROOT / "workflow" / "resources" / "families.yaml"
    )
    arguments = parser.parse_args(argv)
    proposal = yaml.safe_load(arguments.proposal.read_text(encoding="utf-8"))
    text = carried(arguments.families.read_text(encoding="utf-8"), proposal)
    check(text, proposal)
    arguments.families.write_text(text, encoding="utf-8")
    print(f"{arguments.families}: {len(proposal['families'])} families have values of their own")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
