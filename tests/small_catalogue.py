"""A small catalogue that the tests of assignment and scoring share."""

from fermentome.catalogue import Acceptance, Catalogue, Family, Pathway, SingleCopyFamily, Step


def make_family(name, role="target", tier="B", merge_group=None):
    return Family(
        id=name, name=name, role=role, tier=tier, ec=(), ko_logic=None, length_aa=300, decoys=(),
        merge_group=merge_group, full_length_bits_per_aa=None,
        acceptance=Acceptance(((100.0, 35.0), (150.0, 40.0), (225.0, 45.0)), 0.6),
        confidence="high", sources=("test",), checked=True, note="",
    )  # fmt: skip


def make_step(name, *alternatives, required=True, diagnostic=False):
    return Step(name, name, (), (), required, diagnostic, alternatives)


def make_pathway(name, steps, markers, scope="community", veto=(), completeness=0.75):
    return Pathway(
        id=name, name=name, kind="production", product="butyrate", direction="formation",
        evidence_scope=scope,
        min_completeness=completeness, taxon_veto=veto, reported=True, not_reported_because="",
        confidence="high", checked=True, steps=steps, required_markers=markers, caveat="",
        sources=("test",),
    )  # fmt: skip


def make_catalogue(pathways=()):
    families = [
        make_family("but", tier="A"),
        make_family("thl", tier="C"),
        make_family("hbd", tier="C"),
        make_family("crt", tier="C"),
        make_family("ptb"),
        make_family("buk"),
        make_family("left", merge_group="pair"),
        make_family("right", merge_group="pair"),
        make_family("decoy_x", role="decoy", tier="D"),
    ]
    single_copy = [SingleCopyFamily(f"COG{n}", f"g{n}", f"g{n}", f"g{n}") for n in range(5)]
    return Catalogue(
        version="test",
        families={family.id: family for family in families},
        pathways={pathway.id: pathway for pathway in pathways},
        single_copy={family.id: family for family in single_copy},
        default_acceptance=families[0].acceptance,
    )
