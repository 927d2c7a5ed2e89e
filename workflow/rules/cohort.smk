"""Compare samples, groups and people.

Inputs
    results/tables/*.tsv; a reference cohort and measured metabolites, where configured
Outputs
    results/cohort/*.tsv            diversity, ordination, effects, people, percentiles, ...
    results/cohort/distances/       distances between all samples
    results/cohort/account.tsv      what was made and what was left out, with the reason
    results/cohort/figures/         figures of these, and one per person in figures/people
    results/cohort/model/           a predictive model, only if asked for
    results/databases/processing.yaml   what reads went through, for comparison with other runs
"""

# What these rules import besides. An edit of it runs no other job again.
COHORT_LIBRARY = LIBRARY + [
    workflow.source_path(f"../../scripts/fermentome/{module}.py") for module in """
    cohort/__init__ cohort/carriers cohort/closeness cohort/contrasts cohort/data cohort/design
    cohort/diversity cohort/diversity_figures cohort/diversity_tables cohort/effect_figures
    cohort/effects cohort/long_tables cohort/measures cohort/metabolite_figures
    cohort/metabolite_sheet cohort/metabolite_units cohort/metabolites cohort/mixed cohort/model
    cohort/model_card cohort/model_evaluation cohort/model_figures cohort/model_folds
    cohort/model_importance cohort/model_inputs cohort/model_learner cohort/model_report
    cohort/model_scores cohort/multiple_testing cohort/noise cohort/ordination cohort/people
    cohort/percentile_figures cohort/percentiles cohort/permanova cohort/processing
    cohort/rank_association cohort/ranks cohort/reading cohort/recovery cohort/reference_cohort
    cohort/response_figures cohort/responses cohort/sample_metadata cohort/settings cohort/stages
    cohort/swaps cohort/text_tables cohort/timeline_figures cohort/timepoints cohort/trajectories
    cohort/tree cohort/visits cohort/wide_tables defaults
    """.split()
]
# What the library reads beside itself. Snakemake runs scripts from a copy of their folder, in
# which only what is named exists.
COHORT_RESOURCES = [
    workflow.source_path("../schemas/reference_cohort.schema.yaml"),
    MANIFEST_SCHEMA,
    *CATALOGUE.values(),
    *SCHEMAS.values(),
]
COHORT_TABLES = {name: f"results/tables/{name}.tsv" for name in FEATURE_TABLES}
COHORT = config["cohort"]
# A change of the files that some analyses read runs no other one again.
COHORT_SETTINGS = {
    key: value
    for key, value in COHORT.items()
    if key not in ("reference_cohort", "metabolites", "metabolite_unit")
}
MODEL = config["model"]
PARTS_LEFT_OUT = {
    "reference": (
        "" if COHORT["reference_cohort"] else "cohort.reference_cohort is not given"
    ),
    "metabolites": "" if COHORT["metabolites"] else "cohort.metabolites is not given",
    "model": "" if MODEL["target"] else "model.target is not given",
}
COHORT_PARTS = ["diversity", "groups", "people"] + [
    part for part, reason in PARTS_LEFT_OUT.items() if not reason
]
COHORT_FIGURES = {
    "diversity": ["alpha", "ordination"],
    "groups": [],
    "people": ["people", "responses"],
    "reference": ["percentiles"],
    "metabolites": ["metabolites", "metabolites_exploratory"],
    "model": ["model", "model_importance"],
}
DIVERSITY = [
    "alpha",
    "terms",
    "ordination",
    "axes",
    "permanova",
    "dispersion",
    "closeness",
]
PEOPLE = [
    "people",
    "phases",
    "noise",
    "recovery",
    "recovery_summary",
    "responses",
    "trajectories",
    "swaps",
]
MODEL_TABLES = [
    "about",
    "scores",
    "null",
    "predictions",
    "calibration",
    "reject",
    "importance",
]


localrules:
    collect_account,


rule record_processing:
    """Record what the reads of this run go through, for comparison with other runs."""
    input:
        **CATALOGUE,
        adapters=config["trim"]["adapters"]
        or workflow.source_path("../resources/adapters.fasta"),
        phenotypes=PHENOTYPES,
        used="results/databases/used.tsv",
        resources=COHORT_RESOURCES,
        code=COHORT_LIBRARY,
    output:
        processing="results/databases/processing.yaml",
    log:
        "logs/record_processing.log",
    benchmark:
        "benchmarks/record_processing.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    params:
        config={
            name: config[name]
            for name in ("trim", "host", "taxonomy", "function", "scoring")
        },
        names={slot.key: slot.written for slot in SLOTS},
        # Names, not paths: a shipped file lies in another folder in every run.
        catalogue=list(CATALOGUE),
    script:
        "../../scripts/record_processing.py"


rule measure_diversity:
    """Measure diversity within and between samples, and test what it goes with."""
    input:
        **COHORT_TABLES,
        metadata="results/tables/reads.tsv",
        phenotypes=PHENOTYPES,
        resources=COHORT_RESOURCES,
        code=COHORT_LIBRARY,
    output:
        **{name: f"results/cohort/{name}.tsv" for name in DIVERSITY},
        distances=directory("results/cohort/distances"),
        account="results/cohort/account/diversity.tsv",
    log:
        "logs/measure_diversity.log",
    benchmark:
        "benchmarks/measure_diversity.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 2
    resources:
        mem_mb=megabytes_for(1000, 30),
        runtime=minutes(240),
    params:
        tables=list(COHORT_TABLES),
        settings=COHORT_SETTINGS,
    script:
        "../../scripts/measure_diversity.py"


rule compare_groups:
    """Compare groups and follow covariates in every feature."""
    input:
        **COHORT_TABLES,
        metadata="results/tables/reads.tsv",
        phenotypes=PHENOTYPES,
        resources=COHORT_RESOURCES,
        code=COHORT_LIBRARY,
        alpha="results/cohort/alpha.tsv",
    output:
        effects="results/cohort/effects.tsv",
        account="results/cohort/account/groups.tsv",
    log:
        "logs/compare_groups.log",
    benchmark:
        "benchmarks/compare_groups.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 2
    resources:
        mem_mb=megabytes_for(1000, 30),
        runtime=minutes(240),
    params:
        tables=list(COHORT_TABLES),
        settings=COHORT_SETTINGS,
    script:
        "../../scripts/compare_groups.py"


rule follow_people:
    """Compare each person with their own baseline."""
    input:
        **COHORT_TABLES,
        metadata="results/tables/reads.tsv",
        phenotypes=PHENOTYPES,
        resources=COHORT_RESOURCES,
        code=COHORT_LIBRARY,
        alpha="results/cohort/alpha.tsv",
    output:
        **{name: f"results/cohort/{name}.tsv" for name in PEOPLE},
        account="results/cohort/account/people.tsv",
    log:
        "logs/follow_people.log",
    benchmark:
        "benchmarks/follow_people.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes_for(1000, 30),
        runtime=minutes(240),
    params:
        tables=list(COHORT_TABLES),
        settings=COHORT_SETTINGS,
    script:
        "../../scripts/follow_people.py"


rule place_percentiles:
    """Place the people of this run within a reference cohort."""
    input:
        **COHORT_TABLES,
        metadata="results/tables/reads.tsv",
        phenotypes=PHENOTYPES,
        resources=COHORT_RESOURCES,
        code=COHORT_LIBRARY,
        alpha="results/cohort/alpha.tsv",
        reference=(
            [
                f"{COHORT['reference_cohort']}/{name}"
                for name in ("reference_cohort.yaml", "values.tsv")
            ]
            if COHORT["reference_cohort"]
            else []
        ),
        processing="results/databases/processing.yaml",
    output:
        percentiles="results/cohort/percentiles.tsv",
        check="results/cohort/reference_check.tsv",
        account="results/cohort/account/reference.tsv",
    log:
        "logs/place_percentiles.log",
    benchmark:
        "benchmarks/place_percentiles.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes_for(1000, 30),
        runtime=minutes(240),
    params:
        tables=list(COHORT_TABLES),
        reference=COHORT["reference_cohort"],
    script:
        "../../scripts/place_percentiles.py"


rule associate_metabolites:
    """Associate potential with measured metabolites."""
    input:
        **COHORT_TABLES,
        metadata="results/tables/reads.tsv",
        phenotypes=PHENOTYPES,
        resources=COHORT_RESOURCES,
        code=COHORT_LIBRARY,
        sheet=COHORT["metabolites"] or [],
    output:
        associations="results/cohort/metabolites.tsv",
        points="results/cohort/metabolite_points.tsv",
        account="results/cohort/account/metabolites.tsv",
    log:
        "logs/associate_metabolites.log",
    benchmark:
        "benchmarks/associate_metabolites.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes_for(1000, 30),
        runtime=minutes(240),
    params:
        tables=list(COHORT_TABLES),
        settings=COHORT_SETTINGS,
        unit=COHORT["metabolite_unit"],
    script:
        "../../scripts/associate_metabolites.py"


rule train_model:
    """Train a model of the target and hold it against its nulls and baselines."""
    input:
        **COHORT_TABLES,
        metadata="results/tables/reads.tsv",
        phenotypes=PHENOTYPES,
        resources=COHORT_RESOURCES,
        code=COHORT_LIBRARY,
    output:
        **{name: f"results/cohort/model/{name}.tsv" for name in MODEL_TABLES},
        card="results/cohort/model/model_card.md",
        account="results/cohort/account/model.tsv",
    log:
        "logs/train_model.log",
    benchmark:
        "benchmarks/train_model.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 2
    resources:
        mem_mb=megabytes_for(1000, 30),
        runtime=minutes(720),
    params:
        tables=list(COHORT_TABLES),
        settings=COHORT_SETTINGS,
        model=MODEL,
    script:
        "../../scripts/train_model.py"


rule collect_account:
    """Collect what was made of the cohort and what was left out."""
    input:
        parts=collect("results/cohort/account/{part}.tsv", part=COHORT_PARTS),
        code=COHORT_LIBRARY,
    output:
        account="results/cohort/account.tsv",
    log:
        "logs/collect_account.log",
    benchmark:
        "benchmarks/collect_account.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(10),
    params:
        left_out={part: reason for part, reason in PARTS_LEFT_OUT.items() if reason},
    script:
        "../../scripts/collect_account.py"


rule plot_alpha:
    """Draw diversity within samples."""
    input:
        alpha="results/cohort/alpha.tsv",
        terms="results/cohort/terms.tsv",
        code=COHORT_LIBRARY,
    output:
        png="results/cohort/figures/alpha.png",
        svg="results/cohort/figures/alpha.svg",
    log:
        "logs/plot_alpha.log",
    benchmark:
        "benchmarks/plot_alpha.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    script:
        "../../scripts/plot_alpha.py"


rule plot_ordination:
    """Draw the ordinations of samples."""
    input:
        ordination="results/cohort/ordination.tsv",
        axes="results/cohort/axes.tsv",
        permanova="results/cohort/permanova.tsv",
        terms="results/cohort/terms.tsv",
        code=COHORT_LIBRARY,
    output:
        png="results/cohort/figures/ordination.png",
        svg="results/cohort/figures/ordination.svg",
    log:
        "logs/plot_ordination.log",
    benchmark:
        "benchmarks/plot_ordination.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    script:
        "../../scripts/plot_ordination.py"


rule plot_effects:
    """Draw differences between groups and along covariates."""
    input:
        effects="results/cohort/effects.tsv",
        code=COHORT_LIBRARY,
    output:
        folder=directory("results/cohort/figures/effects"),
        index="results/cohort/effect_figures.tsv",
    log:
        "logs/plot_effects.log",
    benchmark:
        "benchmarks/plot_effects.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    params:
        fdr=COHORT["fdr"],
    script:
        "../../scripts/plot_effects.py"


rule plot_people:
    """Draw the changes of all people."""
    input:
        phases="results/cohort/phases.tsv",
        code=COHORT_LIBRARY,
    output:
        png="results/cohort/figures/people.png",
        svg="results/cohort/figures/people.svg",
    log:
        "logs/plot_people.log",
    benchmark:
        "benchmarks/plot_people.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    script:
        "../../scripts/plot_people.py"


rule plot_responses:
    """Draw the mean responses of people to events."""
    input:
        responses="results/cohort/responses.tsv",
        code=COHORT_LIBRARY,
    output:
        png="results/cohort/figures/responses.png",
        svg="results/cohort/figures/responses.svg",
    log:
        "logs/plot_responses.log",
    benchmark:
        "benchmarks/plot_responses.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    script:
        "../../scripts/plot_responses.py"


rule plot_timelines:
    """Draw the timeline of each person."""
    input:
        people="results/cohort/people.tsv",
        trajectories="results/cohort/trajectories.tsv",
        recovery="results/cohort/recovery.tsv",
        swaps="results/cohort/swaps.tsv",
        code=COHORT_LIBRARY,
    output:
        folder=directory("results/cohort/figures/people"),
        index="results/cohort/people_figures.tsv",
    log:
        "logs/plot_timelines.log",
    benchmark:
        "benchmarks/plot_timelines.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(240),
    script:
        "../../scripts/plot_timelines.py"


rule plot_percentiles:
    """Draw percentiles within the reference cohort."""
    input:
        percentiles="results/cohort/percentiles.tsv",
        code=COHORT_LIBRARY,
    output:
        png="results/cohort/figures/percentiles.png",
        svg="results/cohort/figures/percentiles.svg",
    log:
        "logs/plot_percentiles.log",
    benchmark:
        "benchmarks/plot_percentiles.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    script:
        "../../scripts/plot_percentiles.py"


rule plot_metabolites:
    """Draw potential against measured metabolites, beside its null."""
    input:
        associations="results/cohort/metabolites.tsv",
        points="results/cohort/metabolite_points.tsv",
        code=COHORT_LIBRARY,
    output:
        png="results/cohort/figures/metabolites.png",
        svg="results/cohort/figures/metabolites.svg",
        exploratory_png="results/cohort/figures/metabolites_exploratory.png",
        exploratory_svg="results/cohort/figures/metabolites_exploratory.svg",
    log:
        "logs/plot_metabolites.log",
    benchmark:
        "benchmarks/plot_metabolites.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    script:
        "../../scripts/plot_metabolites.py"


rule plot_model:
    """Draw the scores of the model beside its nulls, and its importances."""
    input:
        **{name: f"results/cohort/model/{name}.tsv" for name in MODEL_TABLES},
        code=COHORT_LIBRARY,
    output:
        png="results/cohort/figures/model.png",
        svg="results/cohort/figures/model.svg",
        importance_png="results/cohort/figures/model_importance.png",
        importance_svg="results/cohort/figures/model_importance.svg",
    log:
        "logs/plot_model.log",
    benchmark:
        "benchmarks/plot_model.tsv"
    conda:
        "../../envs/cohort.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    script:
        "../../scripts/plot_model.py"
