"""Say whether the run succeeded, after everything else was made.

Inputs
    results/status.tsv, and every table and figure
Outputs
    results/outcome.txt     made only if no sample failed
"""


localrules:
    check_outcome,


rule check_outcome:
    """End with an error if a sample failed, after everything else was made."""
    input:
        status="results/status.tsv",
        tables=collect(
            "results/tables/{feature}.tsv",
            feature=[*FEATURE_TABLES, "reads", "routes", "unserved"],
        ),
        figures=collect(
            "results/figures/{figure}.{format}", figure=FIGURES, format=["png", "svg"]
        ),
        cohort=[
            "results/databases/processing.yaml",
            "results/cohort/account.tsv",
            "results/cohort/effect_figures.tsv",
            "results/cohort/people_figures.tsv",
        ]
        + [
            f"results/cohort/figures/{figure}.{format}"
            for part in COHORT_PARTS
            for figure in COHORT_FIGURES[part]
            for format in ("png", "svg")
        ],
        code=LIBRARY,
    output:
        outcome="results/outcome.txt",
    log:
        "logs/check_outcome.log",
    benchmark:
        "benchmarks/check_outcome.tsv"
    retries: 0
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(10),
    script:
        "../../scripts/check_outcome.py"
