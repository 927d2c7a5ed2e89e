"""Queries of UniProtKB, as far as the catalogue uses them: read them, and say what is wrong.

The syntax is that of the REST API since 2022: `field:value`, joined by ``AND``, ``OR`` and ``NOT``,
with parentheses (https://www.uniprot.org/help/text-search). Fields and the form of their values are
those of https://www.uniprot.org/help/query-fields. The server refuses a field that it does not
know, but answers a well-formed query with a mistyped identifier by no results, or by too many; so
what can be seen without it is seen here.

Only a part of the language is let through: no words without a field, which search the whole text
of an entry, and no ``AND`` beside ``OR`` without parentheses, which people and servers read
differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fermentome.errors import CatalogueError

__all__ = ["Term", "parse_query"]

_RANGE = re.compile(r"\[(\d+|\*) TO (\d+|\*)\]")
#: Form of the values of each field. Names of databases in `xref` are UniProt's, in small letters.
_FORMS = {
    "accession": re.compile(
        r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z]([0-9][A-Z][A-Z0-9]{2}){1,2}[0-9]"
    ),
    "ec": re.compile(r"[1-7](\.\d+){3}"),
    "gene_exact": re.compile(r"[A-Za-z][A-Za-z0-9_-]*"),
    "length": _RANGE,
    "taxonomy_id": re.compile(r"[1-9]\d*"),
    "xref": re.compile(
        r"pfam-PF\d{5}|ncbifam-(TIGR\d{5}|NF\d{6})|interpro-IPR\d{6}|hamap-MF_\d{5}"
    ),
}
#: What the request adds by itself, so that the catalogue says only what the family is.
_ADDED = {
    "reviewed": "reviewed and other members are asked for apart",
    "fragment": "fragments are left out by the request",
    "keyword": "the limit to reference proteomes is that of the request",
}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<mark>[()])
      | (?P<word>AND|OR|NOT)(?=[\s(]|$)
      | (?P<field>[A-Za-z_]+):(?P<value>\[[^\]]*\]|[^\s()]+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Term:
    """One ``field:value`` of a query.

    Attributes
    ----------
    negated
        Whether it stands under ``NOT``: entries that have it are left out.
    """

    field: str
    value: str
    negated: bool = False


def parse_query(text: str) -> tuple[Term, ...]:
    """Read a query of the catalogue.

    Returns
    -------
    tuple of Term
        Its terms, in order.

    Raises
    ------
    CatalogueError
        If parentheses are not balanced, ``AND`` and ``OR`` stand side by side, a field is unknown
        or the request's own, or a value has not the form of its field.

    Examples
    --------
    >>> parse_query("ec:2.7.2.7 NOT taxonomy_id:1385")[1]
    Term(field='taxonomy_id', value='1385', negated=True)
    """
    tokens = list(_tokens(text))
    reader = _Reader(tokens)
    reader.group(negated=False, inner=False)
    for term in reader.terms:
        _check(term)
    return tuple(reader.terms)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    place = 0
    text = text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise CatalogueError(
                f"cannot be read from {text[place:].strip()[:40]!r} on; write field:value, AND, OR,"
                " NOT and parentheses only"
            )
        yield found
        place = found.end()


class _Reader:
    """Reads the tokens of a query by descent; `terms` are those that it met."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens = tokens
        self._place = 0
        self.terms: list[Term] = []

    def _next(self) -> re.Match[str] | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def group(self, *, negated: bool, inner: bool) -> None:
        """Read up to the end, or to the parenthesis that closes this group."""
        self._unit(negated)
        joints = set()
        while (token := self._next()) is not None and token["mark"] != ")":
            joint = token["word"]
            if joint is None:
                raise CatalogueError(f"lacks AND, OR or NOT before {token[0].strip()!r}; write it")
            joints.add("OR" if joint == "OR" else "AND")
            if len(joints) == 2:
                raise CatalogueError("has AND or NOT beside OR; set parentheses around one of them")
            if joint == "NOT":
                self._unit(negated)
                continue
            self._place += 1
            self._unit(negated)
        if inner and self._next() is None:
            raise CatalogueError("lacks a closing parenthesis; add it")
        if not inner and self._next() is not None:
            raise CatalogueError("has a closing parenthesis too many; take it out")

    def _unit(self, negated: bool) -> None:
        token = self._next()
        if token is None:
            raise CatalogueError("ends where field:value is expected; complete or shorten it")
        self._place += 1
        if token["word"] == "NOT":
            self._unit(not negated)
        elif token["mark"] == "(":
            self.group(negated=negated, inner=True)
            self._place += 1
        elif token["field"]:
            self.terms.append(Term(token["field"], token["value"], negated))
        else:
            raise CatalogueError(
                f"has {token[0].strip()!r} where field:value is expected; correct it"
            )


def _check(term: Term) -> None:
    if why := _ADDED.get(term.field):
        raise CatalogueError(f"has {term.field}:{term.value}, but {why}; take it out")
    form = _FORMS.get(term.field)
    if form is None:
        raise CatalogueError(f"has the field {term.field!r}; expected one of {', '.join(_FORMS)}")
    found = form.fullmatch(term.value)
    if found is None:
        raise CatalogueError(
            f"has {term.field}:{term.value}, which is not of the form of the field; write it like"
            " ec:2.7.2.7, xref:pfam-PF00871, xref:ncbifam-TIGR02707, length:[300 TO 400]"
        )
    if form is _RANGE and "*" not in found.groups() and int(found[1]) > int(found[2]):
        raise CatalogueError(f"has {term.field}:{term.value}, an empty range; swap the two numbers")
