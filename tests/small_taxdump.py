"""An NCBI taxdump in small."""

# taxid, parent, rank, name: both ranks that NCBI has had for Bacteria, and ranks between the seven.
NODES = [
    (1, 1, "no rank", "root"),
    (131567, 1, "cellular root", "cellular organisms"),
    (2, 131567, "domain", "Bacteria"),
    (3379134, 2, "kingdom", "Pseudomonadati"),
    (1224, 3379134, "phylum", "Pseudomonadota"),
    (1236, 1224, "class", "Gammaproteobacteria"),
    (91347, 1236, "order", "Enterobacterales"),
    (543, 91347, "family", "Enterobacteriaceae"),
    (561, 543, "genus", "Escherichia"),
    (562, 561, "species", "Escherichia coli"),
    (83333, 562, "strain", "Escherichia coli K-12"),
    (2157, 131567, "superkingdom", "Archaea"),
    (10239, 1, "acellular root", "Viruses"),
]
COLI = (
    "Bacteria",
    "Pseudomonadota",
    "Gammaproteobacteria",
    "Enterobacterales",
    "Enterobacteriaceae",
    "Escherichia",
    "Escherichia coli",
)


def write_taxdump(folder, nodes=NODES, merged=((666, 562),)):
    """Write the files of a taxdump; returns the folder."""
    folder.mkdir(exist_ok=True)
    with (folder / "nodes.dmp").open("w") as out:
        for taxid, parent, rank, _ in nodes:
            out.write(f"{taxid}\t|\t{parent}\t|\t{rank}\t|\tEC\t|\t0\t|\t1\t|\n")
    with (folder / "names.dmp").open("w") as out:
        for taxid, _, _, name in nodes:
            out.write(f"{taxid}\t|\tBacillus {name}\t|\t\t|\tsynonym\t|\n")
            out.write(f"{taxid}\t|\t{name}\t|\t{name} <x>\t|\tscientific name\t|\n")
    with (folder / "merged.dmp").open("w") as out:
        out.writelines(f"{old}\t|\t{new}\t|\n" for old, new in merged)
    return folder
