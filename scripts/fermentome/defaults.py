"""Where the catalogue stands beside this library."""

from pathlib import Path

from fermentome.catalogue import CatalogueFiles

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"


def catalogue_files(folder: str | None = None) -> CatalogueFiles:
    """Files of a user's own catalogue, or of the repository's.

    Parameters
    ----------
    folder
        Folder with families.yaml, pathways.yaml and single_copy.yaml; None for the repository's.
    """
    return CatalogueFiles.in_folders(folder or WORKFLOW / "resources", WORKFLOW / "schemas")
