"""Make the databases for which nobody offers the files ready, as the registry's recipes say."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fermentome.databases.download import Downloaded, download, file_name
from fermentome.databases.fetch import REPOSITORY, ROOT, Request, mirrored, stamp
from fermentome.databases.manifest import (
    Source,
    read_manifest,
    sha256_of,
    write_manifest,
)
from fermentome.databases.registry import Preset
from fermentome.errors import DatabaseError

__all__ = ["follow", "representatives"]

logger = logging.getLogger(__name__)

#: Connections to one host at a time: what servers of institutes take without complaint.
CONNECTIONS = 4
LOG_EVERY = 100


def follow(preset: Preset, folder: Path, request: Request) -> None:
    """Make a preset that has a recipe, with its manifest, in an empty folder.

    Raises
    ------
    DatabaseError
        If it cannot be made.
    """
    if preset.recipe is None:
        raise DatabaseError(f"{preset.reference}: the registry has no recipe for it")
    _RECIPES[preset.recipe.name](preset, preset.recipe.values, folder, request)


# --- a folder of the repository -------------------------------------------------------------------


def _folder(preset: Preset, values: Mapping[str, Any], folder: Path, request: Request) -> None:
    source = _in_repository(values["folder"])
    manifest = read_manifest(source)
    for file in manifest.files:
        shutil.copyfile(source / file, folder / file)
    write_manifest(
        folder,
        name=preset.name,
        version=preset.version,
        kind=manifest.kind,
        engine=manifest.engine,
        description=manifest.description,
        licence=manifest.licence,
        sources=manifest.sources,
        tools=manifest.tools,
        parameters=manifest.parameters,
        memory_mb=manifest.memory_mb,
    )


def _in_repository(address: str) -> Path:
    path = ROOT / address.removeprefix(REPOSITORY)
    if not path.exists():
        raise DatabaseError(
            f"{path}: is missing; it belongs to the repository of Fermentome: get it with"
            f" `git checkout -- {address.removeprefix(REPOSITORY)}`"
        )
    return path


# --- genomes, sketched here -----------------------------------------------------------------------


def _genomes(preset: Preset, values: Mapping[str, Any], folder: Path, request: Request) -> None:
    table = _in_repository(values["lineages"])
    genomes = _in_repository(values["genomes"])
    source = Source(
        url=table.name,
        licence=preset.licence,
        sha256=sha256_of(table),
        size=table.stat().st_size,
    )
    _sketch(preset, sorted(genomes.iterdir()), table, values["subsampling"], folder, [source])


def _sketch(
    preset: Preset,
    genomes: list[Path],
    table: Path,
    subsampling: int,
    folder: Path,
    sources: list[Source],
) -> None:
    # Only these recipes need sylph, which is not everywhere where databases are fetched.
    from fermentome.databases.taxonomic import (
        digest_genomes,
        lineages_of,
        write_lineages,
        write_sources,
    )
    from fermentome.errors import FermentomeError
    from fermentome.lineage import read_lineages
    from fermentome.taxonomy import KMER, build_database, list_genomes

    try:
        files = list_genomes(genomes)
        lineages = lineages_of(files, read_lineages(table), table)
        build_database(files, lineages, subsampling, folder / "taxonomy.syldb")
    except FermentomeError as error:
        raise DatabaseError(f"{preset.reference}: {error}") from error
    write_lineages(folder / "lineages.tsv", lineages)
    write_sources(folder / "sources.tsv", digest_genomes(files))
    stamp(
        preset,
        folder,
        sources,
        tools={"pysylph": version("pysylph")},
        parameters={"subsampling": subsampling, "k": KMER},
    )


# --- one genome per species of a catalogue --------------------------------------------------------


def representatives(table: Path, genome: str, representative: str, lineage: str) -> dict[str, str]:
    """Lineage by accession of the genomes that stand for their species.

    Parameters
    ----------
    table
        TSV with a row for each genome of a catalogue.
    genome, representative, lineage
        Columns: accession, accession of the genome that stands for the species, lineage.

    Raises
    ------
    DatabaseError
        If a column is missing, a genome stands twice, or an accession is no plain name.
    """
    found: dict[str, str] = {}
    for number, row in enumerate(_rows(table, (genome, representative, lineage)), start=2):
        accession = row[genome]
        if accession != row[representative]:
            continue
        if accession in found or not accession.isalnum():
            why = "stands twice" if accession in found else "is no accession"
            raise DatabaseError(f"{table.name}, line {number}: {accession!r} {why}")
        found[accession] = row[lineage]
    return found


def _rows(table: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise DatabaseError(
                f"{table.name}: has no column {missing[0]!r}; its columns are"
                f" {', '.join(reader.fieldnames or ())[:200]}. The catalogue may have changed: tell"
                " the maintainers of the registry"
            )
        for row in reader:
            yield {name: row[name] or "" for name in columns}


def _representatives(
    preset: Preset, values: Mapping[str, Any], folder: Path, request: Request
) -> None:
    metadata = request.download(values["metadata"], name="metadata.tsv")
    species = representatives(
        metadata.path,
        values["genome_column"],
        values["representative_column"],
        values["lineage_column"],
    )
    if len(species) != values["count"]:
        raise DatabaseError(
            f"{preset.reference}: {values['metadata'][0]} names {len(species)} representatives,"
            f" {values['count']} were expected: the catalogue has changed; tell the maintainers of"
            " the registry"
        )
    work = _work_folder(preset, values, request)
    genomes = _download_genomes(species, values["genome"], work, request)
    table = work / "lineages.tsv"
    table.write_text(
        "genome\tlineage\n"
        + "".join(f"{accession}\t{species[accession]}\n" for accession in sorted(species)),
        encoding="utf-8",
    )
    source = Source(
        url=values["metadata"][0],
        release=values.get("release", ""),
        date=metadata.date,
        licence=preset.licence,
        sha256=metadata.sha256,
        size=metadata.size,
    )
    _sketch(preset, genomes, table, values["subsampling"], folder, [source])
    request.forget(values["metadata"], metadata)
    shutil.rmtree(work, ignore_errors=True)


def _work_folder(preset: Preset, values: Mapping[str, Any], request: Request) -> Path:
    """Where what is fetched stays until the database is there, so that a broken fetch goes on."""
    content = json.dumps([preset.reference, values], sort_keys=True)
    # Named as a finished download is, so that `fermentome db gc` knows it.
    work = request.store.downloads / hashlib.sha256(content.encode()).hexdigest()
    work.mkdir(parents=True, exist_ok=True)
    return work


def _download_genomes(
    species: Mapping[str, str], patterns: list[str], work: Path, request: Request
) -> list[Path]:
    (work / "genomes").mkdir(exist_ok=True)
    missing = [name for name in sorted(species) if not _place_of(work, name).exists()]
    logger.info("%d of %d genomes are to be downloaded", len(missing), len(species))
    with ThreadPoolExecutor(max_workers=CONNECTIONS) as pool:
        done = pool.map(lambda name: _download_genome(name, patterns, work, request), missing)
        for number, _ in enumerate(done, start=1):
            if number % LOG_EVERY == 0:
                logger.info("%d of %d genomes downloaded", number, len(missing))
    return [_place_of(work, name) for name in sorted(species)]


def _place_of(work: Path, accession: str) -> Path:
    return work / "genomes" / f"{accession}.fna"


def _download_genome(
    accession: str, patterns: list[str], work: Path, request: Request
) -> Downloaded:
    urls = [pattern.format(accession=accession, group=accession[:-2]) for pattern in patterns]
    # Of its own, since two genomes of the same bytes would have one name in a common one.
    folder = work / "partial" / accession
    found = download(
        mirrored(urls, request.mirror),
        folder,
        name=file_name(urls[0]),
        settings=request.settings,
    )
    os.replace(found.path, _place_of(work, accession))
    shutil.rmtree(folder, ignore_errors=True)
    return found


# --- proteins of UniProt --------------------------------------------------------------------------


def _uniprot(preset: Preset, values: Mapping[str, Any], folder: Path, request: Request) -> None:
    # The builder needs DIAMOND and loads much.
    from fermentome.catalogue import load_catalogue
    from fermentome.databases import scfa
    from fermentome.databases.families import Families
    from fermentome.databases.sources import Sources, SourceSpec
    from fermentome.databases.uniprot import fetch_families, queries_of
    from fermentome.defaults import catalogue_files

    catalogue = load_catalogue(catalogue_files())
    work = _work_folder(preset, values, request)
    base_url = mirrored([values["base_url"]], request.mirror)[0]
    release = fetch_families(
        queries_of(catalogue),
        work / "uniprot",
        base_url=base_url,
        release=values.get("release"),
        settings=request.settings,
    )
    source = SourceSpec(
        name="uniprot", form="uniprot", path=(work / "uniprot",), licence=preset.licence
    )
    search = work / "search"
    search.mkdir(exist_ok=True)
    scfa.build(
        Sources(specs=(source,), description=preset.description, licence=preset.licence),
        Families.of(catalogue),
        folder,
        search,
        scfa.Options(threads=request.threads),
        name=preset.name,
        version=release.name,
        catalogue_version=catalogue.version,
    )
    shutil.rmtree(work, ignore_errors=True)


_RECIPES: Mapping[str, Callable[[Preset, Mapping[str, Any], Path, Request], None]] = {
    "folder": _folder,
    "genomes": _genomes,
    "representatives": _representatives,
    "uniprot": _uniprot,
}
