"""Searches of proteins in proteins, with DIAMOND."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from fermentome.genome_search import run_diamond
from fermentome.reference import SEARCH_COLUMNS, SearchHit, read_search_hits, write_fasta

__all__ = ["Searcher"]


class Searcher:
    """Protein searches in a working folder.

    What is found does not depend on `threads`. It may depend on the order of the subjects where
    more of them tie than are asked for: callers give them sorted.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder = folder
        self.threads = threads
        self._numbers = count()

    def search(
        self,
        queries: Iterable[tuple[str, str]],
        subjects: Iterable[tuple[str, str]],
        *options: str,
    ) -> Iterator[SearchHit]:
        """Hits of (id, sequence) pairs in others, best first for each query.

        The search is done when this returns; its hits are read from a file, one at a time.

        Raises
        ------
        DatabaseError
            If DIAMOND is missing or fails.
        """
        query, index, table = self._prepare(queries, subjects)
        if query is None:
            return iter(())
        self._diamond(
            "blastp", "--query", str(query), "--db", str(index), "--out", str(table),
            "--evalue", "1e-5", "--masking", "0", *options,
            "--outfmt", "6", *SEARCH_COLUMNS,
        )  # fmt: skip
        return self._hits(table)

    def align(
        self, queries: Iterable[tuple[str, str]], template: tuple[str, str]
    ) -> dict[str, dict[int, str]]:
        """Residue of each query at each place of a template that it aligns with."""
        query, index, table = self._prepare(queries, [template])
        if query is None:
            return {}
        self._diamond(
            "blastp", "--query", str(query), "--db", str(index), "--out", str(table),
            "--evalue", "1e-5", "--masking", "0", "--very-sensitive", "--max-hsps", "1",
            "--outfmt", "6", "qseqid", "sstart", "qseq_gapped", "sseq_gapped",
        )  # fmt: skip
        aligned: dict[str, dict[int, str]] = {}
        for line in table.read_text(encoding="utf-8").splitlines():
            name, start, ours, theirs = line.split("\t")
            place = int(start) - 1
            aligned[name] = {}
            for residue, reference in zip(ours, theirs, strict=True):
                place += reference != "-"
                if reference != "-":
                    aligned[name][place] = residue
        table.unlink()
        return aligned

    def _prepare(
        self, queries: Iterable[tuple[str, str]], subjects: Iterable[tuple[str, str]]
    ) -> tuple[Path | None, Path, Path]:
        """Query file and index; no query file where there is nothing to search."""
        number = next(self._numbers)
        query, subject = self.folder / "queries.faa", self.folder / "subjects.faa"
        index, table = self.folder / "subjects", self.folder / f"hits{number}.tsv"
        write_fasta(query, queries)
        write_fasta(subject, subjects)
        if not query.stat().st_size or not subject.stat().st_size:
            return None, index, table
        self._diamond("makedb", "--in", str(subject), "--db", str(index))
        return query, index, table

    @staticmethod
    def _hits(table: Path) -> Iterator[SearchHit]:
        yield from read_search_hits(table)
        table.unlink()

    def _diamond(self, *arguments: str) -> None:
        run_diamond(*arguments, "--threads", str(self.threads), "--quiet")
